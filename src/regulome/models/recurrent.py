"""Many small LSTMs at once: one recurrence over stacked weights, with a backward pass written out by hand.

A network such as AttentiveChrome runs ten LSTMs of width 32 over a hundred steps. Called one by one they are thousands
of tiny operations. Here all of them, both directions included, are *streams* of one recurrence: at each step one
batched matrix product for all streams, then a few operations on whole arrays that still lie in the cache.

How a step is arranged:

- The state is [stream, unit, example], examples last. A gate is then a contiguous block, and no operation is strided.
- h[t−1], x[t] and a row of ones lie under each other in one array, so that a single product with [W_hh | W_ih | b]
  gives the pre-activations, and a single product gives the gradients of all three.
- tanh(z) is 2σ(2z) − 1: torch's sigmoid on a CPU is five times faster than its tanh. The cell is kept as 2c, which is
  the argument of its sigmoid.
- The backward pass works step by step too, while a step's arrays are in the cache: on whole [step, …] arrays the same
  arithmetic waits for the memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from regulome.models.workspace import Workspace

_sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
_tanh_backward = torch.ops.aten.tanh_backward.grad_input


def stack_weights(lstms: Sequence[nn.LSTM], layer: int = 0) -> Tensor:
    """Collect one layer of LSTMs of the same size as the ``weights`` of :func:`lstm_many`.

    Args:
        lstms: The LSTMs, which hold the parameters.
        layer: Which layer.

    Returns:
        [stream, 4·hidden, hidden + inputs + 1]; stream 0 is the first LSTM forwards; where it has two directions,
        stream 1 is the first LSTM backwards, and so on.
    """
    directions = ("", "_reverse") if lstms[0].bidirectional else ("",)
    pairs = [(lstm, f"l{layer}{direction}") for lstm in lstms for direction in directions]
    recurrent, inputs, bias, more = (
        torch.stack([getattr(lstm, f"{kind}_{name}") for lstm, name in pairs])
        for kind in ("weight_hh", "weight_ih", "bias_ih", "bias_hh")
    )
    return torch.cat((recurrent, inputs, (bias + more)[:, :, None]), dim=2)


def lstm_many(x: Tensor, weights: Tensor, hidden: int) -> Tensor:
    """Run one LSTM layer on each of many streams; equal to as many calls of ``nn.LSTM`` from zero states.

    Args:
        x: Inputs [step, stream, inputs, example], each stream in the order in which it reads.
        weights: [stream, 4·hidden, hidden + inputs + 1]: W_hh, W_ih and the sum of both biases side by side, the gates
            in torch's order (input, forget, cell, output); see :func:`stack_weights`.
        hidden: Hidden units.

    Returns:
        States [step, stream, hidden, example], not to be written to. First
        derivatives flow to ``x`` and ``weights``; there are no second ones.
    """
    states: Tensor = _States.apply(x, weights, hidden)  # type: ignore[no-untyped-call]
    return states


def attend_many(x: Tensor, weights: Tensor, contexts: Tensor) -> tuple[Tensor, Tensor]:
    """Run many bidirectional LSTMs and sum each one's states by attention: a[t] = softmax over t of h[t]·w.

    The states are never laid out for the caller: scores and weighted sums are taken step by step, in the cache.

    Args:
        x: Inputs [step, LSTM, inputs, example], forwards.
        weights: [2·LSTM, 4·hidden, hidden + inputs + 1], each LSTM forwards and backwards; see :func:`stack_weights`.
        contexts: Context vectors w [LSTM, 2·hidden].

    Returns:
        Vectors Σ a[t] h[t], [LSTM, 2·hidden, example], and weights a, [step, LSTM, example].
    """
    vectors, attention = _Attended.apply(both_ways(x), weights, contexts)  # type: ignore[no-untyped-call]
    return vectors, attention


def both_ways(x: Tensor) -> Tensor:
    """Lay [step, LSTM, …] out as streams [step, 2·LSTM, …]: each forwards, then from the last step to the first."""
    return torch.stack((x, x.flip(0)), dim=2).flatten(1, 2)


class _Tape:
    """One pass over the steps, and what its backward pass needs.

    Args:
        x: Inputs [step, stream, inputs, example].
        weights: As :func:`lstm_many` takes them.
        contexts: [stream, hidden], for the scores h[t]·w of attention; None without.
        keep: Whether there will be a backward pass.
    """

    def __init__(self, x: Tensor, weights: Tensor, H: int, *, contexts: Tensor | None = None, keep: bool) -> None:
        steps, streams, inputs, examples = x.shape
        kept = steps if keep else 1
        shapes = [
            (kept, streams, 4 * H, examples),
            (streams, 4 * H, examples),
            (kept + 1, streams, H, examples),
            (kept, streams, H, examples),
            (steps + 1, streams, H + inputs + 1, examples),
        ]
        # States that go out to the caller must not lie in memory that is used again.
        self.workspace = Workspace(x, shapes if contexts is not None else shapes[:4])
        self.gates, self.before, self.cells, self.tanhs, *rest = self.workspace.tensors
        self.stacked = rest[0] if rest else x.new_empty(shapes[4])
        self.hidden = H
        self.contexts = contexts
        # The cell gate's rows count twice, because its tanh is made of a sigmoid.
        self.weights = weights.detach().clone()
        self.weights[:, 2 * H : 3 * H] *= 2
        self.scores = x.new_empty(steps, streams, 1, examples)
        self._forward(x, keep)

    def _forward(self, x: Tensor, keep: bool) -> None:
        H, stacked, weights = self.hidden, self.stacked, self.weights
        # Block t is what step t multiplies: h[t−1], x[t] and ones.
        stacked[0, :, :H] = 0
        stacked[:-1, :, H:-1] = x
        stacked[-1, :, H:-1] = 0
        stacked[:, :, -1] = 1
        self.cells[0] = 0
        minus_one = x.new_tensor(-1.0)
        context = None if self.contexts is None else self.contexts[:, None]
        # Views are made once for all steps: made at each step they would cost as much as the arithmetic.
        steps = zip(stacked.unbind(0)[:-1], self.states.unbind(0), self.scores.unbind(0), strict=True)
        gates, cells, tanhs = self.gates.unbind(0), self.cells.unbind(0), self.tanhs.unbind(0)
        split = [part.unbind(0) for part in self.gates.chunk(4, dim=2)]
        for t, (row, state, score) in enumerate(steps):
            now, after = (t, t + 1) if keep else (0, 0)
            i, f, g, o = split[0][now], split[1][now], split[2][now], split[3][now]
            cell, tanh = cells[after], tanhs[now]
            # Through an array that stays in the cache: what is kept is then written once, in order.
            torch.sigmoid(torch.bmm(weights, row, out=self.before), out=gates[now])
            torch.add(minus_one, g, alpha=2, out=g)
            torch.mul(cells[now], f, out=cell).addcmul_(i, g, value=2)
            torch.sigmoid(cell, out=tanh)
            torch.add(minus_one, tanh, alpha=2, out=tanh)
            torch.mul(o, tanh, out=state)
            if context is not None:
                torch.bmm(context, state, out=score)

    @property
    def states(self) -> Tensor:
        """All h[t], [step, stream, hidden, example]."""
        states: Tensor = self.stacked[1:, :, : self.hidden]
        return states

    def backward(
        self, receive: Callable[[int, Tensor], object], dscores: Tensor | None = None, *, inputs: bool
    ) -> tuple[Tensor | None, Tensor, Tensor | None]:
        """Walk back from the last step.

        Args:
            receive: Writes the gradient that h[t] gets from above into the tensor [stream, hidden, example].
            dscores: Gradients of the scores [step, stream, 1, example], with attention.
            inputs: Whether the gradient of the inputs is wanted.

        Returns:
            The gradients of the inputs, the weights and the contexts.
        """
        if torch.is_grad_enabled():
            raise RuntimeError("the fused LSTM has no second derivatives: create_graph=True is not supported")
        H, (steps, streams, _, examples) = self.hidden, self.gates.shape
        # d is the gradient of a step's pre-activations, but half of it in the input gate: cells are 2c, so that the
        # cell's gradient would have to be doubled on its way there. The weights carry that factor instead.
        back = self.weights.clone()
        back[:, :H] *= 2
        to_h, to_x = back[:, :, :H].transpose(1, 2), back[:, :, H:-1].transpose(1, 2)
        # The score of h[t−1] is a fifth gate of step t, as far as gradients go: one more row of the same products.
        extra = 0 if self.contexts is None else 1
        if self.contexts is not None:
            to_h = torch.cat((to_h, self.contexts[:, :, None]), dim=2)
        to_h, to_x = to_h.contiguous(), to_x.contiguous()
        d = self.gates.new_zeros(streams, 4 * H + extra, examples)
        # Transposed, because its wide side then fills the registers of the matrix product.
        dw = self.gates.new_zeros(streams, self.weights.shape[2], 4 * H + extra)
        dx = self.stacked.new_empty(steps, streams, to_x.shape[1], examples) if inputs else None
        dh, dcell, work = (torch.zeros_like(self.cells[0]) for _ in range(3))
        di, df, dg, do = d[:, : 4 * H].chunk(4, dim=1)
        through_cell = d[:, : 3 * H].unflatten(1, (3, H))  # type: ignore[no-untyped-call]
        of_gates, of_score, dcell_of_each = d[:, : 4 * H], d[:, 4 * H :], dcell[:, None]
        cells, tanhs, states = self.cells.unbind(0), self.tanhs.unbind(0), self.states.unbind(0)
        gates = [part.unbind(0) for part in self.gates.chunk(4, dim=2)]
        rows, across = self.stacked.unbind(0), d.transpose(1, 2)
        scores = None if dscores is None else (torch.zeros_like(dscores[0]), *dscores.unbind(0))
        if scores is not None:
            of_score.copy_(scores[-1])
            torch.baddbmm(dw, rows[-1], across, out=dw)
        for t in range(steps - 1, -1, -1):
            i, f, g, o = gates[0][t], gates[1][t], gates[2][t], gates[3][t]
            receive(t, dh)
            torch.baddbmm(dh, to_h, d, out=dh)
            _tanh_backward(o, tanhs[t], grad_input=work)
            dcell.addcmul_(dh, work, value=0.5)
            # dh · tanh(c) · o(1 − o), with o · tanh(c) = h.
            torch.mul(dh, states[t], out=work)
            torch.addcmul(work, work, o, value=-1, out=do)
            _sigmoid_backward(g, i, grad_input=di)
            _sigmoid_backward(cells[t], f, grad_input=df)
            _tanh_backward(i, g, grad_input=dg)
            through_cell.mul_(dcell_of_each)
            if scores is not None:
                of_score.copy_(scores[t])
            torch.baddbmm(dw, rows[t], across, out=dw)
            if dx is not None:
                torch.bmm(to_x, of_gates, out=dx[t])
            dcell.mul_(f)
        dw = dw.transpose(1, 2)
        dw[:, :H] *= 2
        dw[:, 2 * H : 3 * H] *= 2
        return dx, dw[:, : 4 * H], dw[:, 4 * H, :H] if extra else None


class _States(torch.autograd.Function):
    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.float32)
    def forward(ctx: Any, x: Tensor, weights: Tensor, hidden: int) -> Tensor:
        keep = any(ctx.needs_input_grad)
        tape = _Tape(x, weights, hidden, keep=keep)
        if keep:
            ctx.tape = tape
        return tape.states

    @staticmethod
    @torch.amp.custom_bwd(device_type="cpu")
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, Tensor, None]:
        upstream = grads[0].unbind(0)
        dx, dw, _ = ctx.tape.backward(lambda t, dh: dh.copy_(upstream[t]), inputs=ctx.needs_input_grad[0])
        return dx, dw, None


class _Attended(torch.autograd.Function):
    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.float32)
    def forward(ctx: Any, x: Tensor, weights: Tensor, contexts: Tensor) -> tuple[Tensor, Tensor]:
        hidden = contexts.shape[1] // 2
        keep = any(ctx.needs_input_grad)
        tape = _Tape(x, weights, hidden, contexts=contexts.detach().reshape(-1, hidden), keep=keep)
        scores = tape.scores[:, :, 0]
        attention = (scores[:, 0::2] + scores[:, 1::2].flip(0)).softmax(dim=0)
        each = both_ways(attention)[:, :, None]
        vectors = torch.zeros_like(tape.cells[0])
        for state, weight in zip(tape.states.unbind(0), each.unbind(0), strict=True):
            vectors.addcmul_(state, weight)
        if keep:
            ctx.tape, ctx.each = tape, each
        return vectors.reshape(len(contexts), -1, vectors.shape[2]), attention

    @staticmethod
    @torch.amp.custom_bwd(device_type="cpu")
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, Tensor, Tensor]:
        tape, each = ctx.tape, ctx.each
        dvectors = grads[0].reshape(tape.cells[0].shape)
        # How much each step's weight matters: Σ over units of h[t] · dvector, plus what came for it.
        dweights = torch.empty_like(each)
        work = torch.empty_like(dvectors)
        for state, out in zip(tape.states.unbind(0), dweights.unbind(0), strict=True):
            torch.sum(torch.mul(state, dvectors, out=work), dim=1, keepdim=True, out=out)
        dweights = dweights[:, :, 0]
        dattention = dweights[:, 0::2] + dweights[:, 1::2].flip(0) + grads[1]
        attention = each[:, 0::2, 0]
        dscores = both_ways(attention * (dattention - (attention * dattention).sum(dim=0)))[:, :, None]
        weights = each.unbind(0)
        dx, dw, dcontexts = tape.backward(
            lambda t, dh: torch.mul(dvectors, weights[t], out=dh), dscores, inputs=ctx.needs_input_grad[0]
        )
        return dx, dw, dcontexts.reshape(-1, 2 * tape.hidden)
