"""Contacts against a plain search, in all of their layouts; pickles that want to run something are refused."""

import collections
import gzip
import pickle

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regulome.errors import InputError
from regulome.genome.contact_ranks import rank_contacts
from regulome.genome.contacts import COLUMNS, Contacts, contacts_of_sites, read_contacts
from regulome.genome.gene_sites import all_start_sites

ROWS = [("chr1", 0, 50, "chr1", 90, 120, 2.5), ("chr1", 50, 90, "chr2", 7, 9, 1e-3), ("chr1", 0, 50, "chrX", 1, 2, 3)]
TEXT = "".join("\t".join(map(str, row)) + "\n" for row in ROWS)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("plain.tsv", TEXT),
        ("header.tsv", "\t".join(COLUMNS) + "\n" + TEXT),
        ("commas.csv", ",".join(COLUMNS) + "\n" + TEXT.replace("\t", ",")),
        ("spaces.txt", "#made by hand\n" + TEXT.replace("\t", "  ")),
        ("windows.tsv", TEXT.replace("\n", "\r\n")),
        ("order.tsv", "\t".join(reversed(COLUMNS)) + "\n" + "".join(
            "\t".join(map(str, reversed(row))) + "\n" for row in ROWS)),
        ("pairs.bedpe", "".join("\t".join([*map(str, row[:6]), f"n{i}", str(row[6]), ".", "."]) + "\n"
                                for i, row in enumerate(ROWS))),
        ("zipped.tsv.gz", gzip.compress(TEXT.encode(), mtime=0)),
    ],
)  # fmt: skip
def test_every_layout_gives_the_same(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    found = read_contacts(path)
    assert found.table.rows() == ROWS
    assert not found.closed


NESTED = {"chr1:0-50": {"chr1:90-120": 2.5, "chrX:1-2": 3}, "chr1:50-90": {"chr2:7-9": np.float64(1e-3)}}
LISTED = {"chr1:0-50": [("chr1:90-120", 2.5), ["chrX:1-2", 3.0]], "chr1:50-90": (("chr2:7-9", np.float32(1e-3)),)}
PAIRED = {("chr1:0-50", "chr1:90-120"): 2.5, ("chr1:0-50", "chrX:1-2"): 3, ("chr1:50-90", "chr2:7-9"): np.float16(1e-3)}


@pytest.mark.parametrize("content", [NESTED, LISTED, PAIRED, collections.OrderedDict(NESTED)])
@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_pickles_of_plain_things_are_read(tmp_path, content, protocol):
    plain = collections.defaultdict(dict, content) if content is NESTED else content
    path = tmp_path / ("c.pickle" if protocol < 2 else "c.bin")
    path.write_bytes(pickle.dumps(plain, protocol=protocol))
    found = read_contacts(path)
    assert found.closed
    assert sorted(row[:6] for row in found.table.rows()) == sorted(row[:6] for row in ROWS)
    np.testing.assert_allclose(sorted(found.table["score"]), sorted(row[6] for row in ROWS), rtol=1e-3)


class Hostile:
    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call


def shared_many_times():
    inner = {f"chr1:{i}-{i + 1}": 2.0 for i in range(2000)}
    return {f"chr2:{i}-{i + 1}": inner for i in range(2000)}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (Hostile(exec, ("open('ran', 'w')",)), "exec"),
        ({"chr1:0-5": Hostile(eval, ("1",))}, "eval"),
        (Hostile(getattr, ({}, "clear")), "getattr"),
        (Hostile(np.zeros, (3,)), "no pickle of plain"),
        (np.zeros(3), "no pickle of plain"),
        (pl.DataFrame({"a": [1]}), "no pickle of plain"),
        ([1, 2], "holds a list, expected"),
        ({"chr1:0-5": 3.0}, "holds 3.0, expected"),
        ({"chr1:0-5": {"chr1:9-10": "high"}}, "holds 'high', expected"),
        ({"chr1:0-5": {"chr1:9-10": True}}, "holds True, expected"),
        ({"chr1:0-5": {"chr1:9-10": 10**400}}, "hundreds of digits"),
        ({"chr1:0-5": {7: 1.0}}, "holds 7, expected"),
        ({"chr1:0-5": ["chr1:9-10"]}, "holds 'chr1:9-10', expected"),
        ({"chr1:0-5": {"frag_17": 1.0}}, "the fragment 'frag_17' is not named CHROM:START-END"),
        ({"chr1:0-5": {"chr1:9-10": float("nan")}}, "is no finite number"),
        ({}, "holds no contacts"),
        (shared_many_times(), "more contacts than a file of its size can"),
        (b"\x80\x05", "no pickle of plain"),
        (pickle.dumps(NESTED)[:-20], "no pickle of plain"),
        (b"\x80\x04\x8e" + b"\xff" * 8, "no pickle of plain"),
        (b"cos\nsystem\n(S'touch ran'\ntR.", "os.system|posix.system"),
        (b"\x80\x02cnumpy\ndtype\nU\x02O8\x85R.", "O8"),
    ],
)
def test_other_pickles_are_one_line(tmp_path, monkeypatch, content, message):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "c.pickle"
    path.write_bytes(content if isinstance(content, bytes) else pickle.dumps(content))
    with pytest.raises(InputError, match=message) as error:
        read_contacts(path)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("chr1\t9\t5\tchr1\t1\t2\t3", "start1 9 is not before end1 5"),
        ("chr1\t1\t5\tchr1\t1\t2\thigh", "the score 'high' is no finite number"),
        ("chr1\t1\t5\tchr1\t1\t2\tinf", "the score 'inf' is no finite number"),
        ("chr1\t1\t5\tchr1\t-1\t2\t3", "start2 is not a whole number"),
        ("chr1\t1\t5\t\t1\t2\t3", "chrom2 is empty"),
        ("chr1\t1\t5\tchr1\t1\t2", "has 6 columns, expected 7"),
    ],
)
def test_a_wrong_row_is_named_or_left_out(tmp_path, row, message):
    path = tmp_path / "c.tsv"
    path.write_text(TEXT + row + "\n")
    with pytest.raises(InputError, match=f"line 4: {message}"):
        read_contacts(path)
    found = read_contacts(path, skip_invalid=True)
    assert (len(found), found.record["n_skipped"]) == (3, 1)


