"""The verbs, and how every one of them ends: with a result, or with one clear line and exit code 2."""

from __future__ import annotations

import errno
import logging
import os
import re
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Annotated

import typer

from regulome import __version__
from regulome.cli import (
    check,
    compare,
    demo,
    evaluate,
    explain,
    grid,
    models,
    mutate,
    perturb,
    predict,
    prepare,
    profile,
    recipes,
    report,
    sample,
    search,
    simulate,
    train,
    variants,
)
from regulome.errors import RegulomeError

#: Exit code of every failure that the user can mend, an interruption included.
FAILED = 2

app = typer.Typer(
    name="regulome",
    help="Learns the regulatory genome and shows what it learned.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    epilog="Every verb takes --debug (show where an error came from) and --quiet (say only what is wrong).",
)

for module in (
    *(models, recipes, check, train, search, grid, evaluate, compare, predict, sample, variants),
    *(explain, mutate, perturb, profile, report, demo),
):
    app.command(rich_help_panel=module.PANEL)(module.command)
app.add_typer(simulate.app, rich_help_panel="From files to datasets")
app.add_typer(prepare.app, rich_help_panel="From files to datasets")


def _version(asked: bool) -> None:
    if asked:
        print(f"regulome {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and end.", is_eager=True, callback=_version)
    ] = False,
) -> None: ...


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        return line if record.levelno <= logging.INFO else f"{record.levelname.lower()}: {line}"


@contextmanager
def _speaking(quiet: bool) -> Iterator[None]:
    """Print what the library says on standard error; leave logging and signals as they were found."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines("%(message)s"))
    logger = logging.getLogger("regulome")
    before = logger.handlers[:], logger.propagate, logger.level
    logger.handlers[:], logger.propagate = [handler], False
    logger.setLevel(logging.WARNING if quiet else logging.INFO)
    # A scheduler ends a job with SIGTERM: it deserves the same tidy end as Ctrl-C.
    terminate = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, terminate)
        logger.handlers[:], logger.propagate = before[:2]
        logger.setLevel(before[2])


def _terminate(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def run(arguments: list[str]) -> int:
    """Run one command line.

    Args:
        arguments: The words after ``regulome``.

    Returns:
        The exit code: 0, or 2 after one line on standard error.
    """
    debug, quiet = "--debug" in arguments, "--quiet" in arguments
    words = [word for word in arguments if word not in ("--debug", "--quiet")]
    with _speaking(quiet):
        try:
            return _call(words)
        except Exception as error:
            problem = _mendable(error)
            if problem is None:
                raise
            if debug:
                traceback.print_exception(error)
        print(f"regulome: {problem}", file=sys.stderr)
        return FAILED


def _call(words: list[str]) -> int:
    interrupted = False

    try:
        code = app(words, prog_name="regulome", standalone_mode=False)
        # Typer turns an interruption into 130 (older releases: into Abort).
        interrupted = code == 130
    except KeyboardInterrupt:
        interrupted = True
    except RuntimeError as error:
        if type(error).__name__ != "Abort":
            raise
        interrupted = True
    except Exception as error:
        # Typer carries its own copy of click, or uses click's: both say a wrong command line through this method.
        message = getattr(error, "format_message", None)
        if message is None or isinstance(error, RegulomeError):
            raise
        context = getattr(error, "ctx", None)
        path = context.command_path if context else "regulome"
        if type(error).__name__ == "NoArgsIsHelpError":
            print(message())
            return FAILED
        print(f"{path}: {message().rstrip('.')} (see {path} --help)", file=sys.stderr)
        return FAILED
    if interrupted:
        print("regulome: interrupted; no unfinished file was left under a final name", file=sys.stderr)
        return FAILED
    return int(code or 0)


def _mendable(error: Exception) -> str | None:
    """Tell an error that the user can mend in one line; None for a fault of regulome's own."""
    if isinstance(error, RegulomeError):
        return str(error)
    number = getattr(error, "errno", None)
    # Libraries written in Rust report a full disk as an error of their own kind, with the system's number in its text.
    if number is None and (said := re.search(r"\(os error (\d+)\)", str(error))):
        number = int(said[1])
    if not isinstance(number, int):
        return None
    where = f"{error.filename}: " if isinstance(error, OSError) and error.filename else ""
    cure = _CURES.get(number)
    return where + os.strerror(number).lower() + (f" ({cure})" if cure else "")


_CURES = {
    errno.ENOSPC: "free some space, or choose another --out",
    errno.EDQUOT: "free some space, or choose another --out",
    errno.EFBIG: "the file system or a limit allows no larger file: choose another --out",
    errno.EACCES: "check the permissions",
    errno.EROFS: "choose another --out",
}
