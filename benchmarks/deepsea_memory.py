"""Memory of turning DeepSEA's bundle into a dataset: peak resident megabytes of the process, against a limit of 1 GB.

Three files of the bundle's layout are made, converted each in a process of its own, compared with what was planted, and
deleted: ``train.mat`` (HDF5, uncompressed, 880,000 windows × 1,000 letters, 919 features, 4.3 GB) with chunks of a few
positions and some thousand windows, as MATLAB cuts them; the same with all windows of a position in one chunk, the
worst case for reading by window; and ``test.mat`` (MATLAB v5, compressed) with the 455,024 windows of the real one.
``ours`` is the largest of the three. What grows with the number of windows is the table of examples: the whole
``train.mat`` of 4,400,000 windows (21.7 GB uncompressed), made in the same way, took 876 MB.
"""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

from benchmarks.measure import result

LENGTH, FEATURES = 1_000, 919
WINDOWS, TEST_WINDOWS = 880_000, 455_024
LIMIT_MB = 1_000.0
#: Code of each channel: A, G, C, T.
CHANNELS = np.array([0, 2, 1, 3], np.uint32)
Bytes = npt.NDArray[np.uint8]

_CONVERT = """
import json, sys, time
from pathlib import Path
from regulome.datasets import prepare_published_sequence
begin = time.perf_counter()
split, file, out = sys.argv[1:]
files = {"train": None, "valid": None, "test": None, split: file}
dataset = prepare_published_sequence("deepsea", *files.values(), out)
status = Path("/proc/self/status").read_text()
peak = int(status.split("VmHWM:")[1].split()[0]) / 1e3
print(json.dumps({"peak_mb": peak, "cpu_s": time.process_time(), "wall_s": time.perf_counter() - begin}))
"""


def run(data_dir: Path) -> dict[str, object]:
    cases: dict[str, tuple[str, Callable[[Path], None], int]] = {
        "train.mat": ("train", lambda path: write_hdf5(path, WINDOWS, along=4_096), WINDOWS),
        "train.mat, a chunk per position": ("train", lambda path: write_hdf5(path, WINDOWS, along=WINDOWS), WINDOWS),
        "test.mat": ("test", lambda path: write_matlab5(path, TEST_WINDOWS), TEST_WINDOWS),
    }
    found = {name: convert(data_dir, *case) for name, case in cases.items()}
    peak = max(one["peak_mb"] for one in found.values())
    return result(peak, LIMIT_MB, unit="MB", peer_name="the limit", smaller_is_better=True, files=found)


def convert(data_dir: Path, split: str, write: Callable[[Path], None], windows: int) -> dict[str, float]:
    """Make a file, convert it in another process, compare, delete, and return what that process needed."""
    path, out = data_dir / f"deepsea-memory-{split}.mat", data_dir / "deepsea-memory-dataset"
    try:
        write(path)
        size = path.stat().st_size
        command = [sys.executable, "-c", _CONVERT, split, str(path), str(out)]
        answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        compare(out, windows)
    finally:
        path.unlink(missing_ok=True)
        subprocess.run(["rm", "-rf", str(out)], check=True)
    needed: dict[str, float] = {"windows": windows, "file_gb": size / 1e9, **json.loads(answer)}
    return {name: round(value, 2) for name, value in needed.items()}


def compare(out: Path, windows: int) -> None:
    from regulome.datasets import open_dataset, window_codes

    dataset = open_dataset(out)
    rows = np.unique(np.random.default_rng(0).integers(0, windows, 2_000))
    same = np.array_equal(window_codes(dataset, rows), codes_of(rows[:, None], np.arange(LENGTH)))
    labels = labels_of(rows[:, None], np.arange(FEATURES))
    if not same or not np.array_equal(dataset.targets[rows], labels) or len(dataset) != windows:
        raise AssertionError("the dataset differs from what was planted")