def test_another_table_is_told(tmp_path):
    path = tmp_path / "c.tsv"
    path.write_text("chr1\t5\t6\n")
    with pytest.raises(InputError, match="has 3 columns, expected chrom1, start1"):
        read_contacts(path)


names = st.sampled_from(["chr1", "chr2"])
fragments = st.tuples(names, st.integers(0, 60), st.integers(1, 25)).map(lambda f: (f[0], f[1], f[1] + f[2]))
tables = st.lists(st.tuples(fragments, fragments, st.integers(0, 4)), min_size=1, max_size=15)
genes = st.lists(st.lists(st.tuples(names, st.integers(0, 90)), min_size=1, max_size=3), min_size=1, max_size=4)


@settings(max_examples=60, deadline=None)
@given(tables, genes, st.integers(1, 3), st.booleans())
def test_the_best_contacts_are_those_of_a_plain_search(table, some, top, closed):
    rows = [(*one, *two, float(score)) for one, two, score in table]
    contacts = Contacts(pl.DataFrame(rows, schema=list(COLUMNS), orient="row"), closed, {})
    sites = [(i, chrom, tss) for i, places in enumerate(some) for chrom, tss in places]
    frame = pl.DataFrame(sites, schema=["example", "chrom", "tss"], orient="row")
    near, record = contacts_of_sites(frame, contacts, threshold=1.0, max_region=20)
    ranked = rank_contacts(near, threshold=1.0, top=top)
    expected = []
    for i, places in enumerate(some):
        scores = {}
        for chrom, tss in places:
            for one, two, score in table:
                for own, other in ((one, two), (two, one)):
                    inside = own[0] == chrom and own[1] <= tss < own[2] + closed
                    if inside and own != other and other[2] - other[1] <= 20 and score > 1:
                        scores.setdefault(other, score)
        best = sorted(scores.items(), key=lambda item: (-item[1], "{}:{}-{}".format(*item[0])))[:top]
        expected += [(i, *other, score) for other, score in best]
    assert ranked.rows() == expected
    without = [s for s in sites if not any(f[0] == s[1] and f[1] <= s[2] < f[2] + closed for r in table for f in r[:2])]
    assert record["n_sites_without_fragment"] == len(without)


def test_chromosomes_may_be_spelled_otherwise():
    contacts = Contacts(pl.DataFrame(ROWS, schema=list(COLUMNS), orient="row"), False, {})
    sites = pl.DataFrame({"example": [0, 1], "chrom": ["1", "X"], "tss": [10, 1]})
    near, _ = contacts_of_sites(sites, contacts, threshold=1.0, max_region=100)
    assert near.rows() == [(0, "1", 90, 120, 2.5), (0, "X", 1, 2, 3.0), (1, "1", 0, 50, 3.0)]


def test_all_start_sites_of_a_gene(tmp_path):
    def line(feature, start, end, strand, name):
        return f'chr1\tx\t{feature}\t{start}\t{end}\t.\t{strand}\t.\tgene_id "{name}.1"; gene_type "protein_coding";\n'

    a, b = "ENSG00000000001", "ENSG00000000002"
    text = [line("gene", 101, 900, "+", a), line("transcript", 301, 800, "+", a), line("transcript", 101, 900, "+", a)]
    text += [line("gene", 1001, 1900, "-", b), line("transcript", 1001, 1900, "-", b)]
    text += [line("transcript", 1001, 1500, "-", b), line("transcript", 1201, 1500, "-", b)]
    (tmp_path / "g.gtf").write_text("".join(text))
    table = pl.DataFrame({"id": [b, a], "chrom": ["chr1"] * 2, "strand": ["-", "+"], "tss": [1899, 100]})
    sites = all_start_sites(tmp_path / "g.gtf", table)
    assert sites.rows() == [(0, "chr1", 1899), (0, "chr1", 1499), (1, "chr1", 100), (1, "chr1", 300)]
