"""Training character models on a text of 2 Mb, 64 streams of windows of 100 letters with carried state: characters per
CPU second of forward pass, loss, backward pass, gradient clipping and Adam step, batches from the loader included; with
two GRU layers of 128 units and, as ``lstm``, two LSTM layers.

Ours is what the recipes train: network, loader, loss and optimiser are theirs. Peer: the plain way, a Python loop over
the letters that calls ``nn.GRUCell`` (``nn.LSTMCell``) layer by layer, with the same weights and the same batches.
Before anything is timed, the two ways' logits are compared.

``list_ratio``: ours against the same network fed from a Python list of letters, whose windows are sliced and turned
into numbers letter by letter; ``torch_ratio``: against ``nn.GRU`` (``nn.LSTM``) in the network's place, fed like that.
``loader_share``: CPU seconds of our loader as a share of those of training; ``list_loader_share``: of the list's, of
training the same network from it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.measure import interleaved, prepared, result
from regulome import models
from regulome.datasets import open_dataset
from regulome.datasets.build_language import prepare_language
from regulome.datasets.language_batches import LanguageBatches
from regulome.models.recurrent import threads_for
from regulome.recipes import load_recipe
from regulome.training.loss import Loss
from regulome.training.optimizer import make_optimizer

LETTERS, LENGTH, BATCH, STEPS = 2_000_000, 100, 64, 2
#: Batches that the loaders are timed by.
LOADED = 64
CELLS = {"gru": nn.GRUCell, "lstm": nn.LSTMCell}

Batches = Iterator[tuple[Tensor, Tensor]]


def run(data_dir: Path) -> dict[str, object]:
    text = _write_text(data_dir / "language-train.fa")
    os.environ.setdefault("REGULOME_CACHE", str((data_dir / "cache").resolve()))
    folder = data_dir / "language-train-dataset"
    prepare_language([text], folder, length=LENGTH, overwrite=True)
    dataset = open_dataset(folder)
    rows = np.flatnonzero(dataset.regions["split"].to_numpy() == "train")
    letters = list("".join(text.read_text().splitlines()[1:]))
    ours = _endless(LanguageBatches(dataset, rows, batch_size=BATCH))
    listed = _from_list(letters)
    alone = interleaved({"ours": lambda: _load(ours), "list": lambda: _load(listed)})
    figures: dict[str, Any] = {}
    rates: dict[str, float] = {}
    for cell in CELLS:
        torch.manual_seed(0)
        network = models.create(f"char-{cell}").train()
        loop, layers = _Loop(network, cell), _TorchLayers(network)
        codes, _ = next(ours)
        with torch.no_grad():
            for other in (loop, layers):
                torch.testing.assert_close(other(codes)[0], network(codes)[0], atol=1e-5, rtol=0)
        works = {
            "ours": _train(network, cell, ours),
            "loop": _train(loop, cell, ours),
            "list": _train(network, cell, listed),
            "torch": _train(layers, cell, listed),
        }
        works["ours"]()
        rates = {way: STEPS * BATCH * LENGTH / time for way, time in interleaved(works, repeats=5).items()}
        shares = {way: _rounded(alone[way] * rates[way] / (LOADED * BATCH * LENGTH)) for way in alone}
        prefix = "" if cell == "gru" else f"{cell}_"
        figures |= {prefix + "loader_share": shares["ours"], prefix + "list_loader_share": shares["list"]}
        figures |= {f"{prefix}{way}_ratio": _rounded(rates["ours"] / rates[way]) for way in ("list", "torch")}
        if prefix:
            figures |= {cell: round(rates["ours"]), f"{cell}_ratio": _rounded(rates["ours"] / rates["loop"])}
        else:
            answer = rates
    return result(
        answer["ours"],
        answer["loop"],
        unit="characters/CPU s",
        peer_name="a Python loop over the letters with nn.GRUCell, same weights and batches",
        **figures,
        threads=torch.get_num_threads(),
    )


class _TorchLayers(nn.Module):
    """The same network with torch's layers; it shares the parameters."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.letters, self.recurrent, self.answer = network.letters, network.recurrent, network.answer

    def forward(self, codes: Tensor, state: tuple[Tensor, ...] | None = None) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Give logits [batch, letter, 4] and the state, as torch has it."""
        before: Any = None if state is None else state if len(state) == 2 else state[0]
        y, after = self.recurrent(self.letters(codes), before)
        return self.answer(y), after if isinstance(after, tuple) else (after,)


class _Loop(nn.Module):
    """The same network, letter by letter and layer by layer; it shares the parameters."""

    def __init__(self, network: Any, cell: str) -> None:
        super().__init__()
        self.letters, self.answer = network.letters, network.answer
        layers = network.recurrent
        self.cells = nn.ModuleList()
        for layer in range(layers.num_layers):
            one = CELLS[cell](layers.hidden_size if layer else layers.input_size, layers.hidden_size)
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                setattr(one, name, getattr(layers, f"{name}_l{layer}"))
            self.cells.append(one)

    def forward(self, codes: Tensor, state: tuple[Any, ...] | None = None) -> tuple[Tensor, tuple[Any, ...]]:
        """Give logits [batch, letter, 4] and the state, layer by layer."""
        x, outputs = self.letters(codes), []
        states = list(state or [None] * len(self.cells))
        for t in range(codes.shape[1]):
            value = x[:, t]
            for layer, cell in enumerate(self.cells):
                states[layer] = cell(value, states[layer])
                value = states[layer][0] if isinstance(states[layer], tuple) else states[layer]
            outputs.append(value)
        return self.answer(torch.stack(outputs, 1)), tuple(states)


def _detached(state: Any) -> Any:
    return tuple(_detached(part) for part in state) if isinstance(state, tuple) else state.detach()


def _train(network: nn.Module, cell: str, batches: Batches) -> Callable[[], None]:
    training = load_recipe(f"char-{cell}").training
    optimizer, loss = make_optimizer(training, network), Loss("next-letter")
    state: Any = None

    def chunk() -> None:
        nonlocal state
        with threads_for(network):
            for codes, following in islice(batches, STEPS):
                optimizer.zero_grad(set_to_none=True)
                logits, state = network(codes, None if state is None else _detached(state))
                loss(logits, following).backward()
                nn.utils.clip_grad_norm_(network.parameters(), training.gradient_clip)
                optimizer.step()

    return chunk


def _load(batches: Batches) -> None:
    if sum(codes.numel() for codes, _ in islice(batches, LOADED)) != LOADED * BATCH * LENGTH:
        raise AssertionError("the loader lost letters")


def _endless(batches: LanguageBatches) -> Batches:
    epoch = 0
    while True:
        batches.set_epoch(epoch)
        for batch in batches:
            yield batch.inputs, batch.targets
        epoch += 1


def _from_list(letters: list[str]) -> Batches:
    """Batches as a script makes them."""
    numbers = {"A": 0, "C": 1, "G": 2, "T": 3}
    part = len(letters) // BATCH
    while True:
        for step in range(0, part - LENGTH, LENGTH):
            inputs, following = [], []
            for stream in range(BATCH):
                begin = stream * part + step
                inputs.append([numbers[letter] for letter in letters[begin : begin + LENGTH]])
                following.append([numbers[letter] for letter in letters[begin + 1 : begin + LENGTH + 1]])
            yield torch.tensor(inputs), torch.tensor(following)


def _write_text(fasta: Path) -> Path:
    with prepared(fasta) as path:
        if path:
            text = np.random.default_rng(0).choice(np.frombuffer(b"ACGT", np.uint8), LETTERS).reshape(-1, 80)
            lines = np.column_stack([text, np.full(len(text), 10, np.uint8)])
            path.write_bytes(b">chr1\n" + lines.tobytes())
    return fasta


def _rounded(value: float) -> float:
    return float(f"{value:.2g}") if value < 1 else round(value, 2)
