"""Tables that are written piece by piece and appear when they are complete."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from regulome import storage
from regulome.errors import InputError

#: What a table may be written as.
ENDINGS = (".tsv", ".tsv.gz", ".csv", ".csv.gz", ".parquet")
#: A group of rows of a Parquet file has about this many bytes in memory.
_GROUP = 1 << 27

Write = Callable[[pl.DataFrame], object]


def table_ending(path: str | os.PathLike[str], *, others: tuple[str, ...] = ()) -> str:
    """Return the ending of a table's name.

    Args:
        path: The file.
        others: Endings that are allowed besides :data:`ENDINGS`.

    Raises:
        InputError: It cannot be written as that.
    """
    name = Path(path).name.lower()
    endings = (*others, *ENDINGS)
    for ending in endings:
        if name.endswith(ending) and len(name) > len(ending):
            return ending
    raise InputError("has no ending that says how to write it", file=path, cure=f"choose from {', '.join(endings)}")


@contextmanager
def new_table(path: str | os.PathLike[str], schema: Mapping[str, Any], *, overwrite: bool = False) -> Iterator[Write]:
    """Give a function that appends rows to a table.

    Memory: a group of rows. A Parquet file of several groups is first written in parts beside it, uncompressed; they
    take about as much room on the disk as the file itself.
    ``.gz`` is written as bgzip, which every gunzip reads.

    Args:
        path: ``.tsv``, ``.csv`` (also ``.gz``) or ``.parquet``; it appears when the block ends well.
        schema: Column → polars type.
        overwrite: Replace an existing file.

    Raises:
        InputError: Another ending, or the file exists.
    """
    ending = table_ending(path)
    empty = pl.DataFrame(schema=dict(schema))
    with storage.new_file(path, overwrite=overwrite) as temporary, ExitStack() as stack:
        if ending == ".parquet":
            yield from _parquet(temporary, empty)
            return
        write = stack.enter_context(new_text(temporary, compress=ending.endswith(".gz")))
        separator = "," if ".csv" in ending else "\t"
        write(empty.write_csv(separator=separator).encode())
        yield lambda table: write(table.write_csv(separator=separator, include_header=False).encode())


@contextmanager
def new_text(path: Path, *, compress: bool) -> Iterator[Callable[[bytes], object]]:
    """Give a function that appends bytes to a file, through bgzip where ``compress`` says so."""
    if compress:
        from pysam import BGZFile

        with BGZFile(str(path), "wb", None) as stream:
            yield stream.write
    else:
        with path.open("wb") as plain:
            yield plain.write


def _parquet(path: Path, empty: pl.DataFrame) -> Iterator[Write]:
    parts = path.with_name(path.name + ".parts")
    parts.mkdir()
    waiting = [empty]
    rows = max(1, _GROUP // max(1, 8 * empty.width))
    files: list[Path] = []

    def write(table: pl.DataFrame) -> None:
        waiting.append(table)
        if sum(len(part) for part in waiting) >= rows:
            # Arrow's own layout costs little; only the whole is packed.
            files.append(parts / f"{len(files):06d}.arrow")
            pl.concat(waiting).write_ipc(files[-1])
            waiting[:] = [empty]

    try:
        yield write
        last = pl.concat(waiting)
        if not files:
            last.write_parquet(path, row_group_size=rows)
            return
        last.write_ipc(parts / "last.arrow")
        pl.scan_ipc([*files, parts / "last.arrow"]).sink_parquet(path, row_group_size=rows)
    finally:
        shutil.rmtree(parts, ignore_errors=True)
