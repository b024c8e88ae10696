"""``regulome mutate``: every base of a region replaced by every other one, and what the run says to it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import expit, log_expit, logsumexp

import regulome
from regulome.errors import InputError
from regulome.explain.feature_profile import feature_table
from regulome.explain.mutation_folder import COLUMNS, FORMAT, INFO, SCHEMA, TABLE, Mutagenesis, open_mutagenesis
from regulome.explain.saturation import Saturator
from regulome.explain.stretches import Stretch, read_stretches
from regulome.genome.letters import LETTERS, UNKNOWN, reverse_complement
from regulome.genome.region import Region
from regulome.genome.sequence import Genome
from regulome.progress import progress
from regulome.storage import allocate_npy, check_target, new_folder
from regulome.training.feature_choice import choose_features
from regulome.training.runs import Run, open_run
from regulome.training.scorer import Scorer
from regulome.training.table_stream import new_table

Floats = NDArray[np.float64]
#: Number of features that are taken when none is named and the run has more.
FEATURES = 10
_LETTER = np.array([*LETTERS, "N"])


def mutate(
    run: Run | str | PathLike[str],
    *,
    region: str | Region | Sequence[str | Region] | None = None,
    genome: Genome | str | PathLike[str] | None = None,
    fasta: str | PathLike[str] | None = None,
    out: str | PathLike[str],
    features: Sequence[str] | str | None = None,
    tile: int | None = None,
    both_strands: bool | None = None,
    device: str = "auto",
    batch_size: int | None = None,
    overwrite: bool = False,
) -> Mutagenesis:
    """Compute what every single substitution in a region does to the predictions, and leave a folder.

    Memory and device: works on ``device``; one window is held at a time, its result as 16 bytes per base, feature and
    strand or member of an ensemble, and for networks that end in a large Linear a copy of that layer per member.

    A region or record that fits into the model's window is mutated in one window, laid around its middle. A longer
    one is cut into tiles of at most half a window, each mutated in a window around its own middle, so that every
    base has at least a quarter of a window on both sides. Beyond the ends of a chromosome or record, letters are
    unknown. An unknown letter in the region is replaced by all four.

    Probabilities are means over members and strands, and log odds are those of the mean probability, as in
    ``regulome variants``.

    Args:
        run: A run on DNA windows, or its folder.
        region: A region or several of ``genome``: ``"chr20:1,000-2,000"``; as in genome browsers the first base of a
            chromosome is 1 and both ends are included.
        genome: FASTA or 2bit.
        fasta: Instead: a FASTA file, every record of which is mutated from end to end.
        out: The folder to write; it appears when it is complete.
        features: Names or patterns (``"HepG2*"``) of the features to keep, ``"*"`` for all. None keeps the 10 with the
            highest probability (largest value) in the unmutated windows, all where there are no more.
        tile: Bases that are mutated in one window, at most; None decides as above.
        both_strands: Average both strands; None does as the run's recipe says.
        device: "auto", "cpu" or "cuda".
        batch_size: Mutants at a time; None takes what suits the network.
        overwrite: Replace ``out``.

    Returns:
        The folder: ``mutagenesis.tsv`` (region, chrom, position 0-based, ref, alt, feature, reference and alternative
        probability, difference, change of log odds), the same as arrays (:meth:`Mutagenesis.array`), and
        ``mutagenesis.json``.

    Raises:
        InputError: The run does not read DNA, a region lies outside the genome, no such feature, or ``out`` exists.
    """
    check_target(out, overwrite=overwrite)
    run = open_run(run)
    scorer = Scorer.from_run(run, device=device, both_strands=both_strands)
    stretches = read_stretches(region, genome, fasta)
    if tile is not None and not 1 <= tile <= scorer.length:
        raise InputError(f"tile must be from 1 to {scorer.length}, the window of the run, but got {tile}")
    jobs = [
        (stretch, begin, end)
        for stretch in stretches
        for begin, end in stretch.tiles(
            tile or (scorer.length if len(stretch) <= scorer.length else max(1, scorer.length // 2))
        )
    ]
    chosen = _choose(scorer, jobs, features)
    about = feature_table(run.info.target_names, run.info.features)[chosen]
    total = sum(len(stretch) for stretch in stretches)
    saturators = [Saturator(model, batch_size=batch_size) for model in scorer.models]
    reused = True
    with new_folder(out, overwrite=overwrite) as folder, progress("mutating", total, "bases") as advance:
        arrays = {
            "effects": allocate_npy(folder / "effects.npy", (len(chosen), 4, total), np.float32),
            "difference": allocate_npy(folder / "difference.npy", (len(chosen), 4, total), np.float32),
            "reference": allocate_npy(folder / "reference.npy", (len(chosen), total), np.float32),
            "codes": allocate_npy(folder / "codes.npy", (total,), np.uint8),
        }
        schema = {key: kind for key, kind in COLUMNS.items() if key != "log_odds" or scorer.task == "classification"}
        offset = 0
        with new_table(folder / TABLE, schema) as write:
            for stretch, begin, end in jobs:
                window, first = stretch.window((begin + end) // 2, scorer.length)
                places = np.arange(begin - first, end - first)
                outputs = []
                for found, way in _saturations(saturators, window, places, chosen, scorer.both_strands):
                    outputs.append(found)
                    reused &= way
                here = slice(offset, offset + len(places))
                mean, effects = _effects(outputs, scorer.task)
                arrays["codes"][here] = window[places]
                arrays["reference"][:, here] = mean[0][:, None]
                arrays["difference"][:, :, here] = (mean[1:] - mean[0]).reshape(-1, 4, len(chosen)).transpose(2, 1, 0)
                arrays["effects"][:, :, here] = effects.reshape(-1, 4, len(chosen)).transpose(2, 1, 0)
                write(_rows(stretch, begin, window[places], about["feature"].to_list(), mean, effects, list(schema)))
                offset = here.stop
                advance(len(places))
        manifest = {
            "format": FORMAT,
            "schema": SCHEMA,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "regulome": regulome.__version__,
            "run": {"path": str(Path(run.path).resolve()), "model": run.info.model, "members": len(scorer.models)},
            "task": scorer.task,
            "source": str(Path(fasta if fasta is not None else _path(genome)).resolve()),
            "window": scorer.length,
            "both_strands": scorer.both_strands,
            "reused": reused,
            "features": about.rename({"feature": "name"}).to_dicts(),
            "regions": _regions(stretches, jobs),
            "letters": LETTERS,
            "arrays": {
                name: {"file": f"{name}.npy", "shape": list(array.shape), "axes": _AXES[name], "unit": unit}
                for (name, array), unit in zip(arrays.items(), _units(scorer.task), strict=True)
            },
        }
        for array in arrays.values():
            array.flush()
        (folder / INFO).write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return open_mutagenesis(out)


_AXES = {
    "effects": ["feature", "letter", "base"],
    "difference": ["feature", "letter", "base"],
    "reference": ["feature", "base"],
    "codes": ["base"],
}


def _units(task: str) -> tuple[str, str, str, str]:
    if task == "classification":
        return (
            "change of the log odds (ln)",
            "change of the probability",
            "probability",
            "A 0, C 1, G 2, T 3, unknown 4",
        )
    return "change of the value", "change of the value", "value", "A 0, C 1, G 2, T 3, unknown 4"


def _path(genome: Genome | str | PathLike[str] | None) -> str | PathLike[str]:
    return genome.path if isinstance(genome, Genome) else genome or ""


def _regions(stretches: Sequence[Stretch], jobs: Sequence[tuple[Stretch, int, int]]) -> list[dict[str, Any]]:
    """What the manifest says of each stretch."""
    offsets = np.cumsum([0, *map(len, stretches)])
    return [
        {
            "name": stretch.name,
            "chrom": stretch.chrom,
            "start": stretch.start,
            "end": stretch.end,
            "offset": int(offset),
            "tiles": sum(one is stretch for one, _, _ in jobs),
        }
        for stretch, offset in zip(stretches, offsets[:-1], strict=True)
    ]


def _choose(
    scorer: Scorer, jobs: Sequence[tuple[Stretch, int, int]], features: Sequence[str] | str | None
) -> list[int]:
    """Positions of the wanted features among the run's outputs."""
    names = scorer.target_names
    if features is not None or len(names) <= FEATURES:
        return choose_features(names, features)
    highest = np.full(len(names), -np.inf, np.float32)
    for begin in range(0, len(jobs), scorer.batch_size):
        part = jobs[begin : begin + scorer.batch_size]
        windows = [stretch.window((first + last) // 2, scorer.length)[0] for stretch, first, last in part]
        highest = np.maximum(highest, scorer.probabilities(np.stack(windows)).max(axis=0))
    return sorted(np.argsort(-highest, kind="stable")[:FEATURES].tolist())


def _saturations(
    saturators: Sequence[Saturator],
    window: NDArray[np.uint8],
    places: NDArray[np.int64],
    outputs: Sequence[int],
    both_strands: bool,
) -> Iterator[tuple[Floats, bool]]:
    """Outputs of the window itself and then of all mutants, [1 + 4 · bases, outputs], per member and strand."""
    for saturator in saturators:
        found = saturator(window, positions=places, outputs=outputs)
        yield np.vstack([found.reference, found.mutants.reshape(-1, len(outputs))]).astype(np.float64), found.reused
        if both_strands:
            turned = np.ascontiguousarray(len(window) - 1 - places[::-1])
            found = saturator(reverse_complement(window), positions=turned, outputs=outputs)
            # Read backwards, and each letter stands where its complement was.
            mutants = found.mutants[::-1, ::-1].reshape(-1, len(outputs))
            yield np.vstack([found.reference, mutants]).astype(np.float64), found.reused


def _effects(outputs: Sequence[Floats], task: str) -> tuple[Floats, Floats]:
    """Mean probability or value, [1 + mutants, outputs], and change of log odds or value, [mutants, outputs]."""
    stacked = np.stack(outputs)
    if task != "classification":
        mean = stacked.mean(axis=0)
        return mean, mean[1:] - mean[0]
    if len(stacked) == 1:
        log_odds = stacked[0]
    else:
        log_odds = logsumexp(log_expit(stacked), axis=0) - logsumexp(log_expit(-stacked), axis=0)
    return expit(stacked).mean(axis=0), log_odds[1:] - log_odds[0]


def _rows(
    stretch: Stretch,
    begin: int,
    codes: NDArray[np.uint8],
    names: Sequence[str],
    mean: Floats,
    effects: Floats,
    columns: Sequence[str],
) -> pl.DataFrame:
    """A row per substitution and feature of one tile, by position, letter, feature."""
    position, letter = np.nonzero(np.arange(4) != codes[:, None])
    picked = 4 * position + letter
    count = len(names)
    alternative = mean[1:][picked].ravel()
    reference = np.tile(mean[0], len(picked))
    table = pl.DataFrame(
        {
            "position": np.repeat(begin + position, count),
            "ref": _LETTER[np.minimum(np.repeat(codes[position], count), UNKNOWN)],
            "alt": _LETTER[np.repeat(letter, count)],
            "feature": pl.Series(names, dtype=pl.String).gather(np.tile(np.arange(count), len(picked))),
            "reference": reference.astype(np.float32),
            "alternative": alternative.astype(np.float32),
            "difference": (alternative - reference).astype(np.float32),
            "log_odds": effects[picked].ravel().astype(np.float32),
        }
    )
    return table.select(
        *(pl.lit(value).alias(name) for name, value in (("region", stretch.name), ("chrom", stretch.chrom))),
        *(pl.col(name) for name in columns[2:]),
    )
