import gzip

import numpy as np
import pytest

from regulome.errors import InputError
from regulome.genome.expression import read_expression


@pytest.fixture
def write(tmp_path):
    def write(text, name="table.tsv"):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


def test_roadmap_layout_with_trailing_tabs(tmp_path):
    path = tmp_path / "rpkm.gz"
    path.write_bytes(gzip.compress(b"gene_id\tE000\tE003\nENSG00000000003\t1.5\t2\t\nENSG00000000005\t0\t3e1\t\n"))
    table = read_expression(path, "E003")
    assert table.samples == ["E000", "E003"]
    assert table.table.rows() == [("ENSG00000000003", 2.0), ("ENSG00000000005", 30.0)]
    assert read_expression(path, "E000").table["value"].to_list() == [1.5, 0.0]


@pytest.mark.parametrize(
    ("text", "sample"),
    [
        ("A,2\nB,3\n", None),
        ("A\t2\nB\t3\n", "H1"),
        ("gene;H1\nA;2\nB;3\n", "H1"),
        ("H0 H1\nA  1 2\nB 1   3\n", "H1"),
        ('"gene_id","H1","note"\n"A","2","a,b"\n"B","3","c"\n', "H1"),
        ("H0\tH1\nA\t1\t2\nB\t1\t3\n", "H1"),
        ("symbol\tgene_id\tH1\nx\tA\t2\ny\tB\t3\n", "H1"),
        ("\ufeffgene\tH1\r\nA\t2\r\nB\t3\r\n", "H1"),
        ("# made by x\ngene\tH1\t\nA\t2\t\nB\t3\t\n", None),
    ],
)
def test_layouts(write, text, sample):
    table = read_expression(write(text), sample)
    assert table.table.rows() == [("A", 2.0), ("B", 3.0)]
    if sample:
        assert table.record["sample"] == sample


def test_ids_and_duplicates(write, caplog):
    path = write("id,S\nENSG00000000003.4,1\nENSG00000000005_TNMD,2\nENSG00000000003.5,7\nENSG00000000005,2\n")
    table = read_expression(path)
    assert table.table.rows() == [("ENSG00000000003", 1.0), ("ENSG00000000005", 2.0)]
    assert table.record["n_duplicates"] == 2
    assert table.record["n_duplicates_differing"] == 1
    assert "2 lines repeat a gene id (1 ids with differing values)" in caplog.text


def test_unknown_samples_are_answered_with_near_ones(write):
    path = write("gene_id\t" + "\t".join(f"E{i:03d}" for i in range(20)) + "\nA" + "\t1" * 20 + "\n")
    with pytest.raises(InputError, match=r"has no sample 'E0O3' \(did you mean .*E003.*it has E000, .* and 8 more"):
        read_expression(path, "E0O3")
    with pytest.raises(InputError, match=r"has 20 samples \(choose one with --sample: E000"):
        read_expression(path)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("B\tnan", "line 3: the value of S is nan"),
        ("B\t-1", "line 3: the value of S is -1; expression cannot be negative"),
        ("B\tmany", "line 3: the value of S is 'many', no number"),
        ("B\t1,5", "line 3: the value of S is '1,5', no number"),
        ("B\t", "line 3: the value of S is missing"),
        ("B\t1e999", "line 3: the value of S is not finite"),
        ("\t1", "line 3: the gene's id is empty"),
        ("B", "line 3: has 1 column, expected 2 as in the header"),
        ("B\t1\t2", "line 3: has 3 columns, expected 2 as in the header"),
    ],
)
def test_wrong_lines_are_named_or_left_out(write, line, problem):
    path = write(f"gene\tS\nA\t1\n{line}\nC\t3\n{line}\n")
    with pytest.raises(InputError, match=problem + ".*; 1 more such line .*--skip-invalid"):
        read_expression(path)
    table = read_expression(path, skip_invalid=True)
    assert table.table.rows() == [("A", 1.0), ("C", 3.0)]
    assert table.record["n_skipped"] == 2


def test_files_that_are_no_tables(write, tmp_path):
    with pytest.raises(InputError, match="line 1: has one column, expected gene ids and values"):
        read_expression(write("A\nB\n"))
    with pytest.raises(InputError, match="has no genes"):
        read_expression(write("gene\tS\n"))
    with pytest.raises(InputError, match="only comments"):
        read_expression(write("#x\n"))


def test_against_the_standard_csv_reader(write):
    import csv

    rng = np.random.default_rng(0)
    values = rng.gamma(0.5, 20, size=(300, 4)).round(3)
    lines = ['gene_id,"a","b,c",d,"e"'] + [f'"G{i}",' + ",".join(f'"{v}"' for v in row) for i, row in enumerate(values)]
    path = write("\n".join(lines) + "\n")
    for i, sample in enumerate(["a", "b,c", "d", "e"]):
        with path.open() as stream:
            expected = [float(row[sample]) for row in csv.DictReader(stream)]
        np.testing.assert_array_equal(read_expression(path, sample).table["value"].to_numpy(), expected)
        np.testing.assert_array_equal(values[:, i], expected)


def test_quotes_that_do_not_enclose_a_field(write):
    path = write('id,S\nA,1\n"B,2\nC,3\nD"x"y,4\n')
    with pytest.raises(InputError, match=r'line 3: has a quote \("\) that does not enclose a whole field; 1 more'):
        read_expression(path)
    assert read_expression(path, skip_invalid=True).table.rows() == [("A", 1.0), ("C", 3.0)]
    # Between tabs a quote is a letter.
    path = write('id\tname\tS\nA\t5" end\t1\n"B"\t3\'\' "x"\t2\nC\t"\t3\n')
    assert read_expression(path, "S").table.rows() == [("A", 1.0), ("B", 2.0), ("C", 3.0)]
