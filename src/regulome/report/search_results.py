"""The picture of a search: every setting that was tried, and how good it was."""

from __future__ import annotations

import math
import os
from pathlib import Path

from matplotlib.figure import Figure

from regulome.errors import InputError
from regulome.report.figures.style import save_figure
from regulome.report.figures.trials import dots_figure, grid_figure
from regulome.training.proposals import recorded
from regulome.training.runs import partial_folder
from regulome.training.search_record import Search, SearchInfo, read_info
from regulome.training.search_trials import metric_words

#: The figure of a search, without ending.
NAME = "trials"
# Combinations that a map can hold, and still be read.
_LARGEST = 400


def write_search_figure(
    search: Search | str | os.PathLike[str], out: str | os.PathLike[str] | None = None, *, overwrite: bool = True
) -> list[Path]:
    """Draw the trials of a search.

    A grid is a map of its combinations, with the score in each cell, and of texts a second one with the score on the
    test part, by which nothing was chosen. Other searches are dots: the score against the value of each key. The
    numbers are in the search's ``trials.tsv``.

    Args:
        search: The search, or its folder; one that is not finished is drawn as far as it is.
        out: A file that ends in ``.svg``, ``.png`` or ``.pdf``; None writes ``trials.svg`` and ``trials.png`` into the
            folder.
        overwrite: Replace what is there.

    Returns:
        The files.

    Raises:
        InputError: It is no search, no trial has ended, or ``out`` has another ending or exists.
    """
    folder, info = _opened(search)
    figure = search_figure(info, folder)
    files = [Path(out)] if out is not None else [folder / f"{NAME}.svg", folder / f"{NAME}.png"]
    return [save_figure(figure, file, overwrite=overwrite) for file in files]


def search_figure(info: SearchInfo, folder: Path) -> Figure:
    """Draw the trials of a search; see :func:`write_search_figure`.

    Args:
        info: The content of ``search.json``.
        folder: Where it lies, for messages.

    Raises:
        InputError: No trial has ended.
    """
    if not any(trial.state != "running" for trial in info.trials):
        raise InputError("has no trial that ended", file=folder, cure="draw it later")
    table, leader, space = info.table(), info.leader(), info.request["space"]
    best = None if leader is None else leader.number
    title = metric_words(info.metric, info.task) if info.task else info.metric
    if info.request["sampler"] != "grid":
        return dots_figure(table, space, "score", title, best=best)
    varied = {key: recorded(key, said).points() for key, said in space.items()}
    varied = {key: values for key, values in varied.items() if len(values) > 1}
    if not varied or math.prod(map(len, varied.values())) > _LARGEST:
        return dots_figure(table, space, "score", title, best=best)
    scores = {"score": title}
    if "test_perplexity" in table.columns and table["test_perplexity"].count():
        scores["test_perplexity"] = "test perplexity"
    return grid_figure(table, varied, scores, less_is_better=not info.maximize, best=best)


def _opened(search: Search | str | os.PathLike[str]) -> tuple[Path, SearchInfo]:
    if isinstance(search, Search):
        return search.path, search.info
    folder = Path(search)
    if not folder.exists() and partial_folder(folder.absolute()).exists():
        folder = partial_folder(folder.absolute())
    return folder, read_info(folder)
