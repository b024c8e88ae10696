"""The methods of ``regulome explain``: each streams its maps to a folder and notes what they mean."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from regulome.explain.attention import stream_attention
from regulome.explain.average import Average
from regulome.explain.class_map import CLASSES, class_maps
from regulome.explain.gradient import stream_gradients
from regulome.explain.groups import GroupMeans
from regulome.progress import progress
from regulome.storage import allocate_npy


@dataclass
class Work:
    """What a method is given, and where it leaves what it found.

    Attributes:
        model: The run's members as one model.
        members: The members, each preprocessing + network.
        batches: The inputs of the chosen examples, in order: marks [batch, mark, bin], or genes with regions.
        high: Which of them are high, bool [n].
        labelled: Whether that is known.
        shape: (marks, bins) of one input.
        task: "classification" or "regression".
        folder: Where arrays go.
        seed: Of whatever is random.
        arrays: Name → axes of each array written.
        means: Quantity → group → mean map.
        notes: What else the manifest should say.
        top: Of each gene's strongest cell: "mark", "bin", "value", and "beta", the weight of the mark (NaN = none).
    """

    model: nn.Module
    members: list[nn.Module]
    batches: Iterable[Any]
    high: NDArray[np.bool_]
    labelled: bool
    shape: tuple[int, int]
    task: str
    folder: Path
    seed: int
    arrays: dict[str, list[str]] = field(default_factory=dict)
    means: dict[str, dict[str, NDArray[Any]]] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    top: dict[str, NDArray[Any]] = field(default_factory=dict)

    def stream(self, parts: Iterable[dict[str, NDArray[np.float32]]], axes: dict[str, list[str]]) -> None:
        """Write the arrays that come batch by batch straight to disk, and sum up their means."""
        sums, maps, begin = GroupMeans(self.high, labelled=self.labelled), {}, 0
        with progress("explaining", len(self.high), "genes") as advance:
            for part in parts:
                for name, values in part.items():
                    if name in axes:
                        if name not in maps:
                            shape = (len(self.high), *values.shape[1:])
                            maps[name] = allocate_npy(self.folder / f"{name}.npy", shape, np.float32)
                        maps[name][begin : begin + len(values)] = values
                    sums.add(name, begin, values)
                rows = len(next(iter(part.values())))
                begin += rows
                advance(rows)
        for array in maps.values():
            array.flush()
        self.arrays = {name: axes[name] for name in maps}
        self.means = dict(sums.means())


def _attention(work: Work) -> None:
    def parts() -> Iterator[dict[str, NDArray[np.float32]]]:
        for maps in stream_attention(work.model, work.batches):
            found = {"alpha": maps.bins} if maps.marks is None else {"alpha": maps.bins, "beta": maps.marks}
            yield remember(work, found, maps.bins, maps.marks)

    work.stream(parts(), {"alpha": ["example", "mark", "position"], "beta": ["example", "mark"]})


def _gradient(work: Work, *, output: int = 0) -> None:
    def parts() -> Iterator[dict[str, NDArray[np.float32]]]:
        inputs: list[NDArray[np.float32]] = []

        def kept() -> Iterator[Tensor]:
            for batch in work.batches:
                inputs.append(batch.float().cpu().numpy())
                yield batch

        for maps in stream_gradients(work.model, kept(), output=output):
            found = {"gradient": maps.gradient, "gradient_x_input": maps.gradient_x_input, "input": inputs.pop()}
            yield remember(work, found, np.abs(maps.gradient_x_input), None)

    axes = ["example", "mark", "bin"]
    work.stream(parts(), {"gradient": axes, "gradient_x_input": axes})


def _class_map(
    work: Work,
    *,
    penalty: float = 0.009,
    learning_rate: float = 0.1,
    steps: int = 1000,
    restarts: int = 8,
    settle: int | None = None,
) -> None:
    raw = not _steps_before(work.members[0])
    if settle is None:
        # To the letter where the run follows the paper in taking raw inputs; less noise where it does not anyway.
        settle = 1 if raw else max(1, steps // 5)
    networks = [getattr(member, "network", member) for member in work.members]
    task = "classification" if work.task == "classification" else "regression"
    found = class_maps(
        Average(networks),
        work.shape,
        task=task,  # type: ignore[arg-type]
        penalty=penalty,
        learning_rate=learning_rate,
        steps=steps,
        restarts=restarts,
        settle=settle,
        seed=work.seed,
    )
    maps = {"class_map": found.maps, "class_map_optimum": found.optimum, "class_map_mean": found.mean}
    for name, values in maps.items():
        np.save(work.folder / f"{name}.npy", values)
        work.arrays[name] = ["class", "mark", "bin"]
        work.means[name] = dict(zip(CLASSES, values, strict=True))
    work.notes = {
        "classes": list(CLASSES),
        "losses": found.losses.tolist(),
        "agreement": found.agreement.tolist(),
        "space": "raw inputs, as published" if raw else f"inputs after {' and '.join(_steps_before(work.members[0]))}",
        "raw": raw,
        "settle": settle,
    }


def _steps_before(member: nn.Module) -> list[str]:
    """Name what happens to the inputs before the network sees them; class maps live behind it."""
    before = getattr(member, "preprocess", None)
    words = {"standard": "standardising"}
    steps = (getattr(before, "transform", "none"), getattr(before, "scale", "none"))
    return [words.get(step, step) for step in steps if step != "none"]


def remember(
    work: Work, found: dict[str, NDArray[np.float32]], cells: NDArray[np.float32], marks: NDArray[np.float32] | None
) -> dict[str, NDArray[np.float32]]:
    """Note each example's strongest mark and bin while its maps are in memory; gives ``found`` back."""
    n, rows, bins = cells.shape
    if marks is None:
        row, column = np.divmod(cells.reshape(n, -1).argmax(axis=1), bins)
        weight = np.full(n, np.nan, np.float32)
    else:
        row = marks.argmax(axis=1)
        column = cells[np.arange(n), row].argmax(axis=1)
        weight = marks.max(axis=1)
    values = found.get("gradient_x_input", cells)[np.arange(n), row, column]
    # Attention over all marks together names none of them: the index after the last.
    named = np.full(n, work.shape[0]) if rows < work.shape[0] else row
    new = {"mark": named, "bin": column, "value": values, "beta": weight}
    for name, values in new.items():
        work.top[name] = np.concatenate([work.top[name], values]) if name in work.top else values
    return found


#: Every method by name; the keyword arguments of its function are its parameters.
METHODS: dict[str, Callable[..., None]] = {"attention": _attention, "class-map": _class_map, "gradient": _gradient}
