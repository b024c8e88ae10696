import gzip

import numpy as np
import polars as pl
import pytest

from regulome.errors import InputError
from regulome.training.region_predictions import predict_regions

from .sequence_stand_in import LENGTH, NAMES, answer, make_scorer, window, write_genome


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("REGULOME_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def genome(tmp_path):
    return write_genome(tmp_path)


@pytest.mark.parametrize("both_strands", [True, False])
def test_regions_in_file_order(genome, tmp_path, both_strands):
    path, texts = genome
    rows = [("2", 0, 10, "a", "+"), ("chr10", 80, 95, "b c", "-"), ("chr1", 60, 80, ".", "."), ("2", 50, 201, "d", "-")]
    text = "".join(f"{c}\t{s}\t{e}\t{n}\t0\t{strand}\n" for c, s, e, n, strand in rows)
    (tmp_path / "r.bed.gz").write_bytes(gzip.compress(("track name=x\n" + text).encode()))
    scorer = make_scorer(both_strands=both_strands)
    n = predict_regions(scorer, tmp_path / "o.parquet", bed=tmp_path / "r.bed.gz", genome=path, features=["*C", "*T"])
    table = pl.read_parquet(tmp_path / "o.parquet")
    assert n == len(table) == 4
    assert table.columns == ["chrom", "start", "end", "name", "strand", "share/C", "share/T"]
    assert table.select("chrom", "start", "end", "name", "strand").rows() == rows
    for row, (chrom, start, end, _, strand) in zip(table.rows(), rows, strict=True):
        letters = window(texts["chr" + chrom.removeprefix("chr")], (start + end) // 2)
        if set(letters) == {"N"}:
            assert row[5:] == (None, None)
            continue
        truth = answer(letters, both_strands=both_strands, turned=strand == "-" and not both_strands)
        np.testing.assert_allclose(row[5:], truth[[0, 2]], rtol=1e-5)


def test_records_of_one_length(tmp_path):
    rng = np.random.default_rng(0)
    texts = {f"r{i}": "".join(rng.choice(list("ACGTN"), LENGTH)) for i in range(30)}
    fasta = tmp_path / "s.fa"
    fasta.write_text("".join(f">{name}\n{text}\n" for name, text in texts.items()))
    predict_regions(make_scorer(), tmp_path / "o.tsv", fasta=fasta)
    table = pl.read_csv(tmp_path / "o.tsv", separator="\t")
    assert table["name"].to_list() == list(texts)
    np.testing.assert_allclose(table.select(NAMES).to_numpy(), [answer(text) for text in texts.values()], rtol=1e-5)


def test_records_of_other_lengths(tmp_path):
    texts = {"a": "ACGT" * 5, "short": "CCC", "long": "G" * 10 + "CT" * 11 + "T" * 5, "b": "C" * 20}
    fasta = tmp_path / "s.fa"
    fasta.write_text("".join(f">{name}\n{text}\n" for name, text in texts.items()))
    with pytest.raises(InputError, match=r"s\.fa: short: has 3 bases, the run takes 20; 2 of 4 records"):
        predict_regions(make_scorer(), tmp_path / "o.tsv", fasta=fasta)
    predict_regions(make_scorer(), tmp_path / "o.tsv", fasta=fasta, pad=True)
    table = pl.read_csv(tmp_path / "o.tsv", separator="\t")
    assert table["length"].to_list() == [20, 3, 37, 20]
    truth = [answer(window(text, len(text) // 2)) for text in texts.values()]
    np.testing.assert_allclose(table.select(NAMES).to_numpy(), truth, rtol=1e-5)


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("chr1\t5", "has fewer than three columns"),
        ("chr1\tx\t6", "start 'x' is not a whole number"),
        ("chr1\t5\t-6", "end '-6' is not a whole number"),
        ("chr1\t6\t6", "start 6 is not before end 6"),
        ("chr3\t5\t6", "chromosome chr3 is not in the genome"),
        ("chr10\t5\t96", "end 96 is beyond the end of chr10 at 95"),
    ],
)
def test_wrong_rows(genome, tmp_path, row, problem, caplog):
    bed = tmp_path / "r.bed"
    bed.write_text(f"#c\nchr1\t0\t50\n{row}\n\n{row}\n")
    with pytest.raises(InputError, match=r"r\.bed: line 3: .*1 more such line") as error:
        predict_regions(make_scorer(), tmp_path / "o.tsv", bed=bed, genome=genome[0])
    assert problem in str(error.value)
    assert not (tmp_path / "o.tsv").exists()
    assert predict_regions(make_scorer(), tmp_path / "o.tsv", bed=bed, genome=genome[0], skip_invalid=True) == 1
    assert "2 rows left out; the first is line 3" in caplog.text


def test_bad_input(genome, tmp_path):
    bed = tmp_path / "r.bed"
    bed.write_text("chr1\t0\t50\n")
    scorer, out = make_scorer(), tmp_path / "o.tsv"
    with pytest.raises(InputError, match="not clear"):
        predict_regions(scorer, out)
    with pytest.raises(InputError, match="not clear"):
        predict_regions(scorer, out, bed=bed, fasta=genome[0])
    with pytest.raises(InputError, match="need a genome"):
        predict_regions(scorer, out, bed=bed)
    with pytest.raises(InputError, match="no feature"):
        predict_regions(scorer, out, bed=bed, genome=genome[0], features="x")
    with pytest.raises(InputError, match="has no ending"):
        predict_regions(scorer, tmp_path / "o.xlsx", bed=bed, genome=genome[0])
    out.touch()
    with pytest.raises(InputError, match="exists already"):
        predict_regions(scorer, out, bed=bed, genome=genome[0])
    bed.write_text("track name=x\n")
    with pytest.raises(InputError, match="has no rows"):
        predict_regions(scorer, out, bed=bed, genome=genome[0], overwrite=True)
