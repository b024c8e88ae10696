"""A ``.npy`` file that grows row by row: its header is written anew when it is complete."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt


class GrowingArray:
    """An array on disk whose first axis grows; it is never in memory.

    Args:
        path: The ``.npy`` file to make.
        dtype: Number type.
        row: Lengths of the axes after the first.

    Raises:
        OSError: The disk is full (also from :meth:`append`).
    """

    def __init__(self, path: str | os.PathLike[str], dtype: npt.DTypeLike, row: tuple[int, ...] = ()) -> None:
        self.dtype = np.dtype(dtype)
        self.row = row
        self._rows = 0
        self._stream = Path(path).open("wb")  # noqa: SIM115 - open until the array is complete
        self._write_header()

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows so far, and the lengths of the other axes."""
        return (self._rows, *self.row)

    def __len__(self) -> int:
        return self._rows

    def append(self, rows: npt.NDArray[Any]) -> None:
        """Add rows at the end.

        Args:
            rows: ``[rows, *row]``, converted to the array's number type.
        """
        if rows.shape[1:] != self.row:
            raise ValueError(f"rows of shape {rows.shape[1:]} for an array of rows {self.row}")
        self._stream.write(np.ascontiguousarray(rows, self.dtype).data)
        self._rows += len(rows)

    def flush(self) -> None:
        """Write the header with the final shape and close the file; nothing can be added afterwards."""
        if self._stream.closed:
            return
        self._stream.seek(0)
        self._write_header()
        self._stream.close()

    def close(self) -> None:
        """Close the file as it is, where the array is given up."""
        self._stream.close()

    def _write_header(self) -> None:
        # numpy leaves room for the first axis of any length: the header has the same size whatever the shape.
        about = {"descr": np.lib.format.dtype_to_descr(self.dtype), "fortran_order": False, "shape": self.shape}
        np.lib.format.write_array_header_1_0(self._stream, about)
