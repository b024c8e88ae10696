"""Many small bidirectional LSTMs at once on a CPU, with a backward pass written out by hand.

A network such as AttentiveChrome runs five bidirectional LSTMs of width 32 over a hundred steps. Here all of them are
one operation, compiled (:mod:`regulome.models.lstm_kernel`) and shared out among torch's number of threads. Each
direction of an LSTM is a *stream*: stream 2m reads LSTM m's inputs forwards, stream 2m + 1 backwards. Results do not
depend on the number of threads.
"""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from regulome.models.workspace import Workspace


def stack_weights(lstms: Sequence[nn.LSTM], layer: int = 0) -> Tensor:
    """Collect one layer of bidirectional LSTMs of the same size as the ``weights`` of :func:`lstm_many`.

    Args:
        lstms: The LSTMs, which hold the parameters.
        layer: Which layer.

    Returns:
        [stream, 4·hidden, hidden + inputs + 1]: W_hh, W_ih and the sum of both biases side by side, the gates in
        torch's order (input, forget, cell, output).
    """
    parameters = [
        getattr(lstm, f"{kind}_l{layer}{direction}")
        for lstm in lstms
        for direction in ("", "_reverse")
        for kind in ("weight_hh", "weight_ih", "bias_ih", "bias_hh")
    ]
    weights: Tensor = _Stacked.apply(*parameters)  # type: ignore[no-untyped-call]
    return weights


def lstm_many(x: Tensor, weights: Tensor, hidden: int) -> Tensor:
    """Run one layer of many LSTMs; equal to as many calls of ``nn.LSTM`` from zero states.

    Args:
        x: Inputs [example, LSTM, step, inputs].
        weights: [stream, 4·hidden, hidden + inputs + 1], see :func:`stack_weights`.
        hidden: Hidden units per direction.

    Returns:
        States [stream, step, example, hidden]; step t is that of the inputs, in both directions. First derivatives
        flow to ``x`` and ``weights``; there are no second ones.
    """
    states: Tensor = _States.apply(x, weights, hidden)  # type: ignore[no-untyped-call]
    return states


def attend_many(x: Tensor, weights: Tensor, contexts: Tensor) -> tuple[Tensor, Tensor]:
    """Run many LSTMs and sum each one's states h, of both directions, by attention: a[t] = softmax over t of h[t]·w.

    Args:
        x: Inputs [example, LSTM, step, inputs].
        weights: [stream, 4·hidden, hidden + inputs + 1], see :func:`stack_weights`.
        contexts: Context vectors w [LSTM, 2·hidden].

    Returns:
        Vectors Σ a[t] h[t], [example, LSTM, 2·hidden], and weights a, [example, LSTM, step]. Derivatives as in
        :func:`lstm_many`, and to ``contexts``.
    """
    vectors, attention = _Attended.apply(x, weights, contexts)  # type: ignore[no-untyped-call]
    return vectors, attention


#: Threads of the recurrences inside of :func:`all_threads`; None means as many as torch has.
_lanes: int | None = None

#: Steps × examples from which on more than one thread is worth its waking: that costs as much as some thousand.
_WORTH_SHARING = 500


@contextmanager
def all_threads() -> Iterator[None]:
    """Leave all of torch's threads to the recurrences of a block; its other operations run on one.

    torch's own workers go on turning for a while after each operation that woke them, and so keep cores from the
    kernel: with them a step of training takes up to twice as long. The recurrences' numbers do not depend on it.
    """
    global _lanes
    before, threads = _lanes, torch.get_num_threads()
    _lanes = before or threads
    torch.set_num_threads(1)
    try:
        yield
    finally:
        _lanes = before
        torch.set_num_threads(threads)


def threads_for(network: nn.Module) -> AbstractContextManager[None]:
    """Give the block in which ``network`` is best trained on a CPU: :func:`all_threads` if it has ``own_threads``."""
    own = any(getattr(module, "own_threads", False) for module in network.modules())
    return all_threads() if own else nullcontext()


