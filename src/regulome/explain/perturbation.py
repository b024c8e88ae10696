"""``regulome perturb``: what runs predict when the signal of chosen marks is weaker, gone, or another gene's."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

import regulome
from regulome.datasets.dataset import Dataset
from regulome.errors import InputError
from regulome.explain.perturbation_enrichment import enrich, rank_places, read_loci
from regulome.explain.perturbation_folder import (
    COLUMNS,
    EFFECTS,
    ENRICHMENT,
    FORMAT,
    INFO,
    PROFILE,
    SCHEMA,
    TOP,
    Perturbation,
    open_perturbation,
)
from regulome.explain.perturbation_genes import Genes, choose_genes
from regulome.explain.perturbation_places import Places, make_places, published_places
from regulome.explain.perturbation_profile import Profile
from regulome.explain.perturbation_rows import Where, effect_rows
from regulome.explain.perturbation_runs import Reader, blocks, mark_sets
from regulome.progress import progress
from regulome.storage import check_target, new_folder
from regulome.training.device import choose_device
from regulome.training.prediction import as_dataset
from regulome.training.runs import Run, open_run
from regulome.training.table_stream import new_table

logger = logging.getLogger(__name__)

Floats = NDArray[np.float32]
#: The published strengths.
FACTORS = tuple(round(1 - 0.1 * step, 1) for step in range(11))
#: Predictions of a block of genes that are held at a time, and genes of a block at most.
_HELD, _GENES = 1 << 19, 256
#: Copies that go through a network at once: on windows of marks, and on regions.
_COPIES, _REGION_COPIES = 512, 128
_ACTIONS = ("scale", "remove", "swap", "cut")
_RELATIVE = ("original", "perturbed", "nothing")


def perturb(
    runs: Run | str | PathLike[str] | Sequence[Run | str | PathLike[str]],
    out: str | PathLike[str],
    *,
    dataset: Dataset | str | PathLike[str] | None = None,
    split: str | None = None,
    marks: Sequence[str] = (),
    region: str = "promoter",
    action: Literal["scale", "remove", "swap", "cut"] = "scale",
    factors: Sequence[float] = (),
    donor: str = "mean",
    chunk: int | None = None,
    promoter: int | None = None,
    preset: Literal["published"] | None = None,
    relative_to: Literal["original", "perturbed", "nothing"] | None = None,
    genes: str | PathLike[str] = "all",
    loci: Sequence[str | PathLike[str]] = (),
    top: float = 0.1,
    draws: int = 10_000,
    limit: int | None = None,
    batch_size: int | None = None,
    device: str = "auto",
    seed: int = 0,
    skip_invalid: bool = False,
    overwrite: bool = False,
) -> Perturbation:
    """Perturb the signal of marks in silico, and leave a folder.

    Every set of marks is perturbed in every place of a gene, by every factor p: the features there (what the run's
    transformation makes of the marks, ln(1 + depth) say) are multiplied by p, or moved from the gene's own (p = 1) to
    another signal (p = 0). A bin that lies in a place in part takes that share of the change. Predictions are means
    over members and runs.

    Memory and device: the networks work on ``device``, many copies at once; effects go to disk block by block. A copy
    in which nothing changes, because there is no signal, is not computed.

    Args:
        runs: A run or several, such as the folds of a cross-validation, or their folders.
        out: The folder to write; it appears when it is complete.
        dataset: A dataset or its folder; the first run's own when not given.
        split: Each gene is predicted by the runs that had it in this part: "train", "valid", "test" (the default: no
            run has learned from it) or "all" (the preset's).
        marks: Marks, each perturbed by itself; "H3K27ac+H3K4me1" or "all" together. Empty: each of the run's.
        region: "promoter": the middle of the window. "distal": the window chunk by chunk, without the promoter.
            "FROM:TO": a stretch, bp from the TSS. "pcre": each of the regions that touch the gene, and all together,
            for networks that read them.
        action: "scale": multiply by each factor. "remove": by 0. "swap": move toward the signal of ``donor``. "cut":
            take pCREs off the gene as if they did not touch it.
        factors: What is left of the own signal; empty takes 1.0, 0.9 … 0.0 for "scale", 0.0 otherwise.
        donor: For "swap": "mean", "high" or "low" genes' mean, "random" (another gene for each), or a gene's id.
        chunk: Base pairs of a chunk; None takes a twentieth of the window, 2 kb of 40 kb.
        promoter: Base pairs of the promoter; None takes three chunks, 6 kb of 40 kb. 0 leaves nothing out.
        preset: "published": windows of 40 kb, the paper's bins and distances, all genes predicted by all runs, changes
            relative to the perturbed prediction.
        relative_to: What ``change`` is relative to: (prediction − original) / original (the default), / prediction, or
            the plain difference.
        genes: "all"; "high" or "low"; "top:SHARE" or "bottom:SHARE" by value; or a file with a name on each line.
        loci: BED or VCF files: are the places that matter most enriched for them?
        top: The share of places, by |change|, that count as those that matter most.
        draws: Random sets of places, matched in distance and signal, that the enrichment is compared with.
        limit: At most so many genes.
        batch_size: Copies that go through a network at once; None takes what suits it.
        device: "auto", "cpu", "cuda" or "cuda:N".
        seed: Of all draws.
        skip_invalid: Leave invalid rows of loci out instead of refusing the file.
        overwrite: Replace ``out``.

    Returns:
        The folder: ``effects.parquet``, ``profile.tsv``, where genes have several places ``top.tsv``, with loci
        ``enrichment.tsv``, and ``perturbation.json``.

    Raises:
        InputError: A run that reads no marks, runs of different marks or windows, an unknown word, no genes, wrong
            loci, or ``out`` exists.
    """
    check_target(out, overwrite=overwrite)
    opened = [open_run(run) for run in ([runs] if isinstance(runs, Run | str | PathLike) else runs)]
    factors = _checked(opened, action, region, tuple(factors), preset, relative_to, top)
    relative = relative_to or ("perturbed" if preset else "original")
    data = opened[0].dataset() if dataset is None else as_dataset(dataset)
    where = choose_device(device)
    readers = [Reader(run, data, action, where) for run in opened]
    names, sets = mark_sets(readers[0].marks, marks)
    places = _places(readers, region, preset, chunk, promoter)
    part = split or ("all" if preset else "test")
    chosen = choose_genes(opened, data, part, str(genes), limit, seed)
    found_loci = [read_loci(path, data, skip_invalid=skip_invalid) for path in loci]
    if action == "swap":
        for reader, seen in zip(readers, chosen.seen, strict=True):
            reader.swap_with(donor, chosen.rows[seen], seed)
    many = places is None or len(places) > 1
    with new_folder(out, overwrite=overwrite) as folder:
        profile = Profile(names, factors, places, labelled=data.task != "unlabelled")
        copies = batch_size or (_REGION_COPIES if readers[0].distal else _COPIES)
        work = _Work(readers, data, chosen, names, sets.to(where), factors, places, relative, copies)
        work.write(folder, profile)
        profile.table().write_csv(folder / PROFILE, separator="\t")
        if many:
            rank_places(folder / EFFECTS, names, min(factors), top, found_loci).write_csv(folder / TOP, separator="\t")
        if found_loci and many:
            table = enrich(folder / EFFECTS, names, min(factors), found_loci, top=top, draws=draws, seed=seed)
            table.write_csv(folder / ENRICHMENT, separator="\t")
        manifest: dict[str, Any] = {
            "format": FORMAT,
            "schema": SCHEMA,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "regulome": regulome.__version__,
            "runs": [
                {"path": str(run.path.resolve()), "model": run.info.model, "members": len(run.info.members)}
                for run in opened
            ],
            "dataset": {"path": str(Path(data.path).resolve()), "checksum": data.checksum},
            "split": part,
            "genes": str(genes),
            "examples": len(chosen),
            "groups": {"high": int(chosen.high.sum()), "low": int((~chosen.high).sum()), "rule": chosen.rule},
            "task": opened[0].info.task,
            "marks": names,
            "region": region,
            "action": action,
            "factors": list(factors),
            "donor": donor if action == "swap" else None,
            "preset": preset,
            "relative_to": relative,
            "window": readers[0].window,
            "places": None if places is None else len(places),
            "top": top,
            "loci": [locus.record for locus in found_loci],
            "draws": draws,
            "seed": seed,
        }
        (folder / INFO).write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return open_perturbation(out)


class _Work:
    """The predictions, block of genes by block."""

    def __init__(
        self,
        readers: Sequence[Reader],
        dataset: Dataset,
        genes: Genes,
        names: Sequence[str],
        sets: torch.Tensor,
        factors: Sequence[float],
        places: Places | None,
        relative: str,
        copies: int,
    ) -> None:
        self.readers, self.dataset, self.genes, self.names, self.sets = readers, dataset, genes, names, sets
        self.factors, self.places, self.relative, self.copies = factors, places, relative, copies
        seen = [reader.run.info.pcres for reader in readers]
        self.where = Where(dataset, places, -1 if min(seen) < 0 else max(seen))

    def write(self, folder: Path, profile: Profile) -> None:
        """Predict, write the effects, and add them to the profile."""
        each = len(self.names) * len(self.factors) * (len(self.places) if self.places else 9)
        size = max(1, min(_GENES, _HELD // each))
        with (
            torch.inference_mode(),
            new_table(folder / EFFECTS, COLUMNS) as write,
            progress("perturbing", len(self.genes), "genes") as advance,
        ):
            for part in blocks(len(self.genes), size):
                genes = self.genes.take(np.arange(part.start, part.stop))
                spots = self.where(genes.rows)
                original, perturbed, signal = self._predict(genes)
                difference = perturbed - original[:, None, None, None]
                base = {"original": original[:, None, None, None], "perturbed": perturbed}.get(self.relative)
                change = difference
                if base is not None:
                    with np.errstate(divide="ignore", invalid="ignore"):
                        change = np.where(base != 0, difference / base, np.nan)
                distance = None if self.places is not None else spots.distance
                profile.add(difference, change, genes.high, spots.present, distance)
                runs = genes.seen.sum(axis=0)
                write(effect_rows(spots, self.names, self.factors, original, perturbed, change, signal, runs))
                advance(len(genes))

    def _predict(self, genes: Genes) -> tuple[Floats, Floats, Floats]:
        """Mean predictions over the runs: originals [genes], perturbed and signal [genes, sets, places(, factors)]."""
        shape = (len(genes), len(self.sets), self.where.count(genes.rows))
        total = np.zeros((len(genes), 1 + shape[1] * shape[2] * len(self.factors)), np.float64)
        signal = np.full(shape, np.nan, np.float32)
        for reader, seen in zip(self.readers, genes.seen, strict=True):
            if not seen.any():
                continue
            block = reader.block(genes.rows[seen], self.places)
            # Places that only other genes of the block have are not there.
            grid = block.grid(self.sets, self.factors, self.copies).T
            kept = block.present.shape[1]
            own = np.repeat(grid[:, :1], total.shape[1], axis=1)
            inner = own[:, 1:].reshape(len(grid), *shape[1:], len(self.factors))
            inner[:, :, :kept] = grid[:, 1:].reshape(len(grid), shape[1], kept, len(self.factors))
            total[seen] += np.concatenate([grid[:, :1], inner.reshape(len(grid), -1)], axis=1)
            means = torch.einsum("gmk,qm->gqk", block.signal, self.sets / self.sets.sum(1, keepdim=True))
            first = np.isnan(signal[seen]).all(axis=(1, 2))
            rows = np.flatnonzero(seen)[first]
            signal[rows, :, :kept] = means.cpu().numpy()[first]
        mean = (total / genes.seen.sum(axis=0)[:, None]).astype(np.float32)
        return mean[:, 0], mean[:, 1:].reshape(*shape, len(self.factors)), signal


def _checked(
    runs: Sequence[Run],
    action: str,
    region: str,
    factors: tuple[float, ...],
    preset: str | None,
    relative_to: str | None,
    top: float,
) -> tuple[float, ...]:
    """Refuse what cannot be done before any work; return the factors."""
    if not runs:
        raise InputError("no run is named")
    for run in runs:
        if run.info.line != "expression":
            raise InputError("perturb takes runs on histone marks", file=run.path, cure="for DNA: regulome mutate")
        other = (run.info.marks, run.info.bins * run.info.bin_size, run.info.task)
        if other != (runs[0].info.marks, runs[0].info.bins * runs[0].info.bin_size, runs[0].info.task):
            raise InputError(
                f"sees other marks or another window than {runs[0].path.name}, or predicts something else",
                file=run.path,
                cure="perturb runs of one model together, others by themselves",
            )
    if action not in _ACTIONS:
        raise InputError(f"unknown action {action!r}", cure=f"choose from {', '.join(_ACTIONS)}")
    if preset not in (None, "published"):
        raise InputError(f"unknown preset {preset!r}", cure="there is published")
    if relative_to not in (None, *_RELATIVE):
        raise InputError(f"unknown relative_to {relative_to!r}", cure=f"choose from {', '.join(_RELATIVE)}")
    if not 0 < top < 1:
        raise InputError(f"top = {top:g}: expected a share between 0 and 1")
    if action == "cut" and region != "pcre":
        raise InputError(f"only pCREs can be cut off, not {region}", cure="give --action remove, or --region pcre")
    if action == "swap" and region == "pcre":
        raise InputError("pCREs have no counterpart in another gene to swap with", cure="give --action remove or cut")
    values = factors or (FACTORS if action == "scale" else (0.0,))
    if any(not 0 <= value <= 1 for value in values) or len(set(values)) < len(values):
        raise InputError(f"factors = {list(values)}: expected different numbers from 0 to 1")
    return tuple(sorted(values, reverse=True))


def _places(
    readers: Sequence[Reader], region: str, preset: str | None, chunk: int | None, promoter: int | None
) -> Places | None:
    first = readers[0]
    if region == "pcre":
        without = next((reader for reader in readers if not reader.distal), None)
        if without is not None:
            raise InputError("its network reads no pCREs", file=without.run.path, cure="perturb promoter or distal")
        if preset:
            raise InputError("the preset never touches pCREs", cure="give --region promoter or distal")
        return None
    if preset:
        return published_places(region, first.window)
    return make_places(region, first.window, min(first.resolutions), chunk=chunk, promoter=promoter)
