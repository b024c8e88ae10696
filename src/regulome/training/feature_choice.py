"""Choosing outputs of a model by name or pattern."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from fnmatch import fnmatchcase

from regulome.errors import InputError


def choose_features(names: Sequence[str], wanted: Sequence[str] | str | None) -> list[int]:
    """Find outputs by name.

    Args:
        names: Names of all outputs.
        wanted: Names, or patterns with ``*`` and ``?`` (``"HepG2*"``, ``"*CTCF*"``); upper and lower case count alike.
            An exact name wins over a pattern. None or nothing takes all.

    Returns:
        Positions in ``names``, ascending, each once.

    Raises:
        InputError: A name or pattern fits none.

    Example:
        >>> choose_features(["K562.CTCF", "HepG2.CTCF", "HepG2.MYC"], ["*ctcf"])
        [0, 1]
    """
    patterns = [wanted] if isinstance(wanted, str) else list(wanted or [])
    if not patterns:
        return list(range(len(names)))
    places: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        places.setdefault(name, []).append(place)
    folded = [name.casefold() for name in names]
    chosen: set[int] = set()
    for pattern in patterns:
        # Names of published features hold brackets and bars: only * and ? are patterns.
        like = pattern.casefold().replace("[", "[[]")
        found = places.get(pattern) or [i for i, name in enumerate(folded) if fnmatchcase(name, like)]
        if not found:
            near = difflib.get_close_matches(pattern, names, n=3, cutoff=0.5)
            cure = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(names[:5])}"
            more = ", …" if not near and len(names) > 5 else ""
            raise InputError(f"the run has no feature {pattern!r}", cure=cure + more)
        chosen.update(found)
    return sorted(chosen)


def distinct_names(names: Sequence[str]) -> list[str]:
    """Number names that occur more than once: the second ``CTCF`` becomes ``CTCF_2``.

    Upper and lower case do not make names different, so that they may name files everywhere.

    Example:
        >>> distinct_names(["CTCF", "MYC", "ctcf"])
        ['CTCF', 'MYC', 'ctcf_2']
    """
    taken: set[str] = {name.casefold() for name in names}
    seen: set[str] = set()
    distinct = []
    for name in names:
        other, number = name, 1
        while other.casefold() in seen or (number > 1 and other.casefold() in taken):
            number += 1
            other = f"{name}_{number}"
        seen.add(other.casefold())
        distinct.append(other)
    return distinct
