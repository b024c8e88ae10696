import gzip
import logging

import numpy as np
import pytest

from regulome.datasets import assign_split, prepare_published, published_tables
from regulome.errors import InputError

PARTS = ("train", "valid", "test")


def deepchrome(genes, seed=0, marks=5, bins=100):
    """Lines of a table in DeepChrome's layout, with the counts and labels that it holds."""
    rng = np.random.default_rng(seed)
    counts = rng.poisson(4, (len(genes), bins, marks))
    labels = rng.integers(0, 2, len(genes))
    labels[:2] = 0, 1
    lines = [
        ",".join(map(str, [gene, b + 1, *counts[g, b], labels[g]])) for g, gene in enumerate(genes) for b in range(bins)
    ]
    return lines, counts.transpose(0, 2, 1), labels


def write(path, lines, end="\n"):
    path.write_text("\n".join(lines) + end)
    return path


def three(folder, sizes=(4, 3, 2), **options):
    """Three tables, their paths, counts and labels."""
    paths, counts, labels, first = [], [], [], 0
    for seed, (part, size) in enumerate(zip(PARTS, sizes, strict=True)):
        lines, c, y = deepchrome([f"{i:06d}" for i in range(first, first + size)], seed, **options)
        first += size
        paths.append(write(folder / f"{part}.csv", lines))
        counts.append(c)
        labels.append(y)
    return paths, np.concatenate(counts), np.concatenate(labels)


def refused(match, *arguments, **options):
    with pytest.raises(InputError, match=match) as caught:
        prepare_published(*arguments, **options)
    assert "\n" not in str(caught.value)
    assert caught.value.cure
    return caught.value


def test_deepchrome_tables(tmp_path):
    paths, counts, labels = three(tmp_path)
    dataset = prepare_published("deepchrome", *paths, tmp_path / "d")
    assert dataset.marks == ["H3K27me3", "H3K36me3", "H3K4me1", "H3K4me3", "H3K9me3"]
    assert dataset.inputs["marks"].dtype == np.uint16
    assert np.array_equal(dataset.inputs["marks"], counts)
    assert dataset.targets[:, 0].tolist() == labels.tolist()
    assert dataset.task == "classification"
    assert dataset.regions["id"].to_list() == [f"{i:06d}" for i in range(9)]
    assert dataset.regions["split"].to_list() == ["train"] * 4 + ["valid"] * 3 + ["test"] * 2
    assert dataset.regions.select("chrom", "start", "end", "strand").unique().row(0) == (".", -1, -1, ".")
    assert assign_split(dataset).tolist() == dataset.regions["split"].to_list()
    assert [source["role"] for source in dataset.manifest.sources] == list(PARTS)
    with pytest.raises(InputError, match="chromosomes of its 9 examples are not known"):
        assign_split(dataset, test_chromosomes=["chr1"])


@pytest.mark.parametrize("piece", [1, 777, 4 << 20])
@pytest.mark.parametrize("form", ["plain", "no newline", "gz", "windows", "blank lines", "byte order mark", "quoted"])
def test_forms_of_one_table(tmp_path, monkeypatch, piece, form):
    lines, counts, labels = deepchrome(["7_A", "8_B", "9_C-1_D"])
    text = "\n".join(lines) + "\n"
    if form == "no newline":
        text = text[:-1]
    elif form == "windows":
        text = text.replace("\n", "\r\n")
    elif form == "blank lines":
        text = "\n".join([*lines[:100], "", *lines[100:], "", "", ""])
    elif form == "byte order mark":
        text = "\ufeff" + text
    elif form == "quoted":
        text = "\n".join(f'"{line.split(",", 1)[0]}",{line.split(",", 1)[1]}' for line in lines)
    path = tmp_path / ("t.csv.gz" if form == "gz" else "t.csv")
    path.write_bytes(gzip.compress(text.encode()) if form == "gz" else text.encode())
    monkeypatch.setattr(published_tables, "PIECE", max(piece, 1 << 10) if form == "gz" else max(piece, 64))
    dataset = prepare_published("deepchrome", path, None, None, tmp_path / "d")
    assert np.array_equal(dataset.inputs["marks"], counts)
    assert dataset.regions["id"].to_list() == ["7", "8", "9"]
    assert dataset.regions["symbol"].to_list() == ["A", "B", "C-1_D"]
    assert dataset.targets[:, 0].tolist() == labels.tolist()


