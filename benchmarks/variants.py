"""Effects of variants from a VCF file by a small DeepSEA (1,000 bp, 919 features), both strands averaged, to Parquet.

Ours: variants per CPU second of ``score_variants``, from the opened genome and the file on disk on. Peer: the plain way
in Python, a window from pyfaidx for each variant, the allele put in as a string, numpy one-hot, and the same network on
batches of 64 reference and alternative windows (fastest for it) and of their reverse complements; it writes the same
table with polars, 3,676 numbers a variant. The tables are compared. Nine in ten variants are SNVs, the others indels.

Beside them: ``not_network``, the share of our CPU seconds outside the network, from the time that a network which
answers at once takes, and ``without_network``, variants per CPU second with that; ``network_ratio``, how many times the
CPU seconds of our way through the network go into scoring both windows of an SNV, for this network and (``deepsea``)
the published one.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from torch import nn

from benchmarks.measure import interleaved, prepared, result
from regulome import models
from regulome.explain import score_variants
from regulome.explain.substitutions import SubstitutionScorer
from regulome.genome import open_genome
from regulome.models.one_hot import OneHot
from regulome.models.preprocess import Predictor
from regulome.training import Scorer

LENGTH, TARGETS, VARIANTS, BATCH = 1000, 919, 5_000, 64
NAMES = [f"f{i}" for i in range(TARGETS)]
SIZE = 4_000_000
HEADER = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"


class AtOnce(nn.Module):
    """A network that costs nothing."""

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        return codes[:, :1].float().expand(-1, TARGETS)


def run(data_dir: Path) -> dict[str, object]:
    fasta, vcf = _make(data_dir)
    os.environ.setdefault("REGULOME_CACHE", str((data_dir / "cache").resolve()))
    genome = open_genome(fasta)
    torch.manual_seed(0)
    network = models.create("deepsea", length=LENGTH, targets=TARGETS, filters=(32, 48, 96), hidden=92).eval()
    scorer = _scorer(Predictor(OneHot(), network))
    out, plain = data_dir / "effects.parquet", data_dir / "plain-effects.parquet"
    works: dict[str, Callable[[], object]] = {
        "ours": lambda: score_variants(scorer, vcf, genome, out, overwrite=True),
        "free": lambda: score_variants(_scorer(AtOnce()), vcf, genome, out, overwrite=True),
    }
    name = "pyfaidx per variant, numpy one-hot, the same network, polars"
    more: dict[str, object] = {}
    try:
        import pyfaidx
    except ImportError:
        name += ": pyfaidx is not installed"
    else:
        sequences = pyfaidx.Fasta(str(fasta), sequence_always_upper=True, as_raw=True)
        works["peer"] = lambda: _plain(vcf, sequences, network).write_parquet(plain)
        works["ours"]()
        works["peer"]()
        more["largest_difference"] = _compared(out, plain)
    times = interleaved(works, repeats=3)
    rates = {way: VARIANTS / time for way, time in times.items()}
    more |= {"not_network": round(times["free"] / times["ours"], 3), "without_network": round(rates["free"])}
    more["network_ratio"] = _network_ratio(scorer, 512)
    full = models.create("deepsea", length=LENGTH, targets=TARGETS).eval()
    more["deepsea_network_ratio"] = _network_ratio(_scorer(Predictor(OneHot(), full)), 64)
    return result(rates["ours"], rates.get("peer"), unit="variants/CPU s", peer_name=name, **more)


def _scorer(model: nn.Module) -> Scorer:
    return Scorer([model], length=LENGTH, target_names=NAMES)


def _compared(ours: Path, plain: Path) -> float:
    """The largest difference between two tables of the same columns."""
    tables = [pl.read_parquet(path) for path in (ours, plain)]
    if tables[0].columns != tables[1].columns or len(tables[0]) != len(tables[1]):
        raise AssertionError("the tables have other columns or rows")
    kinds = tables[0].schema
    texts = [name for name, kind in kinds.items() if kind != pl.Float32 and name != "top_feature"]
    if not tables[0].select(texts).equals(tables[1].select(texts)):
        raise AssertionError("the tables tell of other alleles")
    numbers = [table.select(pl.col(pl.Float32)).to_numpy() for table in tables]
    difference = float(np.abs(numbers[0] - numbers[1]).max())
    if difference > 1e-5:
        raise AssertionError(f"ours and the plain way differ by {difference}")
    return difference


def _network_ratio(scorer: Scorer, count: int) -> float:
    windows = np.random.default_rng(1).integers(0, 4, (count, LENGTH)).astype(np.uint8)
    changed = windows.copy()
    changed[:, LENGTH // 2] = (changed[:, LENGTH // 2] + 1) % 4
    substitutions = SubstitutionScorer(scorer)
    works: dict[str, Callable[[], object]] = {
        "plain": lambda: (scorer.log_odds(windows), scorer.log_odds(changed)),
        "ours": lambda: substitutions(windows, LENGTH // 2, np.arange(count), changed[:, LENGTH // 2]),
    }
    works["ours"]()
    times = interleaved(works, repeats=3)
    return round(times["plain"] / times["ours"], 2)


def _make(data_dir: Path) -> tuple[Path, Path]:
    """Make a chromosome, and variants on it: SNVs, and one in ten an indel."""
    rng = np.random.default_rng(0)
    letters = rng.choice(np.frombuffer(b"ACGT", np.uint8), SIZE)
    fasta, vcf = data_dir / "variants.fa", data_dir / f"variants-{VARIANTS}.vcf"
    with prepared(fasta) as path:
        if path:
            lines = np.column_stack([letters.reshape(-1, 80), np.full(SIZE // 80, 10, np.uint8)])
            path.write_bytes(b">chr1\n" + lines.tobytes())
    with prepared(vcf) as path:
        if path:
            rows = []
            for place in np.sort(rng.choice(SIZE - 10, VARIANTS, replace=False)).tolist():
                ref = letters[place : place + (3 if rng.random() < 0.05 else 1)].tobytes().decode()
                alt = "ACGT"["ACGT".index(ref[0]) - rng.integers(1, 4)] if len(ref) == 1 else ref[0]
                alt = ref + "GA" if rng.random() < 0.05 else alt
                rows.append(f"chr1\t{place + 1}\t.\t{ref}\t{alt}\t.\tPASS\t.\n")
            path.write_text(HEADER + "".join(rows))
    return fasta, vcf


def _plain(vcf: Path, genome: Any, network: nn.Module) -> pl.DataFrame:
    """Score as a script would."""
    table = np.zeros((256, 4), np.float32)
    for channel, letter in enumerate(b"ACGT"):
        table[letter, channel] = 1
    windows: list[npt.NDArray[np.float32]] = []
    found: list[npt.NDArray[np.float32]] = []
    rows = []

    def flush() -> None:
        x = np.stack(windows)
        with torch.inference_mode():
            both = [torch.sigmoid(network(torch.from_numpy(np.ascontiguousarray(y)))) for y in (x, x[:, ::-1, ::-1])]
        found.append(((both[0] + both[1]) / 2).numpy().reshape(-1, 2, TARGETS))
        windows.clear()

    def one_hot(text: str) -> npt.NDArray[Any]:
        return table[np.frombuffer(text.encode(), np.uint8)].T

    for line in vcf.read_text().splitlines():
        if line.startswith("#"):
            continue
        chrom, pos, name, ref, alt = line.split("\t")[:5]
        rows.append((chrom, int(pos), name, ref, alt, 1))
        place = int(pos) - 1
        while ref and alt and ref[-1] == alt[-1]:
            ref, alt = ref[:-1], alt[:-1]
        while ref and alt and ref[0] == alt[0]:
            ref, alt, place = ref[1:], alt[1:], place + 1
        around = genome[chrom][max(0, place - LENGTH) : place + LENGTH]
        around = "N" * max(0, LENGTH - place) + around
        around += "N" * (2 * LENGTH - len(around))
        for allele in (ref, alt):
            begin = LENGTH // 2 + len(allele) // 2
            edited = around[:LENGTH] + allele + around[LENGTH + len(ref) :]
            windows.append(one_hot((edited + "N" * LENGTH)[begin : begin + LENGTH]))
        if len(windows) == BATCH:
            flush()
    if windows:
        flush()
    reference, alternative = np.concatenate(found).transpose(1, 2, 0)
    difference = alternative - reference
    odds = np.log(alternative / (1 - alternative)) - np.log(reference / (1 - reference))
    columns: dict[str, Any] = {"score": np.abs(difference).max(0)}
    columns["top_feature"] = [NAMES[i] for i in np.abs(difference).argmax(0)]
    for i, feature in enumerate(NAMES):
        columns[f"{feature}_ref"], columns[f"{feature}_alt"] = reference[i], alternative[i]
        columns[f"{feature}_difference"], columns[f"{feature}_log_odds"] = difference[i], odds[i]
    alleles = pl.DataFrame(rows, schema=["chrom", "pos", "id", "ref", "alt", "allele"], orient="row")
    return pl.concat([alleles, pl.DataFrame(columns)], how="horizontal")
