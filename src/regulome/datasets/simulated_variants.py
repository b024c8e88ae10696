"""Variants of the simulated genome that break, make, pull apart or spare a site, and what the rules say of each."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from regulome.datasets.simulated_genome import Integers, SimulatedGenome
from regulome.datasets.simulated_motifs import FEATURES, GAP, PAIR, PAIRED, SINGLE, UNION, Motif
from regulome.genome.letters import decode, reverse_complement

Bytes = npt.NDArray[np.uint8]

#: At most so many variants of each kind and feature.
_BROKEN, _DELETED, _APART, _MADE, _DECOY, _NEUTRAL = 50, 10, 20, 40, 40, 200
#: Bases on both sides of a variant in which sites are looked for.
_REACH = 60
_DELETION, _INSERTION = 4, 8


def sites_in(codes: Bytes) -> dict[str, int]:
    """Count the sites of each feature in a sequence by the rules of the simulation."""
    counts = {motif.name: len(motif.find(codes)[0]) for motif in SINGLE}
    (first, turned), (second, turned_too) = (motif.find(codes) for motif in PAIR)
    gap = second[None, :] - first[:, None] - len(PAIR[0])
    back = first[:, None] - second[None, :] - len(PAIR[1])
    gap = np.where(turned[:, None], back, gap)
    together = (turned[:, None] == turned_too[None, :]) & (gap >= GAP[0]) & (gap <= GAP[1])
    counts[PAIRED] = int(together.sum())
    counts[UNION] = sum(counts.values())
    return counts


def make_variants(genome: SimulatedGenome, seed: int) -> pl.DataFrame:
    """Choose variants and apply the rules to both alleles.

    Returns:
        In genome order: ``id``, ``chrom``, ``pos`` (1-based, as in VCF), ``ref``, ``alt``, ``kind`` (``broken``,
        ``deleted``, ``apart``, ``made``, ``decoy``, ``neutral``), ``feature`` (the one it was made for), and a column
        for each feature: -1 where the alternative has a site less, 1 where it has one more, otherwise 0.
    """
    rng = np.random.default_rng([seed, 1])
    found: list[tuple[int, Bytes, Bytes, str, str]] = []
    for motif in (*SINGLE, *PAIR):
        found += _spoil(rng, genome, motif, "site", _BROKEN // 2 if motif in PAIR else _BROKEN, "broken")
        found += _spoil(rng, genome, motif, "half", _DECOY // 2, "decoy")
        found += _delete(rng, genome, motif)
    found += _pull_apart(rng, genome)
    found += _mend(rng, genome)
    found += _spare(rng, genome)
    rows = {begin: _judge(genome, begin, ref, alt, kind, feature) for begin, ref, alt, kind, feature in found}
    table = pl.DataFrame([row for _, row in sorted(rows.items()) if row is not None])
    return table.insert_column(0, pl.Series("id", [f"var{i + 1}" for i in range(table.height)]))


def _judge(
    genome: SimulatedGenome, begin: int, ref: Bytes, alt: Bytes, kind: str, feature: str
) -> dict[str, Any] | None:
    """Say what a variant does; None where it is not what it was meant to be."""
    left = genome.codes[max(0, begin - _REACH) : begin]
    right = genome.codes[begin + len(ref) : begin + len(ref) + _REACH]
    before, after = (sites_in(np.concatenate([left, allele, right])) for allele in (ref, alt))
    sign = {name: int(np.sign(after[name] - before[name])) for name in FEATURES}
    wanted = {"made": 1, "decoy": 0, "neutral": 0}.get(kind, -1)
    if (ref == 4).any() or sign[UNION] != wanted or (feature and sign[feature] != wanted):
        return None
    name, offset = _chromosome(genome, begin)
    allele = {"ref": decode(ref), "alt": decode(alt), "kind": kind, "feature": feature}
    return {"chrom": name, "pos": begin - offset + 1, **allele, **sign}


def _chromosome(genome: SimulatedGenome, begin: int) -> tuple[str, int]:
    return max(((name, offset) for name, offset in genome.offsets.items() if offset <= begin), key=lambda pair: pair[1])


def _parts(genome: SimulatedGenome, motif: Motif, kind: str) -> tuple[Integers, npt.NDArray[np.bool_], str]:
    """Find where a motif lies in all sites of a kind: first base, whether on the reverse strand; and the feature."""
    feature = PAIRED if motif in PAIR else motif.name
    sites = genome.sites.filter((pl.col("kind") == kind) & (pl.col("feature") == feature))
    if kind == "half":
        sites = sites.filter(pl.col("motif") == motif.name)
    reverse = (sites["strand"] == "-").to_numpy()
    # The second motif of a pair lies at the other end.
    last = reverse != (motif is PAIR[1])
    begin = sites["begin"].to_numpy() + last * ((sites["end"] - sites["start"]).to_numpy() - len(motif))
    return begin, reverse, feature


def _read(genome: SimulatedGenome, begin: Integers, reverse: npt.NDArray[np.bool_], motif: Motif) -> Bytes:
    """Return the letters of matches as the motif has them: [n, length]."""
    codes = genome.codes[begin[:, None] + np.arange(len(motif))]
    return np.where(reverse[:, None], reverse_complement(codes), codes)


def _some(rng: np.random.Generator, n: int, limit: int) -> Integers:
    return np.sort(rng.permutation(n)[:limit])


def _spoil(
    rng: np.random.Generator, genome: SimulatedGenome, motif: Motif, kind: str, limit: int, name: str
) -> list[tuple[int, Bytes, Bytes, str, str]]:
    begin, reverse, feature = _parts(genome, motif, kind)
    chosen = _some(rng, len(begin), limit)
    begin, reverse = begin[chosen], reverse[chosen]
    spoiled, position = motif.spoil(_read(genome, begin, reverse, motif), rng)
    letter = spoiled[np.arange(len(spoiled)), position]
    place = begin + np.where(reverse, len(motif) - 1 - position, position)
    letter = np.where(reverse, 3 - letter, letter).astype(np.uint8)
    return [(p, genome.codes[p : p + 1], letter[i : i + 1], name, feature) for i, p in enumerate(place.tolist())]


def _delete(
    rng: np.random.Generator, genome: SimulatedGenome, motif: Motif
) -> list[tuple[int, Bytes, Bytes, str, str]]:
    begin, _, feature = _parts(genome, motif, "site")
    place = (
        begin[_some(rng, len(begin), _DELETED // 2 if motif in PAIR else _DELETED)] + len(motif) // 2 - _DELETION // 2
    )
    whole = [genome.codes[p : p + 1 + _DELETION] for p in place.tolist()]
    return [(p, ref, ref[:1], "deleted", feature) for p, ref in zip(place.tolist(), whole, strict=True)]


def _pull_apart(rng: np.random.Generator, genome: SimulatedGenome) -> list[tuple[int, Bytes, Bytes, str, str]]:
    """Insert bases between the motifs of a pair."""
    begin, reverse, feature = _parts(genome, PAIR[0], "site")
    chosen = _some(rng, len(begin), _APART)
    # The base before the gap: the last of the motif that comes first on the forward strand.
    place = np.where(reverse, begin - 2, begin + len(PAIR[0]) - 1)[chosen].tolist()
    more = rng.integers(0, 4, (len(place), _INSERTION)).astype(np.uint8)
    bases = [genome.codes[p : p + 1] for p in place]
    return [
        (p, base, np.concatenate([base, more[i]]), "apart", feature)
        for i, (p, base) in enumerate(zip(place, bases, strict=True))
    ]


def _mend(rng: np.random.Generator, genome: SimulatedGenome) -> list[tuple[int, Bytes, Bytes, str, str]]:
    spoiled = genome.sites.filter(pl.col("kind") == "spoiled")
    found = []
    for _, group in sorted(spoiled.group_by("motif"), key=lambda pair: str(pair[0])):
        rows = group.sort("begin")[_some(rng, group.height, _MADE)]
        for place, letter, feature in rows.select("changed", "original", "feature").iter_rows():
            found.append((place, genome.codes[place : place + 1], np.array([letter], np.uint8), "made", feature))
    return found


def _spare(rng: np.random.Generator, genome: SimulatedGenome) -> list[tuple[int, Bytes, Bytes, str, str]]:
    """Change bases far from any site, one in ten of them by an insertion."""
    place = np.sort(rng.integers(_REACH, len(genome.codes) - _REACH, 3 * _NEUTRAL))
    centre = (genome.sites["begin"].to_numpy() + genome.sites["end"].to_numpy()) // 2
    after = np.searchsorted(centre, place).clip(1, len(centre) - 1)
    apart = np.minimum(np.abs(centre[after] - place), np.abs(centre[after - 1] - place)) > 2 * _REACH
    place = place[apart & (genome.codes[place] < 4)]
    place = place[_some(rng, len(place), _NEUTRAL)]
    found = []
    for i, p in enumerate(place.tolist()):
        ref = genome.codes[p : p + 1]
        other = ((ref + rng.integers(1, 4)) % 4).astype(np.uint8)
        found.append((p, ref, np.concatenate([ref, other]) if i % 10 == 0 else other, "neutral", ""))
    return found
