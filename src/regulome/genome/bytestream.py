"""Bytes of plain and gzip-compressed files, in large pieces, with errors told as what they mean for the user."""

from __future__ import annotations

import gzip
import importlib
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO

from regulome.errors import InputError
from regulome.progress import progress
from regulome.storage import existing_file

try:
    _threaded: Any = importlib.import_module("isal.igzip_threaded")
    _isal_error = importlib.import_module("isal.isal_zlib").error
    _DAMAGED: tuple[type[Exception], ...] = (zlib.error, gzip.BadGzipFile, _isal_error)
except ImportError:  # a platform without isal wheels
    _threaded, _DAMAGED = None, (zlib.error, gzip.BadGzipFile)

GZIP = b"\x1f\x8b"
_OTHERS = {b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstandard", b"PK\x03\x04": "zip"}


class ByteStream:
    """A file's bytes after decompression. Decompression runs in a thread beside the caller."""

    def __init__(self, path: str | PathLike[str], raw: BinaryIO, stream: Any) -> None:
        self.path = path
        self._raw = raw
        self._stream = stream

    def readinto(self, buffer: memoryview) -> int:
        """Fill ``buffer`` as far as the file goes; return the number of bytes.

        Raises:
            InputError: The gzip stream is cut short or broken.
        """
        filled = 0
        while filled < len(buffer):
            try:
                count = self._stream.readinto(buffer[filled:])
            except EOFError as error:
                raise InputError("gzip ends early", file=self.path, cure="download or make it again") from error
            except _DAMAGED as error:
                raise InputError("gzip is damaged", file=self.path, cure="download or make it again") from error
            if not count:
                break
            filled += count
        return filled

    @property
    def size(self) -> int:
        """Bytes of the file on disk."""
        return Path(self.path).stat().st_size

    @property
    def consumed(self) -> int:
        """Bytes of the file on disk read so far."""
        return self._raw.tell()


@contextmanager
def open_bytes(path: str | PathLike[str]) -> Iterator[ByteStream]:
    """Open a file that may be compressed with gzip, whatever its name says.

    Raises:
        InputError: No such file, empty, named ``.gz`` without being gzip, or compressed in another way.
    """
    path = existing_file(path)
    with path.open("rb") as raw:
        magic = raw.read(6)
        raw.seek(0)
        for begin, name in _OTHERS.items():
            if magic.startswith(begin):
                raise InputError(
                    f"is compressed with {name}", file=path, cure="decompress it, or compress it with gzip"
                )
        if magic.startswith(GZIP):
            with _threaded.open(raw, "rb", threads=1) if _threaded else gzip.open(raw, "rb") as stream:
                yield ByteStream(path, raw, stream)
        elif path.suffix == ".gz":
            raise InputError("is not gzip, as its name says", file=path, cure="download it again, or rename it")
        else:
            yield ByteStream(path, raw, raw)


@contextmanager
def watched(stream: ByteStream, description: str) -> Iterator[Callable[[], None]]:
    """Show progress through a file by the bytes read from disk; the function given is to be called now and then."""
    with progress(description, stream.size, "bytes") as advance:
        done = 0

        def moved() -> None:
            nonlocal done
            now = stream.consumed
            advance(now - done)
            done = now

        yield moved
