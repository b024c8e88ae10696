"""A genome of 60,000 bases with peaks and variants, small enough to spoil in many ways."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

SIZES = {"chr1": 20_000, "chr2": 20_000, "chr10": 20_000}
SPLIT = ["--test-chromosomes", "chr2", "--valid-chromosomes", "chr10"]
#: A small network that trains in a moment.
SMALL = ["--set", "training.epochs=1", "--set", "model.hyperparameters.detectors=4"]


@dataclass
class SequenceWorld:
    """Paths of the tiny world's files, and the words that use them."""

    folder: Path
    genome: Path
    peaks: list[Path]
    vcf: Path
    letters: dict[str, str] = field(default_factory=dict)

    def prepare(self, out: Path, **changed: object) -> list[object]:
        """The words of `regulome prepare sequence`, some options changed; None leaves an option away."""
        options: dict[str, object] = {
            "genome": self.genome,
            "peaks": self.peaks,
            "length": 200,
            "bin": 100,
            "margin": 20,
            "negatives": "random",
            "out": out,
        } | changed
        words: list[object] = ["prepare", "sequence"]
        for name, values in options.items():
            if values is True:
                words.append(f"--{name.replace('_', '-')}")
            elif values is not None:
                words += [f"--{name.replace('_', '-')}", *(values if isinstance(values, list) else [values])]
        return words


def write_fasta(path: Path, letters: dict[str, str]) -> Path:
    """Write records in lines of 70."""
    with path.open("w", encoding="utf-8") as stream:
        for name, text in letters.items():
            rows = [text[i : i + 70] for i in range(0, len(text), 70)]
            stream.write("\n".join([f">{name}", *rows, ""]))
    return path


def write_vcf(path: Path, rows: list[tuple[object, ...]], head: bool = True) -> Path:
    """Write rows of chrom, pos, id, ref, alt."""
    lines = ["##fileformat=VCFv4.2", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"] if head else []
    lines += ["\t".join([*map(str, row), ".", ".", "."]) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def make_sequence_world(folder: Path) -> SequenceWorld:
    """Write a genome, peaks of two features and a VCF of substitutions."""
    rng = np.random.default_rng(0)
    letters = {name: "".join(rng.choice(list("ACGT"), size)) for name, size in SIZES.items()}
    peaks = []
    for feature in ("CTCF", "MYC"):
        rows = []
        for name, size in SIZES.items():
            for start in np.sort(rng.integers(500, size - 900, 12)):
                rows.append(f"{name}\t{start}\t{start + 250}\tp\t900\t.\t{rng.random() * 9:.2f}\t-1\t-1\t125\n")
        path = folder / f"{feature}.narrowPeak"
        path.write_text("".join(rows), encoding="utf-8")
        peaks.append(path)
    variants = []
    for i, position in enumerate(range(1_000, 19_000, 3_000)):
        ref = letters["chr1"][position - 1]
        variants.append(("chr1", position, f"v{i}", ref, "ACGT"[("ACGT".index(ref) + 1) % 4]))
    genome = write_fasta(folder / "genome.fa", letters)
    return SequenceWorld(folder, genome, peaks, write_vcf(folder / "v.vcf", variants), letters)