def test_numbers_that_are_not_counts(tmp_path):
    lines, counts, _ = deepchrome(["1", "2"], marks=2)
    written = ["0.5", "1e-3", "-2.25", "1E+2", "+3", "7.", ".5", "3.4028235e38"]
    for row, number in enumerate(written):
        fields = lines[row].split(",")
        fields[2] = number
        lines[row] = ",".join(fields)
    dataset = prepare_published("deepchrome", write(tmp_path / "t", lines), None, None, tmp_path / "d", marks="AB")
    expected = counts.astype(np.float32)
    expected[0, 0, : len(written)] = [float(number) for number in written]
    assert dataset.inputs["marks"].dtype == np.float32
    np.testing.assert_allclose(dataset.inputs["marks"], expected, rtol=1e-6)
    assert dataset.marks == ["A", "B"]


def test_marks_must_be_named_when_there_are_not_five(tmp_path):
    paths, _, _ = three(tmp_path, marks=3)
    refused("has 3 marks .*--marks", "deepchrome", *paths, tmp_path / "d")
    refused("has 3 marks, but 2 names", "deepchrome", *paths, tmp_path / "d", marks=["A", "B"])
    refused("the mark A is named twice", "deepchrome", *paths, tmp_path / "d", marks=["A", "B", "A"])
    assert prepare_published("deepchrome", *paths, tmp_path / "d", marks=["A", "B", "C"]).marks == ["A", "B", "C"]


def test_deepchromes_marks_in_another_order_are_reordered(tmp_path):
    paths, counts, _ = three(tmp_path)
    marks = ["H3K4me1", "H3K4me3", "H3K9me3", "H3K27me3", "H3K36me3"]
    dataset = prepare_published("deepchrome", *paths, tmp_path / "d", marks=marks)
    assert dataset.marks == ["H3K27me3", "H3K36me3", "H3K4me1", "H3K4me3", "H3K9me3"]
    assert np.array_equal(dataset.inputs["marks"], counts[:, [3, 4, 0, 1, 2]])
    assert dataset.manifest.parameters["mark_columns"] == marks


def change(lines, row, column, value):
    fields = lines[row].split(",")
    fields[column] = value
    return [*lines[:row], ",".join(fields), *lines[row + 1 :]]


@pytest.mark.parametrize("piece", [64, 4 << 20])
@pytest.mark.parametrize(
    ("spoil", "line", "match"),
    [
        (lambda t: [*t[:149], *t[150:]], 150, "bin 51 of the gene 2 where bin 50 belongs"),
        (lambda t: t[:199], 199, "the gene 2 has 99 bins, expected 100"),
        (lambda t: [*t[:99], *t[100:]], 100, "the gene 1 has 99 bins, expected 100"),
        (lambda t: [*t[:100], t[99], *t[100:]], 101, "bin 100 of the gene 1 where bin 1 belongs"),
        (lambda t: [*t[:4], t[5], t[4], *t[6:]], 5, "bin 6 of the gene 1 where bin 5 belongs"),
        (lambda t: change(t, 120, 3, "x"), 121, "column 4 is 'x', expected a number"),
        (lambda t: change(t, 120, 3, ""), 121, "column 4 is '', expected a number"),
        (lambda t: change(t, 120, 3, "nan"), 121, "column 4 is 'nan', expected a number"),
        (lambda t: change(t, 120, 3, "1e999"), 121, "column 4 is '1e999', expected a number"),
        (lambda t: change(t, 120, 1, "3.5"), 121, "bin 3.5 of the gene 2 where bin 21 belongs"),
        (lambda t: change(t, 7, 0, ""), 8, "the gene 1 has 7 bins"),
        (lambda t: change(t, 100, 0, ""), 101, "has no gene id"),
        (lambda t: change(t, 120, 7, "2"), 121, "the label is 2, expected 0 or 1"),
        (lambda t: change(t, 120, 7, "0"), 121, "the label is 0, in the first row of the gene 2 it is 1"),
        (lambda t: [*t[:10], t[10] + ",1", *t[11:]], 11, "has 9 columns, expected 8"),
        (lambda t: [*t[:10], t[10][:-2], *t[11:]], 11, "has 7 columns, expected 8"),
        (lambda t: [*t[:10], "", *t[10:]], 11, "is blank"),
        (lambda t: ["gene,bin,a,b,c,d,e,label", *t], 1, "expected a number .*header: remove it"),
        (lambda t: ["hello"], 1, "has 1 columns, the layout 'deepchrome' has id, bin, counts, label"),
    ],
)
def test_tables_that_are_wrong_somewhere(tmp_path, monkeypatch, piece, spoil, line, match):
    monkeypatch.setattr(published_tables, "PIECE", piece)
    lines, _, _ = deepchrome(["1", "2", "3"])
    path = write(tmp_path / "t.csv", spoil(lines[:200]))
    error = refused(match, "deepchrome", path, None, None, tmp_path / "d")
    assert error.record == line
    assert [p.name for p in tmp_path.iterdir()] == ["t.csv"]


