"""New sequences from a run that predicts the next letter."""

from __future__ import annotations

import logging
import math
import os
import re
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from pysam import BGZFile

from regulome import storage
from regulome.errors import InputError
from regulome.genome.fasta_writer import write_record
from regulome.genome.letters import encode
from regulome.models.generation import generate_pieces
from regulome.progress import progress
from regulome.training.runs import Run, open_run
from regulome.training.surprise import text_models

logger = logging.getLogger(__name__)

ENDINGS = (".fa", ".fasta", ".fna")
#: Sequences that are written on side by side.
_TOGETHER = 256


def sample_text(
    run: Run | str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    length: int,
    count: int = 1,
    temperature: float = 1.0,
    prompt: str = "",
    seed: int = 0,
    device: str = "auto",
    overwrite: bool = False,
) -> Path:
    """Draw sequences from a run, letter by letter, and write them as FASTA.

    The same run, prompt, temperature, seed and count give the same letters; longer sequences begin with the shorter
    ones of the same seed. Records are called ``RUN_temperature_T_seed_S_N``.

    Memory: one byte per letter of at most 256 sequences.

    Args:
        run: The run, or its folder.
        out: ``.fa``, ``.fasta`` or ``.fna``, also ``.gz``.
        length: Letters of each sequence.
        count: Number of sequences.
        temperature: Each letter is drawn from p^(1/temperature): 1 as the model has learned; lower: the likely letters
            become more likely; 0: always the likeliest, so that all sequences are the same.
        prompt: Letters A, C, G and T (N: not known) that the sequences go on from; they are not written. Without them
            the text begins.
        seed: Seed of the letters.
        device: "auto", "cpu" or "cuda"; the character networks of this package draw on the CPU.
        overwrite: Replace an existing file.

    Returns:
        The file.

    Raises:
        InputError: The run is none of the line "language", a value cannot be, or ``out`` has another ending or exists.
    """
    path = Path(out)
    if not path.name.lower().removesuffix(".gz").endswith(ENDINGS):
        cure = f"choose from {', '.join(ENDINGS)}, also with .gz"
        raise InputError("has no ending that says FASTA", file=path, cure=cure)
    for name, number, least in (("length", length, 1), ("count", count, 1), ("seed", seed, 0)):
        if number < least:
            raise InputError(f"{name} must be at least {least}, got {number}")
    if not math.isfinite(temperature) or temperature < 0:
        cure = "give 1 for letters as likely as the model thinks, less for likelier ones"
        raise InputError(f"temperature must be a number from 0 on, got {temperature:g}", cure=cure)
    try:
        before = encode(prompt)
    except InputError as error:
        raise InputError(f"prompt: {error.problem}", cure=error.cure) from None
    storage.check_target(path, overwrite=overwrite)
    run = open_run(run)
    models, _ = text_models(run, device)
    stem = f"{re.sub(r'[^0-9A-Za-z.+-]+', '_', run.name)}_temperature_{temperature:g}_seed_{seed}"
    with (
        storage.new_file(path, overwrite=overwrite) as temporary,
        _open(temporary, compress=path.suffix.lower() == ".gz") as stream,
        progress("drawing", length * count, "letters") as advance,
    ):
        for first in range(0, count, _TOGETHER):
            texts = min(_TOGETHER, count - first)
            rng = np.random.default_rng([seed, first])
            begin = np.broadcast_to(before, (texts, len(before)))
            letters, done = np.empty((texts, length), np.uint8), 0
            for piece in generate_pieces(models, begin, length, temperature=temperature, rng=rng):
                letters[:, done : done + piece.shape[1]] = piece
                done += piece.shape[1]
                advance(piece.size)
            for number, codes in enumerate(letters, first + 1):
                write_record(stream, f"{stem}_{number}", codes)
    return path


def _open(path: Path, *, compress: bool) -> BinaryIO:
    # bgzip is gzip that other tools can index, and it holds no time: the same letters are the same file.
    return cast(BinaryIO, BGZFile(str(path), "wb", None)) if compress else path.open("wb")
