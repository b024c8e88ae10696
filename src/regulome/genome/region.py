"""Regions as people write them: ``chr20:1,000-2,000``."""

from __future__ import annotations

import re
from typing import NamedTuple

from regulome.errors import InputError

_REGION = re.compile(r"(?P<chrom>\S+?):(?P<first>[\d,]+)(?:\s*(?:-|–|\.\.)\s*(?P<last>[\d,]+))?")


class Region(NamedTuple):
    """A stretch of a chromosome; ``start`` is 0-based, ``end`` is behind the last base."""

    chrom: str
    start: int
    end: int

    def __str__(self) -> str:
        """Write it as genome browsers do, with the first base counted as 1 and the last one included."""
        return f"{self.chrom}:{self.start + 1:,}-{self.end:,}"


def parse_region(text: str) -> Region:
    """Read a region as genome browsers write it: the first base of a chromosome is 1, both ends are included.

    Args:
        text: ``CHROM:FIRST-LAST``, or ``CHROM:POSITION`` for one base; thousands may be set off by commas.

    Raises:
        InputError: It is not one, or its first base lies behind its last.

    Example:
        >>> parse_region("chr20:1,000-2,000")
        Region(chrom='chr20', start=999, end=2000)
    """
    found = _REGION.fullmatch(text.strip())
    if found is None:
        raise InputError(f"{text!r} is no region", cure="write it as chr20:1,000-2,000; the first base is 1")
    first = int(found["first"].replace(",", "") or 0)
    last = first if found["last"] is None else int(found["last"].replace(",", "") or 0)
    if first < 1:
        raise InputError(f"region {text}: positions start at 1", cure="write the first base of a chromosome as 1")
    if last < first:
        raise InputError(f"region {text}: its first base lies behind its last", cure="write the smaller number first")
    return Region(found["chrom"], first - 1, last)