def codes_of(example: npt.ArrayLike, position: npt.ArrayLike) -> npt.NDArray[np.uint32]:
    """The planted letters: a scramble of example and position, an arithmetic that any order of writing can follow."""
    value = np.asarray(example, np.uint32) * np.uint32(2654435761) + np.asarray(position, np.uint32) * np.uint32(40503)
    value = (value ^ (value >> np.uint32(15))) * np.uint32(2246822519)
    return (value >> np.uint32(20)) & np.uint32(3)


def labels_of(example: npt.ArrayLike, feature: npt.ArrayLike) -> Bytes:
    value = np.asarray(example, np.uint32) * np.uint32(2246822519) + np.asarray(feature, np.uint32) * np.uint32(
        3266489917
    )
    value = (value ^ (value >> np.uint32(13))) * np.uint32(2654435761)
    return ((value >> np.uint32(24)) < 5).astype(np.uint8)


def one_hot(example: npt.NDArray[np.int64], position: npt.NDArray[np.int64]) -> Bytes:
    """[position, channel, example]."""
    codes = codes_of(example[None, :], position[:, None])
    return (codes[:, None] == CHANNELS[:, None]).astype(np.uint8)


def write_hdf5(path: Path, windows: int, along: int) -> None:
    """Write a ``train.mat`` with chunks of so many windows."""
    whole = along >= windows
    step = 5 if whole else LENGTH
    with h5py.File(path, "w", userblock_size=512) as stream:
        x = stream.create_dataset(
            "trainxdata", (LENGTH, 4, windows), np.uint8, chunks=(1, 1, along) if whole else (5, 4, along)
        )
        y = stream.create_dataset(
            "traindata", (FEATURES, windows), np.uint8, chunks=(1, along) if whole else (20, along)
        )
        for first in range(0, windows, along):
            example = np.arange(first, min(first + along, windows))
            for row in range(0, LENGTH, step):
                x[row : row + step, :, example[0] : example[-1] + 1] = one_hot(example, np.arange(row, row + step))
            for row in range(0, FEATURES, 100):
                features = np.arange(row, min(row + 100, FEATURES))
                y[row : row + 100, example[0] : example[-1] + 1] = labels_of(example[None, :], features[:, None])


def write_matlab5(path: Path, windows: int) -> None:
    """Write a compressed ``test.mat``."""
    example = np.arange(windows)

    def sequences() -> Iterator[bytes]:
        for position in range(LENGTH):
            yield one_hot(example, np.array([position])).tobytes()

    def labels() -> Iterator[bytes]:
        for feature in range(FEATURES):
            yield labels_of(example, feature).tobytes()

    with path.open("wb") as stream:
        stream.write(b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H2s", 0x0100, b"IM"))
        for name, shape, values in (
            ("testxdata", (windows, 4, LENGTH), sequences()),
            ("testdata", (windows, FEATURES), labels()),
        ):
            size = int(np.prod(shape))
            shown = struct.pack(f"<II{len(shape)}i", 5, 4 * len(shape), *shape).ljust(
                8 + (len(shape) + 1) // 2 * 8, b"\0"
            )
            label = struct.pack("<II", 1, len(name)) + name.encode().ljust(-(-len(name) // 8) * 8, b"\0")
            head = struct.pack("<IIII", 6, 8, 9, 0) + shown + label + struct.pack("<II", 2, size)
            tail = bytes(-size % 8)
            squeeze = zlib.compressobj(1)
            begin = stream.tell()
            stream.write(bytes(8))
            stream.write(squeeze.compress(struct.pack("<II", 14, len(head) + size + len(tail)) + head))
            for piece in values:
                stream.write(squeeze.compress(piece))
            stream.write(squeeze.compress(tail) + squeeze.flush())
            end = stream.tell()
            stream.seek(begin)
            stream.write(struct.pack("<II", 15, end - begin - 8))
            stream.seek(end)
