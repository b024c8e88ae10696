"""Files and folders that appear under their name only when they are complete."""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from regulome.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class Source(TypedDict):
    """Where something came from: the record that datasets and runs keep of each input file."""

    path: str
    bytes: int
    sha256: str


def sha256(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def source(path: str | os.PathLike[str]) -> Source:
    """Describe an input file by absolute path, size in bytes and SHA-256."""
    path = existing_file(path)
    return {"path": str(path.resolve()), "bytes": path.stat().st_size, "sha256": sha256(path)}


def existing_file(path: str | os.PathLike[str]) -> Path:
    """Return ``path`` as a Path if it is a readable, non-empty file.

    Raises:
        InputError: It does not exist, is a folder, cannot be read or is empty.
    """
    path = Path(path)
    if not path.exists():
        raise InputError("no such file", file=path, cure="check the path")
    if path.is_dir():
        raise InputError("is a folder, expected a file", file=path, cure="name a file in it")
    if not os.access(path, os.R_OK):
        raise InputError("cannot be read", file=path, cure="check its permissions")
    if path.stat().st_size == 0:
        raise InputError("is empty", file=path, cure="make or download it again")
    return path


def check_target(path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Return ``path`` if something may be written there, before any work is done.

    Raises:
        InputError: It exists and ``overwrite`` is false, or its parent is missing or not writable.
    """
    path = Path(path)
    if path.exists() and not overwrite:
        raise InputError("exists already", file=path, cure="choose another --out, or give --overwrite")
    parent = path.absolute().parent
    if parent.exists() and not parent.is_dir():
        raise InputError("its parent is not a folder", file=path, cure="choose another --out")
    parent.mkdir(parents=True, exist_ok=True)
    if not os.access(parent, os.W_OK):
        raise InputError("its folder is not writable", file=path, cure="choose another --out")
    return path


def _temporary(path: Path) -> Path:
    return path.absolute().with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")


@contextmanager
def new_folder(path: str | os.PathLike[str], *, overwrite: bool = False) -> Iterator[Path]:
    """Give a temporary folder that takes the name ``path`` when the block ends well, and vanishes otherwise."""
    path = check_target(path, overwrite=overwrite)
    temporary = _temporary(path)
    temporary.mkdir()
    try:
        yield temporary
        replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def new_file(path: str | os.PathLike[str], *, overwrite: bool = True) -> Iterator[Path]:
    """Give a temporary file name that becomes ``path`` when the block ends well, and vanishes otherwise."""
    path = check_target(path, overwrite=overwrite)
    temporary = _temporary(path)
    # Writers choose a format by the file's suffix, so the temporary name keeps it.
    temporary = temporary.with_name(temporary.name + "".join(path.suffixes[-2:]))
    try:
        yield temporary
        replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def replace(new: Path, path: Path) -> None:
    """Put the finished file or folder ``new`` in the place of ``path``."""
    if path.is_dir() and not path.is_symlink():
        old = _temporary(path)
        path.rename(old)
        new.rename(path)
        shutil.rmtree(old)
    else:
        new.replace(path)


#: Bytes written at a time.
_BLOCK = 1 << 22


def allocate_npy(
    path: str | os.PathLike[str], shape: tuple[int, ...], dtype: npt.DTypeLike
) -> np.memmap[Any, np.dtype[Any]]:
    """Create a ``.npy`` file of zeros on disk and map it for writing.

    The blocks are reserved first: on a full disk a write into a sparse map would end the process with a bus error,
    reserving raises an ``OSError`` that can be told.
    """
    import numpy as np

    array = np.lib.format.open_memmap(path, mode="w+", dtype=np.dtype(dtype), shape=shape)
    size = Path(path).stat().st_size
    with Path(path).open("r+b") as stream:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(stream.fileno(), 0, size)
        else:  # macOS has no such call: writing the zeros reserves them, too.
            stream.seek(array.offset)
            for begin in range(array.offset, size, _BLOCK):
                stream.write(bytes(min(_BLOCK, size - begin)))
    return array