class _Tape:
    """One pass over the steps, and what its backward pass needs.

    What goes out to autograd has to be another tensor on the same memory: it gets a reference to the node that keeps
    the tape, and a circle of references would hold the memory until the garbage collector comes.

    Args:
        x: Inputs [example, LSTM, step, inputs].
        weights: As :func:`lstm_many` takes them.
        hidden: Hidden units per direction.
        contexts: Context vectors, with attention.
        keep: Whether there will be a backward pass.
    """

    def __init__(self, x: Tensor, weights: Tensor, hidden: int, contexts: Tensor | None = None, *, keep: bool) -> None:
        examples, lstms, steps, _ = x.shape
        streams, kept = len(weights), steps if keep else 1
        shapes = [
            (streams, kept, 4 * examples * hidden),
            (streams, kept, examples, hidden),
            (streams, steps, examples, hidden),
        ]
        # States that go out to the caller must not lie in memory that is used again.
        self.workspace = Workspace(x, shapes if contexts is not None else shapes[:2])
        self.gates, self.cells, *rest = self.workspace.tensors
        self.states = rest[0] if rest else x.new_empty(shapes[2])
        self.x, self.weights = x.contiguous(), weights.reshape(streams, 4, hidden, -1).contiguous()
        self.contexts = x.new_empty(0, 2 * hidden) if contexts is None else contexts.contiguous()
        self.attention = x.new_empty(examples, len(self.contexts), steps)
        self.vectors = x.new_zeros(examples, len(self.contexts), 2 * hidden)
        # The number of threads has no part in the size of a task. Larger ones use the cache better, until they are few.
        self.size = 32 if examples >= 64 else 16
        self.blocks = -(-examples // self.size)
        across = torch.from_numpy(np.ascontiguousarray(self.weights.detach().numpy().swapaxes(2, 3)))
        self._run("forward", streams, self.x, across, self.states, self.gates, self.cells)
        if contexts is not None:
            self._run("attend", lstms, self.contexts, self.states, self.attention, self.vectors)

    def backward(
        self,
        *,
        inputs: bool,
        dstates: Tensor | None = None,
        dvectors: Tensor | None = None,
        dattention: Tensor | None = None,
    ) -> tuple[Tensor | None, Tensor, Tensor]:
        """Turn gradients of the states, or of the vectors and the weights of attention, into those of the arguments.

        Args:
            inputs: Whether the gradient of the inputs is wanted.
            dstates: Gradients of ``states``, without attention.
            dvectors: Gradients of ``vectors``.
            dattention: Gradients of ``attention``.

        Returns:
            The gradients of the inputs, the weights and the contexts.
        """
        if torch.is_grad_enabled():
            raise RuntimeError("the fused LSTM has no second derivatives: create_graph=True is not supported")
        streams, gates, hidden, rows = self.weights.shape
        dx = self.x.new_zeros(2 if inputs else 0, *self.x.shape)
        dweights = torch.from_numpy(np.zeros((self.blocks, streams, gates, rows, hidden), self.x.numpy().dtype))
        dcontexts = self.x.new_zeros(self.blocks, *self.contexts.shape)
        dscores = torch.empty_like(self.attention)
        dvectors = self.vectors if dvectors is None else dvectors.contiguous()
        if dattention is not None:
            self._run(
                "attend_back",
                len(self.contexts),
                *(self.states, self.attention, dattention.contiguous(), dvectors, dscores, dcontexts),
            )
        self._run(
            "backward",
            streams,
            *(self.x, self.weights, self.contexts, self.states, self.gates, self.cells, self.attention, dscores),
            *(dvectors, self.states if dstates is None else dstates.contiguous(), dx, dweights),
        )
        total = dweights.numpy().sum(axis=0).swapaxes(2, 3).reshape(streams, gates * hidden, rows)
        return dx[0] + dx[1] if inputs else None, torch.from_numpy(total), dcontexts.sum(dim=0)

    def _run(self, kernel: str, each: int, *tensors: Tensor) -> None:
        """Run a kernel's tasks, ``each`` of them per block of examples."""
        # Compilers are slow to import, and only this needs them.
        from regulome.models import lstm_kernel

        arrays = [tensor.detach().numpy() for tensor in tensors]
        work: Callable[..., None] = getattr(lstm_kernel, kernel)
        share_out(lambda task: work(task, self.size, *arrays), self.blocks * each, self.x.shape[0] * self.x.shape[2])


def share_out(work: Callable[[int], None], tasks: int, steps: int) -> None:
    """Call ``work`` with each task's number, on as many threads as a recurrence may have.

    Args:
        work: Does a task, without the interpreter's lock.
        tasks: Number of tasks.
        steps: Steps × examples of the whole: few are not worth more than one thread.
    """
    _on_threads(work, tasks, (_lanes or torch.get_num_threads()) if steps >= _WORTH_SHARING else 1)


def side_by_side(work: Callable[[int], None], tasks: int) -> None:
    """Call ``work`` with each task's number, on all threads; each task has one for all that it does, torch included."""
    global _lanes
    with all_threads():
        before, _lanes = _lanes or 1, 1
        try:
            _on_threads(work, tasks, before)
        finally:
            _lanes = before


def _on_threads(work: Callable[[int], None], tasks: int, threads: int) -> None:
    numbers = itertools.count()

    def lane() -> None:
        while (task := next(numbers)) < tasks:
            work(task)

    others = min(threads, tasks) - 1
    waiting = [_threads(os.getpid(), others).submit(lane) for _ in range(others)]
    try:
        lane()
    finally:
        for future in waiting:
            future.result()


@functools.cache
def _threads(process: int, number: int) -> ThreadPoolExecutor:
    """Make threads once for each process, because a fork does not take them along."""
    return ThreadPoolExecutor(number, thread_name_prefix="lstm")


class _Stacked(torch.autograd.Function):
    """Done in numpy, like all work on weights here: torch would wake its threads, which spin for a while after.

    They would take the cores from the kernel's threads.
    """

    @staticmethod
    def forward(ctx: Any, *parameters: Tensor) -> Tensor:
        arrays = [parameter.detach().numpy() for parameter in parameters]
        ctx.split = split = arrays[0].shape[1]
        weights = np.empty((len(arrays) // 4, len(arrays[0]), split + arrays[1].shape[1] + 1), arrays[0].dtype)
        for stream, (recurrent, inputs, bias, more) in enumerate(zip(*[iter(arrays)] * 4, strict=True)):
            weights[stream, :, :split] = recurrent
            weights[stream, :, split:-1] = inputs
            np.add(bias, more, out=weights[stream, :, -1])
        return torch.from_numpy(weights)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor, ...]:
        split, answer = ctx.split, []
        for of_stream in grads[0].numpy():
            bias = of_stream[:, -1]
            parts = (of_stream[:, :split], of_stream[:, split:-1], bias, bias)
            answer += [torch.from_numpy(part.copy()) for part in parts]
        return tuple(answer)


class _States(torch.autograd.Function):
    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.float32)
    def forward(ctx: Any, x: Tensor, weights: Tensor, hidden: int) -> Tensor:
        keep = any(ctx.needs_input_grad)
        tape = _Tape(x, weights, hidden, keep=keep)
        if keep:
            ctx.tape = tape
        return tape.states.detach()

    @staticmethod
    @torch.amp.custom_bwd(device_type="cpu")
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, Tensor, None]:
        dx, dweights, _ = ctx.tape.backward(inputs=ctx.needs_input_grad[0], dstates=grads[0])
        return dx, dweights, None


class _Attended(torch.autograd.Function):
    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.float32)
    def forward(ctx: Any, x: Tensor, weights: Tensor, contexts: Tensor) -> tuple[Tensor, Tensor]:
        keep = any(ctx.needs_input_grad)
        tape = _Tape(x, weights, contexts.shape[1] // 2, contexts, keep=keep)
        if keep:
            ctx.tape = tape
        return tape.vectors.detach(), tape.attention.detach()

    @staticmethod
    @torch.amp.custom_bwd(device_type="cpu")
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, Tensor, Tensor]:
        return ctx.tape.backward(inputs=ctx.needs_input_grad[0], dvectors=grads[0], dattention=grads[1])  # type: ignore[no-any-return]
