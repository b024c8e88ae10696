"""A small world in Chromoformer's published layout: a table of genes, and a folder of depths."""

from pathlib import Path

import numpy as np

HEADER = ["gene_id", "expression", "eid", "label", "chrom", "start", "end", "strand", "split", "neighbors", "scores"]


def gene(i: int, chrom: str, tss: int, strand: str, neighbors: list[tuple[str, float]] = (), **more) -> dict[str, str]:
    row = {
        "gene_id": f"ENSG{i:011d}",
        "expression": str(i * 1.5),
        "eid": "E003",
        "label": str(i % 2),
        "chrom": chrom,
        "start": str(tss),
        "end": str(tss + 1),
        "strand": strand,
        "split": str(1 + i % 4),
        "neighbors": ";".join(name for name, _ in neighbors),
        "scores": ";".join(str(score) for _, score in neighbors),
    }
    return row | {name: str(value) for name, value in more.items()}


#: Window, widths of bins, marks.
WINDOW, WIDTHS, MARKS = 400, (100, 40, 20), ["A", "B", "C"]
GENES = [
    gene(0, "chr1", 1000, "+", [("chr1:5000-5130", 1.9), ("chr1:7000-7400", 2.5), ("chr1:100-101", 1.9)]),
    gene(1, "chr2", 900, "-", [("chr1:5000-5130", 3.0)]),
    gene(2, "chr1", 1000, "-"),
    gene(3, "chr2", 150, "+", [("chr2:3000-3041", 1.2), ("chr2:4000-4100", 7.0)]),
    gene(4, "chr1", 1100, "-", [("chr1:5000-5130", 2.0), ("chr1:5000-5130", 9.0), ("chr1:9000-9199", 2.0)]),
]


def write_table(path: Path, genes: list[dict[str, str]], header: list[str] = HEADER) -> Path:
    path.write_text("\n".join([",".join(header), *(",".join(row[name] for name in header) for row in genes)]) + "\n")
    return path


def write_depths(folder: Path, genes: list[dict[str, str]] = GENES) -> Path:
    """Write the depths of all regions, those before a chromosome's start cut off."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(5)
    for row in genes:
        tss = int(row["start"])
        half = WINDOW // 2
        for name in [f"{row['chrom']}:{max(tss - half, 0)}-{tss + half}", *filter(None, row["neighbors"].split(";"))]:
            start, end = map(int, name.split(":")[1].split("-"))
            np.save(folder / f"{name}.npy", rng.poisson(3, (len(MARKS), end - start)).astype(np.float16))
    return folder


def reference(folder: Path, name: str, width: int, turned: bool) -> tuple[np.ndarray, int]:
    """Bin a region as the published data set does: features [bins, marks] and the first slot."""
    chrom, place = name.split(":")
    start, end = map(int, place.rsplit("-", 1)) if not place.startswith("-") else (-50, 350)
    inside = f"{chrom}:{max(start, 0)}-{end}"
    depth = np.load(folder / f"{inside}.npy").astype(np.float64)
    depth = np.pad(depth, ((0, 0), (end - start - depth.shape[1], 0)))
    bins = [depth[:, at : at + width].mean(1) for at in range(0, depth.shape[1], width)]
    features = np.log(np.array(bins) + 1)
    slots = WINDOW // width
    left = -(-(slots - len(bins)) // 2)
    return (features[::-1], slots - len(bins) - left) if turned else (features, left)
