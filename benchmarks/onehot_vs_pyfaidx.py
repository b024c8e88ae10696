"""Windows of 1,000 bases as one-hot float32 [n, 4, 1000], in batches of 256, at random places of a chromosome of 60 Mb.

Ours: :meth:`regulome.genome.Genome.one_hot` on the genome's cache. Peers, each on its own indexed file of the same
chromosome: pyfaidx (plain FASTA), whose text becomes one-hot by a comparison of numpy with the four letters; and, as
``py2bit``, py2bit with a look-up table from bytes to one-hot columns. All files are in the memory's cache, indices are
made before. All three give the same arrays.

Windows per CPU second, median of interleaved repetitions. ``memory`` is how many such windows the memory itself takes:
zeros written to a buffer of this size.
"""

from __future__ import annotations

import os
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np

from benchmarks.measure import interleaved, result
from regulome.genome.sequence import open_genome

LENGTH, WIDTH, BATCH, WINDOWS, LINE = 60_000_000, 1_000, 256, 4_096, 60


def run(data_dir: Path) -> dict[str, object]:
    with tempfile.TemporaryDirectory(dir=data_dir) as folder:
        return _run(Path(folder))


def _run(folder: Path) -> dict[str, object]:
    fasta, two_bit = _write(folder)
    with mock.patch.dict(os.environ, REGULOME_CACHE=str(folder)):
        genome = open_genome(fasta)
    starts = np.random.default_rng(8).integers(0, LENGTH - WIDTH, WINDOWS)
    names = np.zeros(BATCH, dtype=np.int32)
    # Each way writes all its batches to one array, so that finding fresh memory weighs on none.
    answers = {name: np.zeros((BATCH, 4, WIDTH), dtype=np.float32) for name in ("ours", "peer", "py2bit", "memory")}

    def ours() -> None:
        for first in range(0, WINDOWS, BATCH):
            genome.one_hot(names, starts[first : first + BATCH], WIDTH, out=answers["ours"])

    def memory() -> None:
        for _ in range(0, WINDOWS, BATCH):
            answers["memory"][:] = 0

    works: dict[str, Callable[[], object]] = {"ours": ours, "memory": memory}
    name = "pyfaidx + numpy one-hot: pyfaidx is not installed"
    try:
        import pyfaidx
    except ImportError:
        pass
    else:
        name = f"pyfaidx + numpy one-hot (pyfaidx {pyfaidx.__version__})"
        sequences = pyfaidx.Fasta(str(fasta), as_raw=True, sequence_always_upper=True)
        letters = np.frombuffer(b"ACGT", dtype=np.uint8)[:, None]

        def peer() -> None:
            for first in range(0, WINDOWS, BATCH):
                for i, start in enumerate(starts[first : first + BATCH].tolist()):
                    text = np.frombuffer(sequences["chr1"][start : start + WIDTH].encode(), dtype=np.uint8)
                    answers["peer"][i] = text == letters

        works["peer"] = peer
    try:
        import py2bit
    except ImportError:
        pass
    else:
        packed = py2bit.open(str(two_bit))
        table = np.zeros((4, 256), dtype=np.float32)
        table[range(4), list(b"ACGT")] = 1

        def peer_2bit() -> None:
            for first in range(0, WINDOWS, BATCH):
                for i, start in enumerate(starts[first : first + BATCH].tolist()):
                    text = packed.sequence("chr1", start, start + WIDTH)
                    letters_at = np.frombuffer(text.encode(), dtype=np.uint8)
                    np.take(table, letters_at, axis=1, out=answers["py2bit"][i], mode="clip")

        works["py2bit"] = peer_2bit
    for work in works.values():
        work()
    for way in ("peer", "py2bit"):
        if way in works:
            np.testing.assert_array_equal(answers["ours"], answers[way])
    times = interleaved(works, repeats=7)
    rates = {name: WINDOWS / time for name, time in times.items()}
    more: dict[str, object] = {"memory": round(rates["memory"])}
    if "py2bit" in rates:
        more |= {"py2bit": round(rates["py2bit"]), "py2bit_ratio": round(rates["ours"] / rates["py2bit"], 2)}
    return result(rates["ours"], rates.get("peer"), unit="windows/CPU s", peer_name=name, **more)


def _write(folder: Path) -> tuple[Path, Path]:
    """Write the chromosome as FASTA, with an N-run at its start as real ones have, and as 2bit."""
    codes = np.random.default_rng(7).integers(0, 4, LENGTH, dtype=np.uint8)
    text = np.frombuffer(b"ACGT", dtype=np.uint8)[codes]
    unknown = 100_000
    text[:unknown] = ord("N")
    lines = np.full((LENGTH // LINE, LINE + 1), ord("\n"), dtype=np.uint8)
    lines[:, :LINE] = text.reshape(-1, LINE)
    fasta, two_bit = folder / "genome.fa", folder / "genome.2bit"
    fasta.write_bytes(b">chr1\n" + lines.tobytes())
    # T C A G are 0 1 2 3, the first base is in the highest bits.
    quarters = np.array([2, 1, 3, 0], dtype=np.uint8)[codes].reshape(-1, 4)
    packed = quarters[:, 0] << 6 | quarters[:, 1] << 4 | quarters[:, 2] << 2 | quarters[:, 3]
    header = struct.pack("<4I", 0x1A412743, 0, 1, 0) + b"\4chr1" + struct.pack("<I", 25)
    record = struct.pack("<6I", LENGTH, 1, 0, unknown, 0, 0)
    two_bit.write_bytes(header + record + packed.tobytes())
    return fasta, two_bit
