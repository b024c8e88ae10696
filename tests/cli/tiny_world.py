"""A world of 120 genes, small enough to spoil in many ways."""

import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np

CHROMOSOMES = {"chr1": 400_000, "chr2": 400_000, "chr3": 400_000, "chr4": 400_000}
GENES_EACH = 30


def write_gz(path: Path, text: str) -> Path:
    with gzip.open(path, "wt") as stream:
        stream.write(text)
    return path


@dataclass
class World:
    """Paths of the tiny world's files, and the words that prepare it."""

    folder: Path
    genes: Path
    expression: Path
    reads: Path
    peaks: Path

    def prepare(self, out: Path, **changed: object) -> list[object]:
        """The words of `regulome prepare expression`, some options changed."""
        options: dict[str, object] = {
            "genes": self.genes,
            "expression": self.expression,
            "sample": "E001",
            "track": [f"H3K4me3={self.reads}", f"H3K27ac={self.peaks}"],
            "out": out,
        } | changed
        words: list[object] = ["prepare", "expression"]
        for name, values in options.items():
            for value in values if isinstance(values, list) else [values]:
                words += [f"--{name.replace('_', '-')}", value]
        return words


def make_world(folder: Path) -> World:
    rng = np.random.default_rng(0)
    genes, table, reads, peaks = [], ["gene_id\tE001\tE002"], [], []
    for chrom, size in CHROMOSOMES.items():
        for i, tss in enumerate(np.linspace(15_000, size - 15_000, GENES_EACH).astype(int)):
            name = f"ENSG{int(chrom[3:]):03d}{i:08d}"
            strand = "+-"[i % 2]
            start, end = (tss + 1, tss + 5_000) if strand == "+" else (tss - 5_000, tss + 1)
            genes.append(
                f"{chrom}\ttest\tgene\t{start}\t{end}\t.\t{strand}\t.\t"
                f'gene_id "{name}.1"; gene_type "protein_coding"; gene_name "G{i}";\n'
            )
            high = rng.random() < 0.5
            table.append(f"{name}\t{10 * high + rng.random():.3f}\t{rng.random():.3f}")
            for start in rng.integers(tss - 1_000, tss + 1_000, 60 if high else 5):
                reads.append(f"{chrom}\t{start}\t{start + 36}\tN\t1000\t{'+-'[start % 2]}\n")
            if high:
                peaks.append(f"{chrom}\t{tss - 300}\t{tss + 300}\tp{i}\t900\t.\t{5 + rng.random():.2f}\t-1\t-1\t300\n")
    return World(
        folder,
        write_gz(folder / "genes.gtf.gz", "".join(genes)),
        write_gz(folder / "expression.tsv.gz", "\t\n".join(table) + "\t\n"),
        write_gz(folder / "H3K4me3.tagAlign.gz", "".join(reads)),
        write_gz(folder / "H3K27ac.narrowPeak.gz", "".join(peaks)),
    )


SPLIT = ["--test-chromosomes", "chr1", "--valid-chromosomes", "chr2"]
