"""Genomes kept as one byte per base in files of a cache folder, to be mapped into memory.

A file holds the codes of all chromosomes one after the other, then a JSON text (source, names, lengths), the length of
that text in 8 bytes and 8 bytes that say that the file is complete. It stands in the folder ``genomes`` of the folder
that the environment variable ``REGULOME_CACHE`` names, else of ``~/.cache/regulome``, under a name made of the source's
name and path. Files may be deleted at any time; what is needed again is made again.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from regulome.errors import InputError
from regulome.genome.letters import Codes
from regulome.storage import new_file

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

logger = logging.getLogger(__name__)

_COMPLETE = b"RGLMCOD1"
_CURE = "free some space, or set REGULOME_CACHE to a folder that has room"


@dataclass(frozen=True)
class CodeFile:
    """Codes of a genome, mapped into memory.

    Attributes:
        names: Chromosomes in the source's order.
        offsets: int64 [n + 1], where each begins in ``codes``.
        codes: uint8 [all bases], read only.
    """

    names: tuple[str, ...]
    offsets: npt.NDArray[np.int64]
    codes: np.memmap[Any, np.dtype[np.uint8]]


#: Gives the codes of a source in pieces, and when those are through, its names and offsets.
Reader = tuple[Iterable[Codes], Callable[[], tuple[list[str], npt.NDArray[np.int64]]]]


def cache_folder() -> Path:
    """Say where genomes are kept: ``$REGULOME_CACHE/genomes``, by default ``~/.cache/regulome/genomes``."""
    named = os.environ.get("REGULOME_CACHE")
    return (Path(named).expanduser() if named else Path.home() / ".cache" / "regulome") / "genomes"


def map_codes(path: Path, read: Callable[[], Reader]) -> CodeFile:
    """Map the codes of a genome, after making the file if it is missing or older than the source.

    Two processes that need the same genome at once wait for each other where the file system has locks; where it has
    none, both make the file, and the later one takes the place of the other, which stays readable.

    Args:
        path: The source.
        read: Opens the source.

    Raises:
        InputError: The source is not right, or the cache cannot be written.
    """
    digest = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:12]
    file = cache_folder() / f"{path.name}-{digest}.codes"
    source = _identify(path)
    if found := _open(file, source):
        return found
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with _alone(file) as locked:
            # Another process may have made it while this one waited.
            if found := _open(file, source):
                return found
            if locked:
                for left in file.parent.glob(f".{file.name}.*.tmp*"):
                    left.unlink(missing_ok=True)
            why = f"has changed since {file} was made of it" if file.exists() else "is read for the first time"
            logger.info(f"{path.name}: {why}; its bases go to {file}, which later runs open at once")
            with new_file(file) as partial:
                _write(partial, source, read())
                if _identify(path) != source:
                    raise InputError("changed while it was read", file=path, cure="wait until it is complete")
    except OSError as error:
        problem = f"cannot be written: {error.strerror or error}"
        cure = _CURE if error.errno == errno.ENOSPC else "set REGULOME_CACHE to a folder that can be written to"
        raise InputError(problem, file=error.filename or file, cure=cure) from error
    found = _open(file, source)
    if found is None:
        raise InputError("was replaced or removed while it was made", file=file, cure="try again")
    return found


def _identify(path: Path) -> dict[str, object]:
    stat = path.stat()
    return {"path": str(path.resolve()), "bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns}


def _write(file: Path, source: dict[str, object], reader: Reader) -> None:
    pieces, finish = reader
    with file.open("wb") as stream:
        for piece in pieces:
            stream.write(piece.data)
        names, offsets = finish()
        text = json.dumps({"source": source, "names": names, "lengths": np.diff(offsets).tolist()}).encode()
        stream.write(text + struct.pack("<Q", len(text)) + _COMPLETE)
        stream.flush()
        os.fsync(stream.fileno())


def _open(file: Path, source: dict[str, object]) -> CodeFile | None:
    """Map a file if it is complete and of this very source."""
    try:
        with file.open("rb") as stream:
            size = stream.seek(-16, os.SEEK_END) + 16
            length, complete = struct.unpack("<Q8s", stream.read(16))
            if complete != _COMPLETE:
                return None
            stream.seek(size - 16 - length)
            index = json.loads(stream.read(length))
            if index["source"] != source:
                return None
            offsets = np.concatenate([[0], np.cumsum(index["lengths"], dtype=np.int64)]).astype(np.int64)
            if offsets[-1] != size - 16 - length:
                return None
            codes = np.memmap(stream, dtype=np.uint8, mode="r", shape=(int(offsets[-1]),))
        return CodeFile(tuple(index["names"]), offsets, codes)
    except (OSError, ValueError, KeyError, TypeError):
        return None


@contextmanager
def _alone(file: Path) -> Iterator[bool]:
    """Keep other processes from making the same file; say whether that is possible here."""
    with file.with_name(f".{file.name}.lock").open("w") as stream:
        try:
            if fcntl is None:
                raise OSError
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                logger.info(f"{file.name}: another process makes it; waiting for that")
                fcntl.flock(stream, fcntl.LOCK_EX)
            locked = True
        except OSError:
            locked = False
        yield locked
