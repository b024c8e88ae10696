"""Writers of a simulated genome in the formats in which such files come: FASTA, narrowPeak, BED, VCF, MEME, TSV."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import polars as pl

from regulome.datasets.simulated_files import write_gzip
from regulome.datasets.simulated_genome import SimulatedGenome
from regulome.datasets.simulated_motifs import FEATURES, MOTIFS, PAIRED, SINGLE, UNION
from regulome.genome.fasta_writer import write_record

#: The cell whose features are simulated.
CELL = "SIM1"
#: Narrowest and widest peaks.
_WIDTHS, _UNION_WIDTHS = (180, 320), (250, 500)


def write_genome(path: Path, genome: SimulatedGenome) -> None:
    """Write FASTA, repeats in small letters."""
    with path.open("wb") as stream:
        for name, begin in genome.offsets.items():
            part = slice(begin, begin + genome.sizes[name])
            write_record(stream, name, genome.codes[part], small=genome.repeats[part])


def peaks_of(genome: SimulatedGenome, feature: str, seed: int) -> pl.DataFrame:
    """Draw the peaks of a feature: one at each of its sites, and one in every satellite, where there is nothing.

    Returns:
        The columns of narrowPeak, sorted.
    """
    rng = np.random.default_rng([seed, 2, FEATURES.index(feature)])
    sites = genome.sites.filter(
        (pl.col("kind") == "site") & (pl.lit(feature == UNION) | (pl.col("feature") == feature))
    )
    n, wrong = sites.height, genome.satellites.height
    centre = np.concatenate(
        [
            (sites["start"].to_numpy() + sites["end"].to_numpy()) // 2,
            genome.satellites["start"].to_numpy() + rng.integers(500, 4_500, wrong),
        ]
    )
    width = rng.integers(*(_UNION_WIDTHS if feature == UNION else _WIDTHS), n + wrong)
    summit = width // 2 + rng.integers(-15, 16, n + wrong)
    signal = np.concatenate([rng.lognormal(2.5, 0.5, n), rng.lognormal(4.0, 0.3, wrong)])
    # The summit lies within some bases of the middle of the site.
    start = centre + np.round(rng.normal(0.0, 8.0, n + wrong)).astype(np.int64) - summit
    table = pl.DataFrame(
        {
            "chrom": pl.concat([sites["chrom"], genome.satellites["chrom"]]),
            "start": start,
            "end": start + width,
            "signal": signal.round(4),
            "summit": summit,
        }
    )
    table = table.sort(pl.col("chrom").str.slice(3).cast(pl.Int64), "start").with_row_index("number", 1)
    return table.select(
        "chrom",
        "start",
        "end",
        name=pl.format("{}_{}", pl.lit(feature), "number"),
        score=(pl.col("signal") * 20).clip(0, 1000).cast(pl.Int64),
        strand=pl.lit("."),
        signal="signal",
        p=(pl.col("signal") * 3).round(4),
        q=(pl.col("signal") * 2).round(4),
        summit="summit",
    )


def write_peaks(folder: Path, genome: SimulatedGenome, seed: int) -> dict[str, int]:
    """Write ``FEATURE.narrowPeak.gz`` for every feature, and return how many peaks each has."""
    counts = {}
    for feature in FEATURES:
        table = peaks_of(genome, feature, seed)
        write_gzip(folder / f"{feature}.narrowPeak.gz", tsv(table, header=False))
        counts[feature] = table.height
    return counts


def write_features(path: Path) -> None:
    """Write what is known of each feature, as ``--metadata`` takes it."""
    rows = [(name, CELL, name, "None", "DNase" if name == UNION else "TF") for name in FEATURES]
    path.write_bytes(tsv(pl.DataFrame(rows, schema=["name", "cell", "assay", "treatment", "group"], orient="row")))


def write_vcf(path: Path, genome: SimulatedGenome, variants: pl.DataFrame) -> None:
    """Write variants as VCF 4.2."""
    contigs = "".join(f"##contig=<ID={name},length={size}>\n" for name, size in genome.sizes.items())
    header = f"##fileformat=VCFv4.2\n##source=regulome\n{contigs}#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    dot = pl.lit(".")
    table = variants.select(
        "chrom", "pos", "id", "ref", "alt", dot.alias("qual"), dot.alias("filter"), dot.alias("info")
    )
    path.write_bytes(header.encode() + tsv(table, header=False))


def write_meme(path: Path) -> None:
    """Write the motifs in MEME's minimal format."""
    lines = ["MEME version 4", "", "ALPHABET= ACGT", "", "strands: + -", ""]
    lines += ["Background letter frequencies", "A 0.25 C 0.25 G 0.25 T 0.25", ""]
    for motif in MOTIFS:
        lines += [f"MOTIF {motif.name}", f"letter-probability matrix: alength= 4 w= {len(motif)} nsites= 100 E= 0"]
        lines += [" ".join(f"{value:.6f}" for value in row) for row in motif.probabilities] + [""]
    path.write_text("\n".join(lines), encoding="utf-8")


def truth_of_sites(genome: SimulatedGenome) -> pl.DataFrame:
    """Return the placed motifs as the truth table has them."""
    single = [motif.name for motif in SINGLE]
    motifs = pl.when(pl.col("feature").is_in(single)).then("feature").when(kind_of_pair()).then(pl.lit("SOX,POU"))
    return genome.sites.select(
        "chrom", "start", "end", "strand", "kind", "feature", motifs=motifs.otherwise("motif"), gap="gap"
    )


def kind_of_pair() -> pl.Expr:
    """Whether a row has both motifs of the pair, whole or spoiled."""
    return (pl.col("feature") == PAIRED) & (pl.col("gap") >= 0)


def tsv(table: pl.DataFrame, header: bool = True) -> bytes:
    """Return a table as tab-separated text."""
    buffer = io.BytesIO()
    table.write_csv(buffer, separator="\t", include_header=header, quote_style="never")
    return buffer.getvalue()
