"""A small genome in which it is known where each factor binds, and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from regulome.datasets.simulated_motifs import GAP, MOTIFS, PAIR, PAIRED, SINGLE, Motif
from regulome.genome.letters import reverse_complement

Bytes = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int64]

#: Lengths of the chromosomes, relative to their mean.
_SHARES = np.array([1.4, 1.2, 1.0, 0.8, 0.6])
#: One place for a site per so many bases; each lies up to so many bases from the middle of its place.
_PITCH, _JITTER = 600, 150
#: Unknown letters at both ends and in the middle of a chromosome; bases of the satellite at a quarter of it.
_TELOMERE, _CENTROMERE, _SATELLITE = 3_000, 2_000, 5_000
#: Places with each kind of site, of 100; the rest is empty.
_SITES, _PAIRS, _HALVES, _APART, _SPOILED = 13, 13, 5, 5, 2
_FAR_GAP = (12, 40)
#: Chance matches are changed at random until none is left, at most so many times.
_ROUNDS = 100


@dataclass(frozen=True)
class SimulatedGenome:
    """A genome with sites.

    Attributes:
        sizes: Chromosome to its length.
        codes: uint8 [all bases], the chromosomes one after the other.
        repeats: bool [all bases], where the genome is written in small letters.
        satellites: ``chrom, start, end`` of what belongs on a blacklist.
        sites: One row per placed motif or pair, in genome order: ``begin`` in ``codes``,
            ``chrom, start, end, strand``, ``kind`` (``site``; ``half``, ``apart`` and ``spoiled`` are decoys),
            ``feature`` that it is the site of, or would be; ``gap`` between the motifs of a pair (-1: a single one);
            ``motif`` that is there alone or is spoiled; ``changed``: position of the spoiled letter in ``codes`` (-1:
            none) and ``original``, the letter that would make it a site.
    """

    sizes: dict[str, int]
    codes: Bytes
    repeats: npt.NDArray[np.bool_]
    satellites: pl.DataFrame
    sites: pl.DataFrame

    @property
    def offsets(self) -> dict[str, int]:
        """Where each chromosome begins in ``codes``."""
        ends = np.cumsum(list(self.sizes.values())).tolist()
        return dict(zip(self.sizes, [0, *ends[:-1]], strict=True))


def make_genome(bases: int, seed: int) -> SimulatedGenome:
    """Draw chromosomes and place sites on them; beside these no motif has a match anywhere.

    Args:
        bases: About how many bases all chromosomes have.
        seed: The same seed gives the same genome.
    """
    rng = np.random.default_rng([seed, 0])
    lengths = np.round(_SHARES / _SHARES.sum() * bases).astype(np.int64) + rng.integers(0, 700, len(_SHARES))
    names = [f"chr{i + 1}" for i in range(len(lengths))]
    offsets = np.concatenate([[0], lengths.cumsum()])
    codes, repeats = _letters(rng, int(offsets[-1]))
    satellites, centres = [], []
    for name, offset, length in zip(names, offsets[:-1], lengths, strict=True):
        begin = offset + length // 4
        codes[begin : begin + _SATELLITE] = np.resize(rng.integers(0, 4, 171), _SATELLITE)
        repeats[begin : begin + _SATELLITE] = True
        satellites.append((name, int(begin - offset), int(begin - offset) + _SATELLITE))
        middle = offset + length // 2
        places = offset + np.arange(_TELOMERE + _PITCH, length - _TELOMERE - _PITCH, _PITCH)
        for low, high in ((begin, begin + _SATELLITE), (middle, middle + _CENTROMERE)):
            places = places[(places < low - _PITCH) | (places > high + _PITCH)]
        centres.append(places + rng.integers(-_JITTER, _JITTER + 1, len(places)))
        codes[offset : offset + _TELOMERE] = 4
        codes[offset + length - _TELOMERE : offset + length] = 4
        codes[middle : middle + _CENTROMERE] = 4
    table, letters = _sites(rng, np.concatenate(centres))
    planted = np.zeros(len(codes), bool)
    _clean(rng, codes, planted)
    for (begin, strand, gap), row in zip(table.select("begin", "strand", "gap").iter_rows(), letters, strict=True):
        codes[begin : begin + len(row)] = row
        planted[begin : begin + len(row)] = True
        if gap >= 0:  # what lies between two motifs is as free as other bases
            between = begin + len(PAIR[strand == "-"])
            planted[between : between + gap] = False
    # What a site makes together with the bases beside it goes, too.
    _clean(rng, codes, planted)
    chromosome = np.searchsorted(offsets, table["begin"].to_numpy(), side="right") - 1
    shift = pl.Series(offsets[chromosome])
    sites = table.with_columns(
        chrom=pl.Series(names).gather(chromosome), start=pl.col("begin") - shift, end=pl.col("end") - shift
    )
    blacklist = pl.DataFrame(satellites, schema=["chrom", "start", "end"], orient="row")
    return SimulatedGenome(dict(zip(names, lengths.tolist(), strict=True)), codes, repeats, blacklist, sites)


def _letters(rng: np.random.Generator, n: int) -> tuple[Bytes, npt.NDArray[np.bool_]]:
    """Draw bases: stretches of different GC content, few CpG, and copies of a repeat."""
    stretches = rng.integers(20_000, 60_000, n // 20_000 + 1)
    content = rng.beta(8.0, 11.0, len(stretches)).clip(0.3, 0.62)
    gc = rng.random(n) < np.repeat(content, stretches)[:n]
    codes = np.where(gc, rng.integers(1, 3, n), 3 * rng.integers(0, 2, n)).astype(np.uint8)
    # Methylated CpG decays to TpG and CpA.
    island = np.flatnonzero((codes[:-1] == 1) & (codes[1:] == 2))
    island = island[rng.random(len(island)) < 0.7]
    first = rng.random(len(island)) < 0.5
    codes[island[first]] = 3
    codes[island[~first] + 1] = 0
    element = rng.integers(0, 4, 300).astype(np.uint8)
    begins = np.sort(rng.integers(0, n - 300, n // 3_000))
    where = begins[:, None] + np.arange(300)
    copies = np.where(rng.random(where.shape) < 0.1, rng.integers(0, 4, where.shape), element)
    codes[where] = copies
    repeats = np.zeros(n, bool)
    repeats[where] = True
    return codes, repeats


def _clean(rng: np.random.Generator, codes: Bytes, planted: npt.NDArray[np.bool_]) -> None:
    """Change letters until no motif has a match but those that are planted."""
    edges = np.concatenate([[0], planted.cumsum()])
    widest = max(map(len, MOTIFS))
    around = np.arange(len(codes))[None]
    for _ in range(_ROUNDS):
        changed = []
        # Unknown letters keep windows apart: no match lies in two of them.
        text = np.pad(codes[around], [(0, 0), (0, 1)], constant_values=4).reshape(-1)
        for motif in MOTIFS:
            row, column = np.divmod(motif.find(text)[0], around.shape[1] + 1)
            begins = around[row, column]
            begins = begins[edges[begins + len(motif)] - edges[begins] < len(motif)]
            places = begins + rng.integers(0, len(motif), len(begins))
            free = places[~planted[places]]
            codes[free] = (codes[free] + rng.integers(1, 4, len(free))) % 4
            changed.append(places)
        places = np.unique(np.concatenate(changed))
        if not len(places):
            return
        # From here on only what lies around a change, or around a match that is still there, can be one.
        around = np.clip(places[:, None] + np.arange(-2 * widest, 2 * widest), 0, len(codes) - 1)


#: What is drawn at some places: letters 5'→3', and what the table says of them.
Drawn = list[tuple[Bytes, dict[str, Any]]]


def _sites(rng: np.random.Generator, centres: Integers) -> tuple[pl.DataFrame, list[Bytes]]:
    """Decide what lies at each place, and draw its letters as they stand on the forward strand."""
    wanted: list[tuple[int, Callable[[int], Drawn]]] = []
    for motif in SINGLE:
        wanted += [(_SITES, partial(_single, rng, motif)), (_SPOILED, partial(_spoiled, rng, motif))]
    for motif in PAIR:
        wanted += [(_HALVES, partial(_half, rng, motif)), (_SPOILED, partial(_pair, rng, "spoiled", GAP, motif))]
    wanted += [(_PAIRS, partial(_pair, rng, "site", GAP, None)), (_APART, partial(_pair, rng, "apart", _FAR_GAP, None))]
    numbers = [share * len(centres) // 100 for share, _ in wanted]
    drawn = [one for (_, draw), number in zip(wanted, numbers, strict=True) for one in draw(number)]
    length = np.array([len(letters) for letters, _ in drawn])
    begin = rng.permutation(centres)[: len(drawn)] - length // 2
    reverse = rng.random(len(drawn)) < 0.5
    about = pl.DataFrame([row for _, row in drawn])
    changed, original = about["changed"].to_numpy(), about["original"].to_numpy()
    place = begin + np.where(reverse, length - 1 - changed, changed)
    table = about.with_columns(
        begin=pl.Series(begin),
        end=pl.Series(begin + length),
        strand=pl.Series(np.where(reverse, "-", "+")),
        changed=pl.Series(np.where(changed < 0, -1, place)),
        original=pl.Series(np.where((changed >= 0) & reverse, 3 - original, original)),
    )
    order = np.argsort(begin)
    letters = [reverse_complement(drawn[i][0]) if reverse[i] else drawn[i][0] for i in order.tolist()]
    return table[order], letters


def _about(kind: str, feature: str, motif: str, gap: int = -1, changed: int = -1, original: int = -1) -> dict[str, Any]:
    return {"kind": kind, "feature": feature, "motif": motif, "gap": gap, "changed": changed, "original": original}


def _single(rng: np.random.Generator, motif: Motif, n: int) -> Drawn:
    return [(row, _about("site", motif.name, motif.name)) for row in motif.draw(rng, n)]


def _half(rng: np.random.Generator, motif: Motif, n: int) -> Drawn:
    return [(row, _about("half", PAIRED, motif.name)) for row in motif.draw(rng, n)]


def _spoiled(rng: np.random.Generator, motif: Motif, n: int) -> Drawn:
    drawn = motif.draw(rng, n)
    spoiled, position = motif.spoil(drawn, rng)
    original = drawn[np.arange(n), position]
    return [
        (row, _about("spoiled", motif.name, motif.name, -1, int(place), int(letter)))
        for row, place, letter in zip(spoiled, position, original, strict=True)
    ]


def _pair(rng: np.random.Generator, kind: str, gap: tuple[int, int], wrong: Motif | None, n: int) -> Drawn:
    """Draw both motifs with bases between them, one of them with a wrong letter where that is wanted."""
    first, second = (motif.draw(rng, n) for motif in PAIR)
    gaps = rng.integers(gap[0], gap[1] + 1, n)
    between = rng.integers(0, 4, (n, gap[1])).astype(np.uint8)
    name, position, original = "", np.full(n, -1), np.full(n, -1)
    if wrong is not None:
        name, whole = wrong.name, first if wrong is PAIR[0] else second
        spoiled, position = wrong.spoil(whole, rng)
        original = whole[np.arange(n), position].astype(np.int64)
        first, second = (spoiled, second) if wrong is PAIR[0] else (first, spoiled)
        position = position + (0 if wrong is PAIR[0] else len(PAIR[0]) + gaps)
    return [
        (
            np.concatenate([first[i], between[i, : gaps[i]], second[i]]),
            _about(kind, PAIRED, name, int(gaps[i]), int(position[i]), int(original[i])),
        )
        for i in range(n)
    ]
