import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from regulome.errors import InputError
from regulome.report import write_probability_table
from regulome.report.figures.table_pages import ROWS, number_text, page_figure, write_pages

HOSTILE = '<script>alert("x")</script>'


def table(rows: int = 150, sequences: int = 1, **columns: object) -> pl.DataFrame:
    probability = np.linspace(0.99, 1e-6, rows).astype(np.float32)
    parts = [
        pl.DataFrame(
            {
                "sequence": [f"s{i}"] * rows,
                "rank": range(1, rows + 1),
                "feature": [HOSTILE] + [f"feature {j} with a rather long name, and more" for j in range(1, rows)],
                "cell": [f"GM{j}" for j in range(rows)],
                "assay": ["CTCF"] * rows,
                "treatment": ["None"] * rows,
                "group": [""] * rows,
                "probability": probability,
            }
        )
        for i in range(sequences)
    ]
    return pl.concat(parts).with_columns(**columns)


class Cells(HTMLParser):
    """Rows of a page's table as texts; counts scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.scripts = 0
        self.inside = False

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.scripts += tag == "script"
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self.inside = True

    def handle_endtag(self, tag: str) -> None:
        self.inside &= tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.rows[-1][-1] += data


@pytest.mark.parametrize("ending", ["tsv", "csv", "parquet"])
def test_tables_come_back_as_they_were(tmp_path: Path, ending: str) -> None:
    path = write_probability_table(table(sequences=2), tmp_path / f"t.{ending}")
    if ending == "parquet":
        read = pl.read_parquet(path)
    else:
        read = pl.read_csv(
            path, separator="\t" if ending == "tsv" else ",", schema_overrides={"probability": pl.Float32}
        )
    assert read.with_columns(pl.col("group").fill_null("")).equals(table(sequences=2))


def test_the_page_has_every_row_and_needs_nothing_else(tmp_path: Path) -> None:
    page = write_probability_table(table(), tmp_path / "t.html").read_text()
    cells = Cells()
    cells.feed(page)
    # A single sequence is the title, and a column that says nothing is left out.
    assert cells.rows[0] == ["Rank", "Feature", "Cell type", "Assay", "Treatment", "Probability"]
    assert "<h1>s0</h1>" in page
    assert cells.rows[1] == ["1", HOSTILE, "GM0", "CTCF", "None", "0.9900"]
    assert cells.rows[-1][-1] == "1.0e−06"
    assert len(cells.rows) == 151
    assert cells.scripts == 1
    assert not re.search(r"(src|href)=\"(?!#)", page)
    script = re.search(r"<script>(.*)</script>", page, re.DOTALL)
    assert script is not None
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page


def test_several_sequences_are_told_apart(tmp_path: Path) -> None:
    page = write_probability_table(table(5, 3), tmp_path / "t.html", title="Three").read_text()
    cells = Cells()
    cells.feed(page)
    assert cells.rows[0][0] == "Sequence"
    assert "<h1>Three</h1>" in page
    assert [row[0] for row in cells.rows[1:]] == ["s0"] * 5 + ["s1"] * 5 + ["s2"] * 5


def test_the_pdf_has_as_many_pages_as_it_needs(tmp_path: Path) -> None:
    path = write_probability_table(table(2 * ROWS + 1), tmp_path / "t.pdf")
    content = path.read_bytes()
    assert content.startswith(b"%PDF")
    assert len(re.findall(rb"/Type /Page\b", content)) == 3
    values = table(4).rename({"probability": "value"})
    titles = {"value": "Value"}
    assert write_pages(values, tmp_path / "v.pdf", title="t", subtitle="", titles=titles) == 1


def test_texts_of_a_page_do_not_touch() -> None:
    heads, columns = ["Rank", "Name"], [["1", "10,000"], ["x" * 20, "W" * 20]]
    figure = page_figure(columns, heads, [True, False], [0.6, 1.3], [0.5, 2.0], np.array([0.5, 1]), ("t", "s", "p"))
    figure.draw_without_rendering()
    words = {text.get_text(): text.get_window_extent() for text in figure.axes[0].texts}
    assert words["Rank"].x1 < words["Name"].x0


@pytest.mark.parametrize(("value", "text"), [(0.0, "0.0000"), (0.5, "0.5000"), (1e-9, "1.0e−09"), (-12.5, "−12.5000")])
def test_numbers_keep_their_digits(value: float, text: str) -> None:
    assert number_text(value) == text


@pytest.mark.parametrize(("name", "message"), [("t.docx", "cannot be written as '.docx'"), ("t", "without ending")])
def test_other_endings_are_told(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        write_probability_table(table(), tmp_path / name)


def test_nothing_is_replaced_unasked_and_nothing_is_no_table(tmp_path: Path) -> None:
    path = write_probability_table(table(), tmp_path / "t.html")
    with pytest.raises(InputError, match="exists already"):
        write_probability_table(table(), path)
    with pytest.raises(InputError, match="no rows"):
        write_probability_table(table()[:0], tmp_path / "empty.html")
