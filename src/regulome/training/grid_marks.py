"""Mark sets of a grid: single marks, pairs, all of them, and lists."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

from regulome.datasets.dataset import Dataset
from regulome.errors import InputError
from regulome.recipes.load import nearest
from regulome.training.grid_file import WORDS

logger = logging.getLogger(__name__)

#: A mark set as a grid's TOML has it.
Wanted = str | list[str] | dict[str, list[str]]


def common_marks(cells: Mapping[str, Dataset]) -> list[str]:
    """Return the marks that all cells have, in the order of the first cell; say which are left out.

    Raises:
        InputError: They have none in common.
    """
    first, *others = cells.values()
    known = [{mark.casefold() for mark in dataset.marks} for dataset in others]
    common = [mark for mark in first.marks if all(mark.casefold() in marks for marks in known)]
    if not common:
        raise InputError("the cells have no mark in common", cure="prepare them with marks of the same names")
    kept = {mark.casefold() for mark in common}
    for cell, dataset in cells.items():
        left = [mark for mark in dataset.marks if mark.casefold() not in kept]
        if left:
            logger.info("%s: not every cell has %s: left out", cell, ", ".join(left))
    return common


def mark_sets(wanted: Iterable[Wanted], common: Sequence[str], cells: Mapping[str, Dataset]) -> dict[str, list[str]]:
    """Turn the mark sets of a grid into names and marks.

    Args:
        wanted: "each", "pairs", "all" or a mark; a list of marks; or a name with a list of marks.
        common: The marks that all cells have.
        cells: The cells, for messages.

    Returns:
        Name → marks in the order of ``common``; sets that are asked for twice are there once. A set without a name of
        its own is called ``all``, or by its marks, ``H3K4me3+H3K27ac``.

    Raises:
        InputError: A cell has not a mark, a set is empty, or two sets with other names are the same.
    """
    place = {mark.casefold(): number for number, mark in enumerate(common)}
    found: dict[str, list[str]] = {}
    for name, marks in _spread(wanted, common):
        for mark in marks:
            if mark.casefold() not in place:
                raise _unknown(mark, cells)
        numbers = sorted({place[mark.casefold()] for mark in marks})
        if not numbers:
            raise InputError(f"marks: the set {name!r} is empty", cure="name its marks")
        chosen = [common[number] for number in numbers]
        title = name or ("all" if len(chosen) == len(common) > 1 else "+".join(chosen))
        same = next((other for other, others in found.items() if others == chosen), title)
        if same != title and name:
            raise InputError(f"marks: the sets {same!r} and {title!r} are the same", cure="keep one of them")
        if found.setdefault(same, chosen) != chosen:
            raise InputError(f"marks: two sets are called {title!r}", cure="give them different names")
    return found


def _spread(wanted: Iterable[Wanted], common: Sequence[str]) -> Iterable[tuple[str, Sequence[str]]]:
    for item in wanted:
        if isinstance(item, dict):
            yield from item.items()
        elif isinstance(item, list):
            yield "", item
        elif item == "each":
            yield from (("", [mark]) for mark in common)
        elif item == "pairs":
            yield from (("", pair) for pair in combinations(common, 2))
        elif item == "all":
            yield "", common
        else:
            yield "", [item]


def _unknown(mark: str, cells: Mapping[str, Dataset]) -> InputError:
    for cell, dataset in cells.items():
        if mark.casefold() not in {each.casefold() for each in dataset.marks}:
            near = nearest(mark, [*dataset.marks, *WORDS])
            return InputError(f"marks: the cell {cell} has no mark {mark!r}", file=dataset.path, cure=near)
    return InputError(f"marks: not every cell has {mark!r}", cure="leave it away")
