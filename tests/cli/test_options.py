"""Options that take several files: ``--peaks *.narrowPeak`` as a shell spreads it."""

from pathlib import Path
from typing import Annotated

import pytest
import typer

from regulome.cli.options import ManyFiles

app = typer.Typer()


@app.callback()
def _verbs() -> None: ...


@app.command(cls=ManyFiles)
def verb(
    peaks: Annotated[list[str], typer.Option("--peaks", "-p")] = [],  # noqa: B006
    blacklist: Annotated[list[Path], typer.Option()] = [],  # noqa: B006
    length: int = 5,
    fast: Annotated[bool, typer.Option("--fast")] = False,
) -> None:
    print(peaks, [str(path) for path in blacklist], length, fast)


@pytest.mark.parametrize(
    ("words", "peaks", "blacklist", "length", "fast"),
    [
        ("--peaks a b c", "abc", "", 5, False),
        ("--peaks a b c --length 7", "abc", "", 7, False),
        ("--length 7 --peaks a b c", "abc", "", 7, False),
        ("--peaks a b --blacklist x y --peaks c", "abc", "xy", 5, False),
        ("--peaks a --peaks b --peaks c", "abc", "", 5, False),
        ("--peaks a b --fast --peaks c", "abc", "", 5, True),
        ("-p a b -p c", "abc", "", 5, False),
        ("--peaks=a b c", "abc", "", 5, False),
        ("--peaks a - --fast", "a-", "", 5, True),
        ("--fast", "", "", 5, True),
    ],
)
def test_every_word_after_an_option_of_files_is_its_own(words, peaks, blacklist, length, fast, capsys):
    app(["verb", *words.split()], standalone_mode=False)
    assert capsys.readouterr().out == f"{list(peaks)} {list(blacklist)} {length} {fast}\n"


@pytest.mark.parametrize("words", ["a", "--fast a", "--length 7 a", "--peaks", "--length=7 a"])
def test_words_that_belong_to_no_option_are_refused(words):
    with pytest.raises(Exception, match=r"[Uu]nexpected|requires an argument|Missing|Option"):
        app(["verb", *words.split()], standalone_mode=False)
