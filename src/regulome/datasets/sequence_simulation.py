"""A simulated genome with motifs, peaks and variants, in real file formats, with the truth beside them."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

import polars as pl

from regulome.datasets import simulated_sequence_files as files
from regulome.datasets.simulated_genome import SimulatedGenome, make_genome
from regulome.datasets.simulated_motifs import FEATURES, GAP, MOTIFS, PAIR, PAIRED, SINGLE, UNION
from regulome.datasets.simulated_variants import make_variants
from regulome.errors import InputError
from regulome.progress import progress
from regulome.storage import new_folder

logger = logging.getLogger(__name__)

#: Bases of each size.
SEQUENCE_SIZES = {"small": 3_000_000, "medium": 20_000_000}
_TEST, _VALID = ("chr3",), ("chr4",)

_README = """A simulated genome with motifs, peaks and variants
(regulome simulate sequence --seed {seed} --size {size})

genome.fa               {n_chromosomes} chromosomes, {n_bases:,} bases; repeats in small letters, some runs of N
chrom.sizes             lengths of the chromosomes
{peaks}
                        peaks of {n_features} features with their summits (narrowPeak)
features.tsv            cell, assay, treatment and group of each feature
blacklist.bed           satellites: every feature has a peak there, and no site
variants.vcf            {n_variants:,} variants; REF is what the genome has
motifs.meme             the motifs
truth.json              which motifs make a peak of which feature, and by which rule
truth_sites.tsv         where motifs were placed: sites, and decoys without a peak
truth_variants.tsv      what each variant does by the rules: -1 a site less, 1 a site more, 0 neither, per feature

From this folder:

regulome prepare sequence --genome genome.fa --peaks *.narrowPeak.gz --metadata features.tsv \\
    --blacklist blacklist.bed --examples peaks --length 200 --negatives gc-matched --out DATASET
regulome train deepbind DATASET --test-chromosomes {test} --valid-chromosomes {valid} --out RUN
regulome variants RUN --vcf variants.vcf --genome genome.fa --out EFFECTS.tsv

Rules: {single} have a site wherever their motif has a match. {paired} has one where
{first} and {second} follow each other on one strand with {low} to {high} bases between them; alone, or further
apart, they are decoys. {union} is open at every site. No motif has a match anywhere else in the genome.
"""


def simulate_sequence(
    out: str | os.PathLike[str], *, seed: int = 0, size: str = "small", overwrite: bool = False
) -> Path:
    """Write a folder with a small genome, peaks and variants, in the formats in which labs publish.

    Six features: four have a peak wherever their motif lies, one where two motifs lie at the right distance, and an
    accessibility-like one at every site. Decoys (single halves, halves too far apart, motifs with a wrong letter) have
    no peak, and beside what was placed no motif has a match in the genome. The same seed and size give the same bytes
    with the same versions of the libraries.

    Args:
        out: The folder to make.
        seed: Seed of all random numbers.
        size: ``small`` (3 million bases) or ``medium`` (20 million).
        overwrite: Replace ``out`` if it exists.

    Returns:
        The folder. ``README.txt`` in it names its files and the commands to go on with; ``truth.json`` the rules.

    Raises:
        InputError: There is no such size, the seed is negative, or ``out`` exists.
    """
    if size not in SEQUENCE_SIZES:
        raise InputError(f"no size {size!r}", cure=f"one of {', '.join(SEQUENCE_SIZES)}")
    if seed < 0:
        raise InputError(f"seed {seed} is negative", cure="choose a whole number from 0")
    with new_folder(out, overwrite=overwrite) as folder, progress("simulating", 3, "steps") as advance:
        genome = make_genome(SEQUENCE_SIZES[size], seed)
        advance(1)
        files.write_genome(folder / "genome.fa", genome)
        sizes = "".join(f"{name}\t{length}\n" for name, length in genome.sizes.items())
        (folder / "chrom.sizes").write_text(sizes)
        (folder / "blacklist.bed").write_bytes(files.tsv(genome.satellites, header=False))
        peaks = files.write_peaks(folder, genome, seed)
        files.write_features(folder / "features.tsv")
        files.write_meme(folder / "motifs.meme")
        advance(1)
        variants = make_variants(genome, seed)
        files.write_vcf(folder / "variants.vcf", genome, variants)
        (folder / "truth_variants.tsv").write_bytes(files.tsv(variants))
        (folder / "truth_sites.tsv").write_bytes(files.tsv(files.truth_of_sites(genome)))
        truth = _truth(genome, variants, peaks, seed, size)
        (folder / "truth.json").write_text(json.dumps(truth, indent=2) + "\n", encoding="utf-8")
        (folder / "README.txt").write_text(_readme(genome, variants, seed, size), encoding="utf-8")
        advance(1)
    logger.info(
        "%s: %s bases, %d features, %s variants; see README.txt in it",
        out,
        f"{len(genome.codes):,}",
        len(FEATURES),
        f"{variants.height:,}",
    )
    return Path(out)


def _truth(
    genome: SimulatedGenome, variants: pl.DataFrame, peaks: dict[str, int], seed: int, size: str
) -> dict[str, Any]:
    rules: list[dict[str, Any]] = [{"feature": motif.name, "motifs": [motif.name]} for motif in SINGLE]
    rules.append({"feature": PAIRED, "motifs": [motif.name for motif in PAIR], "gap": list(GAP), "same_strand": True})
    rules.append({"feature": UNION, "any_of": [name for name in FEATURES if name != UNION]})
    kinds = genome.sites.group_by("kind", "feature").len().sort("kind", "feature")
    return {
        "line": "sequence",
        "seed": seed,
        "size": size,
        "cell": files.CELL,
        "features": list(FEATURES),
        "rules": rules,
        "motifs": [
            {"name": motif.name, "pattern": motif.pattern, "threshold_bits": round(motif.threshold, 4)}
            for motif in MOTIFS
        ],
        "match": "bits over a uniform background of the probabilities in motifs.meme, summed over the motif, at or "
        "above threshold_bits; no motif has a match that truth_sites.tsv does not list",
        "placed": [dict(row) for row in kinds.iter_rows(named=True)],
        "decoys": {
            "half": f"one motif of {PAIRED} alone",
            "apart": f"both motifs of {PAIRED}, too far apart",
            "spoiled": "a site with one wrong letter",
        },
        "peaks": peaks,
        "variants": dict(variants.group_by("kind").len().sort("kind").iter_rows()),
        "test_chromosomes": list(_TEST),
        "valid_chromosomes": list(_VALID),
    }


def _readme(genome: SimulatedGenome, variants: pl.DataFrame, seed: int, size: str) -> str:
    return _README.format(
        seed=seed,
        size=size,
        n_chromosomes=len(genome.sizes),
        n_bases=len(genome.codes),
        n_features=len(FEATURES),
        n_variants=variants.height,
        peaks=", ".join(f"{name}.narrowPeak.gz" for name in FEATURES),
        test=",".join(_TEST),
        valid=",".join(_VALID),
        single=", ".join(motif.name for motif in SINGLE),
        paired=PAIRED,
        first=PAIR[0].name,
        second=PAIR[1].name,
        low=GAP[0],
        high=GAP[1],
        union=UNION,
    )
