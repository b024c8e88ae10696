"""Which outputs of a sequence run stand for which marks of an expression run."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence

from regulome.errors import InputError
from regulome.training.feature_choice import choose_features

logger = logging.getLogger(__name__)


def match_features(
    marks: Sequence[str],
    names: Sequence[str],
    assays: Sequence[str] = (),
    wanted: Mapping[str, str] | None = None,
) -> dict[str, list[int]]:
    """Find, and say, the features that stand for each mark.

    Without ``wanted`` a mark is the feature of the same name, else the one with this assay, else the one whose name has
    the mark's name as a word in it (``H3K4me3`` in ``HepG2|H3K4me3|None``); upper and lower case count alike.

    Args:
        marks: Marks of the expression run.
        names: Features of the sequence run.
        assays: What each measures, as far as that is known.
        wanted: Mark → name or pattern of its features; other marks stay as they are.

    Returns:
        Mark → its features; of several the mean is taken.

    Raises:
        InputError: There is no such mark or feature, several could be meant, or none stands for any mark.
    """
    found: dict[str, list[int]] = {}
    if wanted:
        by_name = {mark.casefold(): mark for mark in marks}
        for name, pattern in wanted.items():
            mark = by_name.get(name.casefold())
            if mark is None:
                raise InputError(f"the expression run has no mark {name!r}", cure=f"it has {', '.join(marks)}")
            found[mark] = choose_features(names, pattern)
    else:
        for mark in marks:
            places = _alike(mark, names, assays)
            if len({names[place] for place in places}) > 1:
                some = ", ".join(names[place] for place in places[:4]) + (", …" if len(places) > 4 else "")
                cure = f"choose one: --marks {mark}={names[places[0]]} (the mean of several: a pattern with *)"
                raise InputError(
                    f"{mark} could be any of {len(places)} features of the sequence run: {some}", cure=cure
                )
            if places:
                found[mark] = places
    if not found:
        some = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
        raise InputError(
            f"no feature of the sequence run ({some}) is a mark of the expression run ({', '.join(marks)})",
            cure=f"say which one is which: --marks {marks[0]}={names[0]}",
        )
    for mark, places in found.items():
        of = f"the mean of {len(places)} features, {names[places[0]]}, …" if len(places) > 1 else names[places[0]]
        logger.info(f"the mark {mark} follows {of}")
    still = [mark for mark in marks if mark not in found]
    if still:
        logger.info(f"marks that no feature stands for stay as they were observed: {', '.join(still)}")
    return found


def _alike(mark: str, names: Sequence[str], assays: Sequence[str]) -> list[int]:
    """Find the features that are called like a mark, in the best of three ways."""
    ways = (
        [name.casefold() == mark.casefold() for name in names],
        [assay.casefold() == mark.casefold() for assay in assays],
        [f" {_words(mark)} " in f" {_words(name)} " for name in names],
    )
    return next((places for way in ways if (places := [i for i, alike in enumerate(way) if alike])), [])


def _words(name: str) -> str:
    return " ".join(re.findall(r"[^\W_]+", name.casefold()))