def test_a_gene_twice(tmp_path, caplog):
    lines, counts, _ = deepchrome(["1", "2", "3"])
    copy = write(tmp_path / "a.csv", [*lines, *lines[100:200]])
    dataset = prepare_published("deepchrome", copy, None, None, tmp_path / "a")
    assert dataset.regions["id"].to_list() == ["1", "2", "3"]
    assert np.array_equal(dataset.inputs["marks"], counts)
    assert "1 genes occur more than once in the tables (the first is 2)" in caplog.text
    assert dataset.manifest.parameters["genes_left_out"] == 1

    differs = write(tmp_path / "b.csv", [*lines, *change(lines, 100, 2, "99")[100:200]])
    error = refused(
        "the gene 2 occurs twice, first in line 101 of .*b.csv", "deepchrome", differs, None, None, tmp_path / "d"
    )
    assert error.record == 301
    kept = prepare_published("deepchrome", differs, None, None, tmp_path / "b", skip_invalid=True)
    assert np.array_equal(kept.inputs["marks"], counts)

    other = write(tmp_path / "c.csv", lines[:100])
    refused("the gene 1 occurs twice", "deepchrome", copy, other, None, tmp_path / "d")


def deepdiff(folder, genes, bins=200, seed=0):
    counts = np.random.default_rng(seed).poisson(4, (len(genes), bins, 5))
    lines = [
        ",".join(map(str, [f"{gene}_{b + 1}", *counts[g, b]])) for g, gene in enumerate(genes) for b in range(bins)
    ]
    return write(folder / f"{seed}.csv", lines), counts.transpose(0, 2, 1)[:, [3, 4, 0, 1, 2]]


@pytest.fixture
def levels(tmp_path):
    """RPKM of six genes, the median is 3.5; those of gene 5 are missing in the tables."""
    values = {"ENSG00000000001.3": 1, "ENSG00000000002": 2, "ENSG00000000003": 3, "ENSG00000000004": 4}
    values |= {"ENSG00000000005": 5, "ENSG00000000006": 6}
    return write(tmp_path / "rpkm.tsv", ["gene_id\tE003\t", *(f"{gene}\t{value}\t" for gene, value in values.items())])


GENES = ["ENSG00000000001_A_1", "ENSG00000000003_B", "ENSG00000000004_C.2"]


def test_deepdiff_tables(tmp_path, levels):
    train, counts = deepdiff(tmp_path, GENES)
    test, more = deepdiff(tmp_path, ["ENSG00000000006"], seed=1)
    dataset = prepare_published(
        "deepdiff", train, None, test, tmp_path / "d", expression=levels, sample="E003", bins="50:150"
    )
    assert np.array_equal(dataset.inputs["marks"], np.concatenate([counts, more])[:, :, 50:150])
    assert dataset.marks == ["H3K27me3", "H3K36me3", "H3K4me1", "H3K4me3", "H3K9me3"]
    assert dataset.bins == 100
    assert dataset.targets[:, 0].tolist() == [0, 0, 1, 1]
    assert dataset.manifest.targets.rule["threshold"] == 3.5
    assert dataset.regions["symbol"].to_list() == ["A_1", "B", "C.2", None]
    assert dataset.regions["expression"].to_list() == [1, 3, 4, 6]
    assert dataset.regions["split"].to_list() == ["train"] * 3 + ["test"]
    whole = prepare_published(
        "deepdiff", train, None, test, tmp_path / "w", expression=levels, sample="E003", target="log2"
    )
    assert (whole.bins, whole.task) == (200, "regression")
    np.testing.assert_allclose(whole.targets[:, 0], np.log2([2, 4, 5, 7]), rtol=1e-6)


