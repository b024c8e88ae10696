"""Errors that a user can mend, each told in one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike


class RegulomeError(Exception):
    """Base of every error that regulome raises on purpose.

    The command line prints it as one line and exits with code 2; a traceback is shown only with ``--debug``.
    """


class InputError(RegulomeError):
    """Something that the user gave is wrong, and the message says how to mend it.

    Args:
        problem: What is wrong, and what was expected; no capital at the start, no full stop at the end.
        file: The file in which it was found.
        record: Where in the file: a 1-based line number, or the name of a record.
        cure: What the user can do about it.

    Example:
        >>> print(InputError("start 9 is not before end 5", file="a.bed", record=3, cure="mend the line"))
        a.bed: line 3: start 9 is not before end 5 (mend the line)
    """

    def __init__(
        self,
        problem: str,
        *,
        file: str | PathLike[str] | None = None,
        record: int | str | None = None,
        cure: str | None = None,
    ) -> None:
        self.problem = problem
        self.file = None if file is None else str(file)
        self.record = record
        self.cure = cure
        where = "" if file is None else f"{file}: "
        if record is not None:
            where += f"line {record}: " if isinstance(record, int) else f"{record}: "
        super().__init__(where + problem + (f" ({cure})" if cure else ""))

    def __reduce__(self) -> tuple[object, ...]:
        """Survive the trip between processes with every field."""
        return _rebuild, (type(self), self.problem, self.file, self.record, self.cure)


@contextmanager
def blame(file: str | PathLike[str] | None, record: int | str | None = None) -> Iterator[None]:
    """Name a file (where there is one) in the input errors of a block that knows only what the file held."""
    try:
        yield
    except InputError as error:
        if error.file is not None:
            raise
        raise InputError(error.problem, file=file, record=record, cure=error.cure) from None


def _rebuild(
    kind: type[InputError], problem: str, file: str | None, record: int | str | None, cure: str | None
) -> InputError:
    return kind(problem, file=file, record=record, cure=cure)
