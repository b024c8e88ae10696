"""How surprising DNA is to a model of texts: letter by letter along a genome, or record by record."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from torch import nn

from regulome import storage
from regulome.errors import InputError
from regulome.genome.bigwig_writer import Values, write_bigwig
from regulome.genome.fasta import read_sequences
from regulome.genome.letters import UNKNOWN, Codes
from regulome.genome.sequence import Genome, open_genome
from regulome.progress import progress
from regulome.training.device import choose_device
from regulome.training.runs import Run, open_run
from regulome.training.table_stream import new_table, table_ending
from regulome.training.text_scores import CONTEXT, STREAMS, Places, Reader, perplexity, text_bits, total_bits

logger = logging.getLogger(__name__)

ENDINGS = (".bw", ".bigwig")
#: Bases of a chromosome that are scored before they are written.
_PIECE = 1 << 23
#: Values that the writer of the bigWig gets at a time.
_VALUES = 1 << 18
#: A chromosome is cut into chunks of at least so many times the letters that each is warmed up on.
_WARM = 4
#: Records are cut into chunks of at most this many letters.
_LONGEST = 1 << 14
_RECORD = {"record": pl.String, "letters": pl.Int64, "bits": pl.Float64, "perplexity": pl.Float64}


def predict_surprise(
    run: Run | str | os.PathLike[str],
    genome: Genome | str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    chromosomes: Sequence[str] | str | None = None,
    context: int = CONTEXT,
    device: str = "auto",
    overwrite: bool = False,
) -> Path:
    """Write a bigWig track of −log2 of the probability of each letter, given those before it.

    Letters other than A, C, G and T have no value and are skipped, as in preparing a dataset: the model reads on behind
    them as if they were not there. A chromosome's first letter has no value either. A chromosome is cut into chunks
    that are read side by side, each after the ``context`` letters before it.

    Memory and device: 8 million letters at a time.

    Args:
        run: The run, or its folder.
        genome: FASTA or 2bit, or an opened genome.
        out: The file, ``NAME.bw``.
        chromosomes: Names of chromosomes; all by default.
        context: Letters that are read before each chunk.
        device: "auto", "cpu" or "cuda".
        overwrite: Replace an existing file.

    Returns:
        The file.

    Raises:
        InputError: The run is none of the line "language", no such chromosome, no letter can be scored, or ``out`` has
            another ending or exists.
    """
    path = Path(out)
    if path.suffix.lower() not in ENDINGS:
        raise InputError("is no name for a bigWig track", file=path, cure="name a file that ends in .bw")
    _check_context(context)
    storage.check_target(path, overwrite=overwrite)
    models, where = text_models(run, device)
    genome = genome if isinstance(genome, Genome) else open_genome(genome)
    wanted = [chromosomes] if isinstance(chromosomes, str) else list(chromosomes or genome.names)
    # The order that the format wants.
    names = sorted({genome.names[genome.find(name)] for name in wanted})
    total = sum(genome.lengths[name] for name in names)
    logger.info(f"surprise of {total:,} bases, each letter after those before it")
    with (
        storage.new_file(path, overwrite=overwrite) as temporary,
        progress("reading", total, "bases") as advance,
    ):
        write_bigwig(temporary, genome.lengths, _tracks(models, where, genome, names, context, advance))
    return path


def predict_text(
    run: Run | str | os.PathLike[str],
    fasta: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    context: int = CONTEXT,
    device: str = "auto",
    overwrite: bool = False,
) -> int:
    """Write a table of how surprising each record of a FASTA file is: which sequences look like the learned genome?

    Letters other than A, C, G and T are skipped, and the first of a record is not scored: nothing stands before it.
    Records of more than 16,384 letters are cut into chunks that are read side by side, each after the ``context``
    letters before it.

    Memory and device: two bytes per base of the file, and one batch.

    Args:
        run: The run, or its folder.
        fasta: The sequences, plain or gzipped.
        out: ``.tsv``, ``.csv`` (also ``.gz``) or ``.parquet``.
        context: Letters that are read before each chunk.
        device: "auto", "cpu" or "cuda".
        overwrite: Replace an existing file.

    Returns:
        Number of rows, one for each record in the file's order: ``record``, its name; ``letters`` that were scored;
        ``bits``, mean of −log2 of their probability; and ``perplexity``, 2 to the power of it. Records without two
        known letters have neither.

    Raises:
        InputError: The run is none of the line "language", the file is no FASTA file, or ``out`` has another ending or
            exists.
    """
    table_ending(out)
    _check_context(context)
    storage.check_target(out, overwrite=overwrite)
    models, where = text_models(run, device)
    sequences = read_sequences(fasta)
    known = sequences.codes != UNKNOWN
    letters = sequences.codes[known]
    # Where each record begins among the known letters.
    begins = np.concatenate([[0], np.cumsum(np.add.reduceat(known, sequences.offsets[:-1], dtype=np.int64))])
    rows, starts, ends = cut(begins[:-1], begins[1:], _LONGEST)
    firsts = np.maximum(starts - context, begins[rows])
    found = total_bits(models, reader(letters), firsts, starts, ends, device=where, description="reading records")
    counts, bits = np.zeros(len(sequences), np.int64), np.zeros(len(sequences))
    np.add.at(counts, rows, found.letters)
    np.add.at(bits, rows, found.bits)
    with np.errstate(invalid="ignore"):
        mean = pl.Series("bits", bits / counts).fill_nan(None)
    table = pl.DataFrame({"record": sequences.names, "letters": counts, "bits": mean}).with_columns(
        perplexity=pl.Series(perplexity(mean.fill_null(np.nan).to_numpy())).fill_nan(None)
    )
    none = int((counts == 0).sum())
    if none:
        logger.warning(f"{none:,} of {len(table):,} records have no letter after another: their rows have no values")
    with new_table(out, _RECORD, overwrite=overwrite) as write:
        write(table)
    return len(table)


def text_models(run: Run | str | os.PathLike[str], device: str) -> tuple[list[nn.Module], torch.device]:
    """Load the members of a run that predicts the next letter, and say where they are.

    Raises:
        InputError: No such run, no such device, or the run is of another line.
    """
    run = open_run(run)
    if run.info.line != "language":
        raise InputError(
            f"is a run of the line {run.info.line!r}, which does not predict the next letter",
            file=run.path,
            cure="name a run of the line 'language'",
        )
    where = choose_device(device)
    return list(run.models(where)), where


def cut(begins: Places, ends: Places, longest: int) -> tuple[Places, Places, Places]:
    """Cut stretches into chunks of nearly equal length, none above ``longest``.

    Args:
        begins: int64 [n].
        ends: int64 [n].
        longest: Letters of a chunk at most.

    Returns:
        Of each chunk: its stretch, where it begins, and one past its end; empty stretches have none.
    """
    sizes = ends - begins
    counts = -(-sizes // longest)
    rows = np.repeat(np.arange(len(sizes)), counts)
    place = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    size, count = sizes[rows], counts[rows]
    return rows, begins[rows] + size * place // count, begins[rows] + size * (place + 1) // count


def reader(letters: Codes) -> Reader:
    """Return what reads stretches of letters in memory; beyond their end nothing is known."""
    last = len(letters) - 1

    def read(places: Places, length: int) -> Codes:
        at = places[:, None] + np.arange(length)
        return np.where(at <= last, letters[np.minimum(at, last)], np.uint8(UNKNOWN))

    return read


def _tracks(
    models: Sequence[nn.Module],
    device: torch.device,
    genome: Genome,
    names: Sequence[str],
    context: int,
    advance: Callable[[float], None],
) -> Iterator[Values]:
    """Give the values of all chromosomes."""
    found = False
    for name in names:
        for piece in _along(models, device, genome, name, context, advance):
            found = found or bool(len(piece[1]))
            yield piece
    if not found:
        cure = "choose other chromosomes"
        raise InputError("has no letter after another among A, C, G and T", file=genome.path, cure=cure)


def _along(
    models: Sequence[nn.Module],
    device: torch.device,
    genome: Genome,
    name: str,
    context: int,
    advance: Callable[[float], None],
) -> Iterator[Values]:
    """Give the values of a chromosome piece by piece."""
    codes = genome.codes(name)
    before = np.empty(0, np.uint8)
    for begin in range(0, len(codes), _PIECE):
        piece = np.asarray(codes[begin : begin + _PIECE])
        known = np.flatnonzero(piece != UNKNOWN)
        letters = np.concatenate([before, piece[known]])
        bits = _score(models, device, letters, len(before), context, lambda share: advance(share * len(piece)))  # noqa: B023
        before = letters[max(0, len(letters) - context) :]
        places, scored = known + begin, ~np.isnan(bits)
        for at in range(0, len(places), _VALUES):
            kept = scored[at : at + _VALUES]
            starts = places[at : at + _VALUES][kept]
            yield name, starts, starts + 1, bits[at : at + _VALUES][kept]


def _score(
    models: Sequence[nn.Module],
    device: torch.device,
    letters: Codes,
    begin: int,
    context: int,
    done: Callable[[float], None],
) -> npt.NDArray[np.float32]:
    """Return the bits of ``letters[begin:]``; NaN for the first of all. ``done`` is told each share of the work."""
    size = len(letters) - begin
    bits = np.full(size, np.nan, np.float32)
    if not size:
        done(1.0)
        return bits
    longest = max(_WARM * context, -(-size // STREAMS), 1)
    _, starts, ends = cut(np.array([begin]), np.array([len(letters)]), longest)
    firsts = np.maximum(starts - context, 0)
    work = float((ends - firsts).sum())
    for piece in text_bits(models, reader(letters), firsts, starts, ends, device=device):
        scored = ~np.isnan(piece.bits)
        places = piece.places[:, None] + np.arange(piece.bits.shape[1])
        bits[places[scored] - begin] = piece.bits[scored]
        done(piece.bits.size / work)
    return bits


def _check_context(context: int) -> None:
    if context < 1:
        raise InputError(f"context must be at least 1 letter, got {context}")
