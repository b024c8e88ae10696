"""Folds of whole chromosomes, and which other chromosomes validate while one fold tests."""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterable, Mapping
from os import PathLike

from regulome.errors import InputError

_FOLD = re.compile(r"fold:(\d+)/(\d+)(?::(half|0?\.\d+))?")


def in_order(names: Iterable[str]) -> list[str]:
    """Sort chromosome names so that chr2 comes before chr10."""
    return sorted(names, key=lambda name: [int(x) if x.isdigit() else x for x in re.split(r"(\d+)", name)])


def halved(held_out: Iterable[str]) -> tuple[list[str], list[str]]:
    """Divide the chromosomes of a fold: the first half (chr2 before chr10) validates, the second half tests."""
    names = in_order(held_out)
    return names[: len(names) // 2], names[len(names) // 2 :]


def balanced_folds(counts: Mapping[str, int], folds: int) -> list[list[str]]:
    """Put chromosomes into folds of about equal size: the largest first, each into the smallest fold so far."""
    members: list[list[str]] = [[] for _ in range(folds)]
    smallest = [(0, fold) for fold in range(folds)]
    for name in _largest_first(counts):
        size, fold = smallest[0]
        members[fold].append(name)
        heapq.heapreplace(smallest, (size + counts[name], fold))
    return members


def fold_chromosomes(name: str, counts: Mapping[str, int], *, file: str | PathLike[str]) -> tuple[set[str], set[str]]:
    """Find the chromosomes that test and those that validate in a fold.

    Args:
        name: ``fold:I/K``: fold I (1 … K) tests, the next one validates. ``fold:I/K:half``: of fold I the first
            chromosomes validate and the others test, half of them each; all other folds train. ``fold:I/K:0.3``: fold I
            tests, and of all other chromosomes those validate that hold about this share of their examples.
        counts: Examples on each chromosome.
        file: The dataset, for messages.

    Returns:
        Chromosomes of the test part, and of the validation part.

    Raises:
        InputError: There is no such fold.
    """
    match = _FOLD.fullmatch(name)
    if match is None:
        raise InputError(f"{name!r} is no fold", cure="write it as fold:1/5, fold:1/5:half or fold:1/5:0.3")
    fold, folds, valid = int(match[1]), int(match[2]), match[3]
    least = 2 if valid else 3
    if not least <= folds <= len(counts):
        raise InputError(
            f"{folds} folds of {len(counts)} chromosomes",
            file=file,
            cure=f"take {least} to {len(counts)} folds" if len(counts) >= least else "use --split blocks",
        )
    if not 1 <= fold <= folds:
        raise InputError(f"there is no fold {fold} of {folds}", cure=f"the folds are 1 to {folds}")
    members = balanced_folds(counts, folds)
    tests = in_order(members[fold - 1])
    if valid is None:
        return set(tests), set(members[fold % folds])
    if valid == "half":
        if len(tests) < 2:
            raise InputError(f"fold {fold} is {tests[0]} alone", file=file, cure="take fewer folds")
        valid_half, test_half = halved(tests)
        return set(test_half), set(valid_half)
    return set(tests), _share({name: n for name, n in counts.items() if name not in tests}, float(valid))


def _share(counts: Mapping[str, int], share: float) -> set[str]:
    """Choose chromosomes that hold about a share of all examples: the largest first, each that still has room."""
    missing = share * sum(counts.values())
    order, chosen = _largest_first(counts), set()
    for name in order:
        if counts[name] <= missing:
            chosen.add(name)
            missing -= counts[name]
    # Too much may be nearer than too little.
    over = [name for name in order if name not in chosen and counts[name] < 2 * missing]
    return chosen | set(over[-1:])


def _largest_first(counts: Mapping[str, int]) -> list[str]:
    # Sorting keeps the natural order of equals.
    return sorted(in_order(counts), key=lambda name: -counts[name])
