"""The probability table: everything that a model says about one sequence, most likely first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike

import numpy as np
import polars as pl

from regulome.errors import InputError
from regulome.explain.stretches import read_stretches
from regulome.genome.letters import UNKNOWN
from regulome.genome.region import Region
from regulome.genome.sequence import Genome
from regulome.training.runs import Run, open_run
from regulome.training.scorer import Scorer

#: What is known of a feature besides its name.
ABOUT = ("cell", "assay", "treatment", "group")


def profile(
    run: Run | str | PathLike[str],
    *,
    region: str | Region | Sequence[str | Region] | None = None,
    genome: Genome | str | PathLike[str] | None = None,
    fasta: str | PathLike[str] | None = None,
    both_strands: bool | None = None,
    device: str = "auto",
) -> pl.DataFrame:
    """List all features of a sequence by their probability.

    Memory and device: works on ``device``, a batch of windows at a time.

    The model's window is laid around the middle of each region or record; what lies beyond the ends of a chromosome or
    record is unknown letters. A record that is longer than the window is refused, because part of it would go unseen; a
    region names a place, whatever its width.

    Args:
        run: A run on DNA windows, or its folder. Of an ensemble the mean probability is told.
        region: A region or several of ``genome`` (``"chr20:1,000-2,000"``, the first base is 1).
        genome: FASTA or 2bit.
        fasta: Instead: a FASTA file, every record a sequence.
        both_strands: Average both strands; None does as the run's recipe says.
        device: "auto", "cpu" or "cuda".

    Returns:
        Columns ``sequence`` (its name), ``rank`` (1 is the most likely), ``feature, cell, assay, treatment, group``
        and ``probability`` (``value`` for a run that predicts values); one row per sequence and feature, sorted by
        sequence (as given) and rank.

    Raises:
        InputError: The run does not read DNA, a region lies outside the genome, or a record is too long or
            has no known letter.
    """
    run = open_run(run)
    scorer = Scorer.from_run(run, device=device, both_strands=both_strands)
    stretches = read_stretches(region, genome, fasta)
    for stretch in stretches:
        if fasta is not None and len(stretch) > scorer.length:
            raise InputError(
                f"has {len(stretch):,} bases, the run sees {scorer.length:,}",
                file=fasta,
                record=stretch.name,
                cure="cut it, or give it as --genome and name the place with --region",
            )
    windows = [one.window((one.start + one.end) // 2, scorer.length)[0] for one in stretches]
    for stretch, window in zip(stretches, windows, strict=True):
        if (window == UNKNOWN).all():
            raise InputError(f"the window around {stretch.name} has no known letter", file=fasta)
    scores = scorer.probabilities(np.stack(windows))
    about = feature_table(run.info.target_names, run.info.features)
    name = "probability" if scorer.task == "classification" else "value"
    tables = []
    for stretch, values in zip(stretches, scores, strict=True):
        table = about.with_columns(pl.Series(name, values)).sort(name, descending=True, maintain_order=True)
        first = [pl.lit(stretch.name).alias("sequence"), pl.int_range(1, pl.len() + 1).alias("rank")]
        tables.append(table.select(*first, *table.columns))
    return pl.concat(tables)


def feature_table(names: Sequence[str], features: Sequence[Mapping[str, str]]) -> pl.DataFrame:
    """Lay out what is known of a run's outputs.

    Args:
        names: Name of each output.
        features: What each of them is, or nothing.

    Returns:
        Columns feature, cell, assay, treatment, group; empty texts where nothing is known.
    """
    known = features if len(features) == len(names) else [{}] * len(names)
    columns = {key: [str(one.get(key) or "") for one in known] for key in ABOUT}
    return pl.DataFrame({"feature": list(names), **columns}, schema=dict.fromkeys(("feature", *ABOUT), pl.String))
