"""What a page on a run that predicts letters needs: its held-out blocks, how far it looks back, what it writes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from torch import nn

from regulome.datasets.dataset import Dataset
from regulome.errors import InputError
from regulome.explain.text_context import context_curve
from regulome.explain.text_words import Codes, compare_words, equal_letters, some_text
from regulome.models.generation import generate
from regulome.training.device import choose_device
from regulome.training.runs import Run

logger = logging.getLogger(__name__)

#: Texts that a model writes for its page, and the letters of each that count.
SAMPLES, SAMPLE_LETTERS = 100, 1000
# Letters that are written before those that count: a model that knows nothing before them may begin oddly.
_RUN_UP = 100
#: Largest distance between letters that are compared.
LONGEST = 60


@dataclass(frozen=True)
class TextFindings:
    """A run on its held-out text.

    Attributes:
        blocks: The test blocks in the order of the text: id, chrom, start, end, letters, bits, perplexity.
        valid: Perplexity on the validation blocks; NaN where there are none.
        context: See :func:`regulome.explain.text_context.context_curve`; None where the dataset is not there.
        words: See :func:`regulome.explain.text_words.compare_words`.
        rhythm: ``distance``, ``text`` and ``sample``: equal letters beyond chance.
    """

    blocks: pl.DataFrame
    valid: float
    context: pl.DataFrame | None = None
    words: pl.DataFrame | None = None
    rhythm: pl.DataFrame | None = None


def gather_text(run: Run, dataset: Dataset | None, *, device: str = "auto") -> tuple[TextFindings, list[str]]:
    """Collect what is known of a run on a text: about half a minute of computing at most for small networks.

    Args:
        run: The run.
        dataset: Its dataset; the text lies there.
        device: Where the model works.

    Returns:
        The findings, and what could not be had.

    Raises:
        InputError: The run has no predictions of test blocks.
    """
    table = run.predictions()
    blocks = table.filter(pl.col("split") == "test").drop_nulls("bits")
    if blocks.is_empty():
        raise InputError("holds no predictions of test blocks", file=run.path, cure="train it with a test split")
    blocks = blocks.select("id", "chrom", "start", "end", "letters", "bits", "perplexity")
    valid = _perplexity(table.filter(pl.col("split") == "valid").drop_nulls("bits"))
    if dataset is None:
        return TextFindings(blocks, valid), []
    rows = np.flatnonzero(dataset.regions["id"].is_in(blocks["id"].implode()).to_numpy())
    if not len(rows):
        return TextFindings(blocks, valid), ["The dataset has none of the run's test blocks."]
    where = choose_device(device)
    models = run.models(where)
    text = some_text(dataset, rows)
    sample = _written(models)
    longest = min(LONGEST, text.shape[1] - 1)
    rhythm = {"text": equal_letters(text, longest), "sample": equal_letters(sample, longest)}
    return TextFindings(
        blocks,
        valid,
        context_curve(models, dataset, rows, device=where),
        compare_words(text, sample),
        pl.DataFrame({"distance": np.arange(1, longest + 1), **rhythm}),
    ), []


def _written(models: Sequence[nn.Module]) -> Codes:
    """Let the model write texts, uint8 [texts, letters], the same ones each time."""
    nothing = np.empty((SAMPLES, 0), np.uint8)
    return generate(models, nothing, _RUN_UP + SAMPLE_LETTERS, rng=np.random.default_rng(0))[:, _RUN_UP:]


def _perplexity(table: pl.DataFrame) -> float:
    letters = table["letters"].to_numpy().astype(np.float64)
    return float(2 ** ((table["bits"].to_numpy() * letters).sum() / letters.sum())) if letters.sum() else float("nan")
