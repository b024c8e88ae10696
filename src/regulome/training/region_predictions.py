"""``regulome predict`` for a sequence run: regions of a genome or records of a FASTA file to a table."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from regulome.errors import InputError
from regulome.genome.bed_regions import SCHEMA, BedRegions
from regulome.genome.fasta import Sequences, read_sequences
from regulome.genome.letters import UNKNOWN
from regulome.genome.sequence import Genome, open_genome
from regulome.progress import progress
from regulome.storage import check_target
from regulome.training.feature_choice import choose_features, distinct_names
from regulome.training.runs import Run
from regulome.training.scorer import BATCH_SIZE, Scorer
from regulome.training.table_stream import new_table, table_ending

logger = logging.getLogger(__name__)

#: Windows that are scored before their rows are written.
_ROWS = 2048
_RECORD = {"name": pl.String, "length": pl.Int64}


def predict_regions(
    run: Run | Scorer | str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    bed: str | os.PathLike[str] | None = None,
    fasta: str | os.PathLike[str] | None = None,
    genome: Genome | str | os.PathLike[str] | None = None,
    features: Sequence[str] | str | None = None,
    pad: bool = False,
    both_strands: bool | None = None,
    batch_size: int = BATCH_SIZE,
    device: str = "auto",
    skip_invalid: bool = False,
    overwrite: bool = False,
) -> int:
    """Predict regions of a genome (``bed`` and ``genome``) or the records of a FASTA file (``fasta``).

    The window of a region has its middle at the region's middle, ``(start + end) // 2``, and the length that the run
    takes, however long the region is. Where strands are not averaged, regions on the minus strand are read from it.
    A window without a single known letter is not predicted: its row has no values.

    Memory and device: a few thousand windows at a time; records of a FASTA file are held as one byte per base.

    Args:
        run: The run, its folder, or a scorer (then ``both_strands``, ``batch_size`` and ``device`` are the scorer's).
        out: ``.tsv``, ``.csv`` (also ``.gz``) or ``.parquet``.
        bed: BED, narrowPeak or broadPeak; plain or gzip.
        fasta: Sequences of the length that the run takes.
        genome: FASTA or 2bit on which the regions lie.
        features: Names or patterns of the features to tell; all by default.
        pad: Take the middle of longer records of a FASTA file, and add unknown letters to both ends of shorter ones,
            instead of refusing the file.
        both_strands: Average over both strands; None does as the run's recipe says.
        batch_size: Windows at a time.
        device: "auto", "cpu" or "cuda".
        skip_invalid: Leave wrong rows of ``bed`` out instead of refusing it.
        overwrite: Replace an existing file.

    Returns:
        Number of rows. Their columns are ``chrom, start, end, name, strand`` as in the BED file, or ``name, length`` of
        the record; then for each feature, under its name, the probability (or value).

    Raises:
        InputError: Not one of ``bed`` and ``fasta``, a region without a genome, wrong rows, records of another length,
            no such feature, the run does not read DNA, or ``out`` exists.
    """
    if (bed is None) == (fasta is None):
        raise InputError("what is to be predicted is not clear", cure="give --bed and --genome, or --fasta")
    table_ending(out)
    check_target(out, overwrite=overwrite)
    scorer = run
    if not isinstance(scorer, Scorer):
        scorer = Scorer.from_run(scorer, device=device, both_strands=both_strands, batch_size=batch_size)
    chosen = choose_features(scorer.target_names, features)
    if bed is not None:
        if genome is None:
            raise InputError("regions need a genome", file=bed, cure="give --genome")
        genome = genome if isinstance(genome, Genome) else open_genome(genome)
        regions = BedRegions(bed, genome, skip_invalid=skip_invalid)
        total = _checked(regions, scorer.length)
        parts, schema = _regions(regions, scorer), SCHEMA
    elif fasta is not None:
        sequences = read_sequences(fasta)
        _check_lengths(sequences, scorer.length, pad, fasta)
        total, parts, schema = len(sequences), _records(sequences, scorer.length), _RECORD
    names = distinct_names([scorer.target_names[i] for i in chosen])
    taken = [name for name in names if name in schema]
    names = [f"{name}_prediction" if name in taken else name for name in names]
    unknown = 0
    with (
        new_table(out, {**schema, **dict.fromkeys(names, pl.Float32)}, overwrite=overwrite) as write,
        progress("predicting", total, "windows") as advance,
    ):
        for table, codes in parts:
            values = np.full((len(codes), len(names)), np.nan, np.float32)
            some = (codes != UNKNOWN).any(1)
            unknown += int((~some).sum())
            values[some] = scorer.probabilities(codes[some])[:, chosen]
            columns = [pl.Series(name, values[:, place]).fill_nan(None) for place, name in enumerate(names)]
            write(table.with_columns(columns))
            advance(len(codes))
    if unknown:
        logger.warning(f"{unknown:,} of {total:,} windows have no known letter: their rows have no values")
    return total


def _checked(regions: BedRegions, length: int) -> int:
    """Read the file once, so that what is wrong with it is told before the long work; return the number of rows."""
    longer = 0
    for table in regions:
        longer += int((table["end"] - table["start"] > length).sum())
    if longer:
        logger.info(f"{longer:,} of {regions.rows:,} regions are longer than {length} bp: their middle is predicted")
    if regions.invalid.count:
        line, problem = regions.invalid.first[0]
        logger.warning(f"{regions.invalid.count:,} rows left out; the first is line {line}: {problem}")
    return regions.rows


def _regions(regions: BedRegions, scorer: Scorer) -> Iterator[tuple[pl.DataFrame, npt.NDArray[np.uint8]]]:
    for table in regions:
        for part in table.iter_slices(_ROWS):
            middles = (part["start"] + part["end"]).to_numpy() // 2
            reverse = None if scorer.both_strands else (part["strand"] == "-").to_numpy()
            starts = middles - scorer.length // 2
            codes = regions.genome.windows(part["code"].to_numpy(), starts, scorer.length, reverse=reverse)
            yield part.drop("code"), codes


def _check_lengths(sequences: Sequences, length: int, pad: bool, file: str | os.PathLike[str]) -> None:
    other = np.flatnonzero(sequences.lengths != length)
    if not len(other):
        return
    first = int(other[0])
    if not pad:
        raise InputError(
            f"has {sequences.lengths[first]:,} bases, the run takes {length:,}; {len(other):,} of {len(sequences):,} "
            "records have another length",
            file=file,
            record=sequences.names[first],
            cure="cut them to this length, or give --pad to take the middle of longer and pad shorter ones",
        )
    logger.info(f"{len(other):,} of {len(sequences):,} records are cut or padded to {length:,} bases")


def _records(sequences: Sequences, length: int) -> Iterator[tuple[pl.DataFrame, npt.NDArray[np.uint8]]]:
    for begin in range(0, len(sequences), _ROWS):
        rows = slice(begin, begin + _ROWS)
        sizes = sequences.lengths[rows]
        # The middle base of a record stands in the middle of its window.
        places = (sizes // 2 - length // 2)[:, None] + np.arange(length)
        inside = (places >= 0) & (places < sizes[:, None])
        first = sequences.offsets[begin : begin + len(sizes), None]
        codes = np.where(inside, sequences.codes[np.where(inside, places, 0) + first], np.uint8(UNKNOWN))
        yield pl.DataFrame({"name": sequences.names[rows], "length": sizes}, schema=_RECORD), codes
