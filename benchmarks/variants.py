"""Effects of variants from a VCF file by a small DeepSEA (1,000 bp, 919 features), both strands averaged, to Parquet.

Ours: variants per CPU second of ``score_variants``, from the opened genome and the file on disk on. Peer: the plain way
in Python, a window from pyfaidx for each variant, the allele put in as a string, numpy one-hot, and the same network on
batches of reference and alternative windows and their reverse complements; it writes nothing. The answers are compared.
Beside them: ``not_network``, the share of our CPU seconds outside the network, and ``without_network``, the variants
per CPU second with a network that answers at once. Both are of the size of what is written: 3,676 numbers a variant.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyfaidx
import torch
from torch import nn

from benchmarks.measure import cpu_seconds, interleaved, prepared, result
from regulome import models
from regulome.explain import score_variants
from regulome.genome import open_genome
from regulome.models.one_hot import OneHot
from regulome.training import Scorer

LENGTH, TARGETS, VARIANTS, BATCH, MANY = 1000, 919, 1_000, 256, 20_000
SIZE = 4_000_000
HEADER = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"


class Timed(nn.Module):
    """A network that adds up the seconds of its own work."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.seconds = 0.0

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        begin = cpu_seconds()
        answer: torch.Tensor = self.network(codes)
        self.seconds += cpu_seconds() - begin
        return answer


class AtOnce(nn.Module):
    """A network that costs nothing."""

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        return codes[:, :1].float().expand(-1, TARGETS)


def run(data_dir: Path) -> dict[str, object]:
    fasta, few, many = _make(data_dir)
    os.environ.setdefault("REGULOME_CACHE", str((data_dir / "cache").resolve()))
    genome = open_genome(fasta)
    torch.manual_seed(0)
    network = models.create("deepsea", length=LENGTH, targets=TARGETS, filters=(32, 48, 96), hidden=92).eval()
    timed = Timed(nn.Sequential(OneHot(), network))
    scorer = Scorer([timed], length=LENGTH, target_names=[f"f{i}" for i in range(TARGETS)], batch_size=BATCH)
    at_once = Scorer([AtOnce()], length=LENGTH, target_names=scorer.target_names, batch_size=BATCH)
    out = data_dir / "effects.parquet"
    answer: dict[str, npt.NDArray[np.float32]] = {}

    def ours() -> None:
        score_variants(scorer, few, genome, out, overwrite=True)

    def peer() -> None:
        answer["peer"] = _plain(few, fasta, network)

    ours()
    found = pl.read_parquet(out).select(pl.col("^f[0-9]+_difference$")).to_numpy()
    peer()
    difference = float(np.abs(found - answer["peer"]).max())
    if difference > 1e-5:
        raise AssertionError(f"ours and the plain way differ by {difference}")
    timed.seconds, before = 0.0, cpu_seconds()
    ours()
    outside = 1 - timed.seconds / (cpu_seconds() - before)
    times = interleaved({"ours": ours, "peer": peer}, repeats=3)
    quick = interleaved({"free": lambda: score_variants(at_once, many, genome, out, overwrite=True)}, repeats=1)
    return result(
        VARIANTS / times["ours"],
        VARIANTS / times["peer"],
        unit="variants/CPU s",
        peer_name="pyfaidx per variant, numpy one-hot, the same network",
        not_network=round(outside, 3),
        without_network=round(MANY / quick["free"]),
        largest_difference=difference,
    )


def _make(data_dir: Path) -> tuple[Path, Path, Path]:
    """Make a chromosome, and variants on it: SNVs, and one in ten an indel."""
    rng = np.random.default_rng(0)
    letters = rng.choice(np.frombuffer(b"ACGT", np.uint8), SIZE)
    fasta = data_dir / "variants.fa"
    with prepared(fasta) as path:
        if path:
            lines = np.column_stack([letters.reshape(-1, 80), np.full(SIZE // 80, 10, np.uint8)])
            path.write_bytes(b">chr1\n" + lines.tobytes())
    files = []
    for count in (VARIANTS, MANY):
        vcf = data_dir / f"variants-{count}.vcf"
        files.append(vcf)
        with prepared(vcf) as path:
            if not path:
                continue
            rows = []
            for place in np.sort(rng.choice(SIZE - 10, count, replace=False)).tolist():
                ref = letters[place : place + (3 if rng.random() < 0.05 else 1)].tobytes().decode()
                alt = "ACGT"["ACGT".index(ref[0]) - rng.integers(1, 4)] if len(ref) == 1 else ref[0]
                alt = ref + "GA" if rng.random() < 0.05 else alt
                rows.append(f"1\t{place + 1}\t.\t{ref}\t{alt}\t.\tPASS\t.\n")
            path.write_text(HEADER + "".join(rows))
    return fasta, files[0], files[1]


def _plain(vcf: Path, fasta: Path, network: nn.Module) -> npt.NDArray[np.float32]:
    """Score as a script would; returns differences [variants, features]."""
    table = np.zeros((256, 4), np.float32)
    for channel, letter in enumerate(b"ACGT"):
        table[letter, channel] = 1
    genome = pyfaidx.Fasta(str(fasta), sequence_always_upper=True, as_raw=True)
    windows: list[npt.NDArray[np.float32]] = []
    found = []

    def flush() -> None:
        x = np.stack(windows)
        with torch.no_grad():
            both = [torch.sigmoid(network(torch.from_numpy(np.ascontiguousarray(y)))) for y in (x, x[:, ::-1, ::-1])]
        mean = ((both[0] + both[1]) / 2).numpy().reshape(-1, 2, TARGETS)
        found.append(mean[:, 1] - mean[:, 0])
        windows.clear()

    def one_hot(text: str) -> npt.NDArray[Any]:
        return table[np.frombuffer(text.encode(), np.uint8)].T

    for line in vcf.read_text().splitlines():
        if line.startswith("#"):
            continue
        chrom, pos, _, ref, alt = line.split("\t")[:5]
        place = int(pos) - 1
        while ref and alt and ref[-1] == alt[-1]:
            ref, alt = ref[:-1], alt[:-1]
        while ref and alt and ref[0] == alt[0]:
            ref, alt, place = ref[1:], alt[1:], place + 1
        around = genome[f"chr{chrom}"][max(0, place - LENGTH) : place + LENGTH]
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
    return np.concatenate(found)