def test_places_come_from_an_annotation(tmp_path, levels, caplog):
    table, _ = deepdiff(tmp_path, GENES)
    sites = write(
        tmp_path / "sites.tsv",
        ["id\tchrom\ttss\tstrand", f"{GENES[0][:15]}\tchr3\t50000\t-", f"{GENES[1][:15]}\t4\t9\t+"],
    )
    options = {"expression": levels, "sample": "E003", "genes": sites, "bins": "50:150"}
    dataset = prepare_published("deepdiff", table, None, None, tmp_path / "d", **options)
    assert dataset.regions.select("chrom", "start", "end", "strand").rows() == [
        ("chr3", 45_000, 55_000, "-"), ("4", -4991, 5009, "+"), (".", -1, -1, "."),
    ]  # fmt: skip
    assert dataset.regions["tss"].to_list() == [50_000, 9, None]
    assert "1 genes are not in the annotation" in caplog.text
    assert dataset.manifest.sources[-1]["role"] == "genes"
    write(sites, ["id\tchrom\ttss\tstrand", "YAL001C\tI\t100\t+"])
    refused(
        "has none of the genes: its ids look like 'YAL001C'", "deepdiff", table, None, None, tmp_path / "e", **options
    )


def test_tables_with_one_label(tmp_path):
    lines, _, labels = deepchrome(["1", "2", "3"])
    one = [line for line in lines if line.startswith(f"{1 + int(np.argmax(labels))},")]
    refused("all 1 genes have the label 1", "deepchrome", write(tmp_path / "t", one), None, None, tmp_path / "d")


def test_deepdiff_that_does_not_fit(tmp_path, levels, caplog):
    table, _ = deepdiff(tmp_path, GENES)
    where = (table, None, None, tmp_path / "d")
    given = {"expression": levels, "sample": "E003"}
    refused("has no labels|have no labels", "deepdiff", *where)
    refused("bins '50:201' are not among the 200", "deepdiff", *where, **given, bins="50:201")
    refused("bins 'x' are not among", "deepdiff", *where, **given, bins="x")
    refused("names its own marks", "deepdiff", *where, **given, marks=["A"])
    refused("has no sample 'E004'|E004", "deepdiff", *where, expression=levels, sample="E004")
    refused("have labels", "deepchrome", *three(tmp_path)[0], tmp_path / "d", **given)
    lines = table.read_text().splitlines()
    other = write(tmp_path / "other.csv", [lines[0].replace(",", ",7", 1), *lines[1:]])
    refused("begins with bin 7. in column 2, expected 1", "deepchrome", other, *where[1:])
    refused("unknown layout 'x'", "x", *where)
    refused("no table was given", "deepdiff", None, None, None, tmp_path / "d")
    strangers, _ = deepdiff(tmp_path, ["YAL001C", "YAL002W"], seed=2)
    refused(
        "shares no gene with the tables: 'ENSG00000000001' there, 'YAL001C' here",
        "deepdiff",
        strangers,
        *where[1:],
        **given,
    )
    some, counts = deepdiff(tmp_path, [*GENES, "ENSG00000000009_X"], seed=3)
    error = refused(
        "1 genes are not in the expression table, the first is ENSG00000000009", "deepdiff", some, *where[1:], **given
    )
    assert error.record == 601
    caplog.set_level(logging.INFO)
    dataset = prepare_published("deepdiff", some, *where[1:], **given, skip_invalid=True)
    assert np.array_equal(dataset.inputs["marks"], counts[:3])
    assert "left out 1 genes" in caplog.text


def test_bins_of_deepdiff_must_be_in_order(tmp_path, levels):
    path, _ = deepdiff(tmp_path, GENES)
    lines = path.read_text().splitlines()
    write(path, [*lines[:202], lines[203], *lines[204:]])
    error = refused(
        "bin 4 of the gene ENSG00000000003_B where bin 3 belongs",
        "deepdiff", path, None, None, tmp_path / "d", expression=levels, sample="E003",
    )  # fmt: skip
    assert error.record == 203
    write(path, ["ENSG00000000001,1,1,1,1,1", *lines[1:]])
    refused("has no gene id|bin", "deepdiff", path, None, None, tmp_path / "d", expression=levels, sample="E003")


def test_tables_agree_with_a_plain_reading(tmp_path):
    paths, _, _ = three(tmp_path, sizes=(30, 20, 10))
    dataset = prepare_published("deepchrome", *paths, tmp_path / "d")
    plain = np.concatenate([np.loadtxt(path, delimiter=",", usecols=range(2, 7)) for path in paths])
    values = plain.reshape(60, 100, 5).transpose(0, 2, 1)
    assert np.array_equal(dataset.inputs["marks"], values)
