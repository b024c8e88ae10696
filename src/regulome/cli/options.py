"""Options that several verbs share, each with one name and one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

Out = Annotated[Path, typer.Option("--out", "-o", help="Where to write the result; it appears when it is complete.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is at --out.")]
Split = Annotated[str, typer.Option("--split", help="Part of the dataset: train, valid, test or all.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
SkipInvalid = Annotated[bool, typer.Option("--skip-invalid", help="Leave invalid records out, and count them.")]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder that `regulome train` left.")]
Runs = Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders that `regulome train` left.")]
BothStrands = Annotated[
    bool | None,
    typer.Option(
        "--both-strands/--one-strand", help="Average both strands, or not; default: as the run's recipe says."
    ),
]
Features = Annotated[
    str, typer.Option("--features", help="Names or patterns of features, for example CTCF,HepG2*; default: all.")
]
Genome = Annotated[Path | None, typer.Option("--genome", help="FASTA (plain, gzip, bgzip) or 2bit.")]
Fasta = Annotated[Path | None, typer.Option("--fasta", help="FASTA with a sequence per record.")]
Region = Annotated[
    list[str],
    typer.Option(help="Place on the genome, as browsers have it: chr20:1,000-2,000; may be given several times."),
]
DatasetOption = Annotated[
    Path | None, typer.Argument(metavar="[DATASET]", help="A dataset folder; the run's own when not given.")
]


def pairs(words: list[str], option: str, example: str) -> dict[str, str]:
    """Split ``NAME=VALUE`` words of an option that may be given several times.

    Raises:
        InputError: A word has no ``=``, or a name comes twice.
    """
    from regulome.errors import InputError

    found: dict[str, str] = {}
    for word in words:
        name, sign, value = word.partition("=")
        if not sign or not name or not value:
            raise InputError(f"{option} {word}: expected NAME=VALUE, for example {option} {example}")
        if name in found:
            raise InputError(f"{option} {name} is given twice", cure="name each once")
        found[name] = value
    return found


def number(text: str, name: str) -> float:
    """Read a number, whole where it is written so.

    Raises:
        InputError: It is no number.
    """
    from regulome.errors import InputError

    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    raise InputError(f"{name}={text}: expected a number")


def words(text: str | None) -> list[str]:
    """Split a comma-separated option."""
    return [word.strip() for word in (text or "").split(",") if word.strip()]


class ManyFiles(TyperCommand):
    """A command whose options that may be repeated also take several words: ``--peaks *.narrowPeak``.

    Only for commands without arguments, where a word that is no option can belong to nothing else.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Repeat such an option before each of its words."""
        many = {name for option in self.params if getattr(option, "multiple", False) for name in option.opts}
        spread: list[str] = []
        current, first = "", False
        for word in args:
            if word.startswith("-") and word != "-":
                # `--peaks=*.narrowPeak` has its first file in the same word.
                name, equals, _ = word.partition("=")
                current, first = (name, not equals) if name in many else ("", False)
                spread.append(word)
            else:
                spread += [current, word] if current and not first else [word]
                first = False
        return super().parse_args(ctx, spread)
