import gzip

import numpy as np
import pysam
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regulome.errors import InputError
from regulome.genome import vcf
from regulome.genome.vcf import read_variants
from regulome.genome.vcf_parser import BREAKEND, LETTERS, MISSING, STAR, SYMBOLIC

HEADER = "##fileformat=VCFv4.2\n##contig=<ID=chr1>\n##contig=<ID=20>\n"
COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"
EIGHT = HEADER + COLUMNS + "\n"


def write(path, text):
    path.write_bytes(text.encode())
    return path


def rows_of(variants):
    found = []
    for sites in variants:
        columns = [sites.column(i) for i in range(8)]
        names = [sites.names[code] for code in sites.chromosomes]
        found += list(zip(names, sites.positions.tolist(), sites.lines.tolist(), *columns, sites.rest(), strict=True))
    return found


def test_columns_are_kept_as_they_came(tmp_path):
    text = EIGHT.replace("INFO", "INFO\tFORMAT\tS1") + (
        "chr1\t10\trs1\tA\tC,<DEL>\t.\tPASS\tDP=1;X\tGT\t0/1\n\n20\t0\t.\tn\t.\t3\t.\t.\tGT\t./.\r\nchr1\t7\ta;b\tAC\t*,G\t.\t.\t.\tGT\t1"
    )
    variants = read_variants(write(tmp_path / "a.vcf", text))
    assert variants.header == text.split("\n")[:4]
    assert rows_of(variants) == [
        ("chr1", 9, 5, "chr1", "10", "rs1", "A", "C,<DEL>", ".", "PASS", "DP=1;X", "\tGT\t0/1"),
        ("20", -1, 7, "20", "0", ".", "n", ".", "3", ".", ".", "\tGT\t./."),
        ("chr1", 6, 8, "chr1", "7", "a;b", "AC", "*,G", ".", ".", ".", "\tGT\t1"),
    ]
    assert rows_of(variants) == rows_of(variants)


letters = st.text("ACGTN", min_size=1, max_size=9)
others = st.sampled_from(["c", "<DEL>", "<INS:ME>", "*", "G]20:5]", "[20:9[A", "A."])
alts = st.lists(letters | others, min_size=1, max_size=4) | st.just(["."])
names = st.sampled_from(["chr1", "20"])
records = st.lists(
    st.tuples(names, st.integers(0, 2**31 - 2), st.sampled_from([".", "rs5"]), letters, alts), max_size=30
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(records, st.sampled_from(["plain", "gzip", "bgzip"]), st.integers(90, 400), st.integers(1, 9))
def test_agrees_with_pysam(tmp_path, monkeypatch, rows, packing, piece, most):
    monkeypatch.setattr(vcf, "PIECE", piece)
    monkeypatch.setattr(vcf, "RECORDS", most)
    text = EIGHT + "".join(f"{c}\t{p}\t{i}\t{r}\t{','.join(a)}\t.\t.\t.\n" for c, p, i, r, a in rows)
    plain, path = write(tmp_path / "plain.vcf", text), tmp_path / "a.vcf"
    with {"plain": open, "gzip": gzip.open, "bgzip": pysam.BGZFile}[packing](str(path), "wb") as stream:
        stream.write(text.encode())
    expected = []
    with pysam.VariantFile(str(plain)) as file:
        for record in file:
            expected.append((record.chrom, record.pos - 1, record.id, record.ref, record.alts or (".",)))
    found = []
    for sites in read_variants(path):
        assert len(sites) <= most
        alleles = [[] for _ in range(len(sites))]
        for record, number, begin, end, _ in sites.alleles().tolist():
            alleles[record].append(sites.text[begin:end].tobytes().decode())
            assert number == len(alleles[record])
        chrom, _, name, ref, alt = (sites.column(i) for i in range(5))
        assert [",".join(a) for a in alleles] == alt
        names = [None if n == "." else n for n in name]
        found += list(zip(chrom, sites.positions.tolist(), names, ref, map(tuple, alleles), strict=True))
    assert found == expected


def test_kinds_of_alleles(tmp_path):
    text = EIGHT + "20\t1\t.\tA\tC,.,*,<DEL>,C[20:5[,.A,A.,gn,C<ctg>\t.\t.\t.\n"
    (sites,) = read_variants(write(tmp_path / "a.vcf", text))
    assert sites.alleles()[:, 4].tolist() == [
        LETTERS, MISSING, STAR, SYMBOLIC, BREAKEND, BREAKEND, BREAKEND, LETTERS, SYMBOLIC,
    ]  # fmt: skip


GOOD = "20\t5\t.\tA\tC\t.\t.\t.\n"


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("20\t5\t.\tA\tC\t.\t.\n", "has 7 columns, expected 8 as in the #CHROM line"),
        ("20\t5\t.\tA\tC\t.\t.\t.\tGT\n", "has 9 columns, expected 8"),
        ("20 5 . A C . . .\n", "has 1 column, expected 8"),
        ("\t5\t.\tA\tC\t.\t.\t.\n", "has no chromosome"),
        ("20\t-5\t.\tA\tC\t.\t.\t.\n", "POS '-5' is not a whole number"),
        ("20\t2147483648\t.\tA\tC\t.\t.\t.\n", "POS '2147483648' is not a whole number"),
        ("20\t99999999999999999999\t.\tA\tC\t.\t.\t.\n", "is not a whole number"),
        ("20\t\t.\tA\tC\t.\t.\t.\n", "POS '' is not a whole number"),
        ("20\t5\t.\t\tC\t.\t.\t.\n", "REF '' is not letters of DNA"),
        ("20\t5\t.\t.\tC\t.\t.\t.\n", "REF '.' is not letters of DNA"),
        ("20\t5\t.\tC\t-\t.\t.\t.\n", "a deletion keeps the base before it"),
        ("20\t5\t.\tC\tA,\t.\t.\t.\n", "ALT 'A,' is not letters of DNA"),
        ("20\t5\t.\tC\t..\t.\t.\t.\n", "ALT '..' is not"),
        ("20\t5\t.\tC\tx\t.\t.\t.\n", "ALT 'x' is not"),
    ],
)
def test_wrong_rows(tmp_path, row, problem):
    path = write(tmp_path / "a.vcf", EIGHT + GOOD + row + GOOD + row)
    with pytest.raises(InputError, match=r"a\.vcf: line 6: .*1 more such line") as error:
        rows_of(read_variants(path))
    assert problem in str(error.value)
    variants = read_variants(path, skip_invalid=True)
    assert [row[2] for row in rows_of(variants)] == [5, 7]
    assert variants.invalid.count == 2
    assert variants.invalid.first[0][0] == 6
    wrong = [found for sites in variants for found in sites.wrong]
    assert [line for line, _ in wrong] == [6, 8]
    assert problem in wrong[1][1]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("chr1\t1\t.\tA\tC\n", "line 1: is not a VCF"),
        (">chr1\nACGT\n", "is not a VCF"),
        ("BCF\2\2" + "x" * 50, "is BCF, expected VCF"),
        (HEADER + GOOD, "line 4: has no #CHROM line"),
        (HEADER, "has no #CHROM line"),
        (HEADER + "#CHROM\tPOS\tID\tREF\tALT\n", "the columns are not #CHROM POS"),
        (HEADER + COLUMNS.replace("\t", " ") + "\n", "separated by tabs"),
        (EIGHT + "20\t5\t.\tA\tC\t.\t.\t\0\n", "line 5: holds binary data"),
    ],
)
def test_no_vcf(tmp_path, text, problem):
    with pytest.raises(InputError, match=problem):
        rows_of(read_variants(write(tmp_path / "a.vcf", text)))


def test_not_utf8(tmp_path):
    path = tmp_path / "a.vcf"
    path.write_bytes((EIGHT + GOOD).encode() + b"20\t5\t\xe9\tA\tC\t.\t.\t.\n")
    with pytest.raises(InputError, match="line 6: is not UTF-8"):
        rows_of(read_variants(path))
    path.write_bytes((EIGHT + "20\t5\té\tA\tC\t.\t.\t.\n").encode())
    assert rows_of(read_variants(path))[0][5] == "é"
    path.write_bytes(b"\xef\xbb\xbf" + (EIGHT + GOOD).encode())
    assert len(rows_of(read_variants(path))) == 1


def test_cut_short(tmp_path):
    rng = np.random.default_rng(0)
    bases = np.array(list("ACGT"))
    text = EIGHT + "".join(f"20\t{i}\t.\t{''.join(rng.choice(bases, 40))}\tC\t.\t.\t.\n" for i in range(9000))
    whole = tmp_path / "whole.vcf.gz"
    with pysam.BGZFile(str(whole), "wb") as stream:
        stream.write(text.encode())
    assert len(rows_of(read_variants(whole))) == 9000
    content = whole.read_bytes()
    cut = tmp_path / "cut.vcf.gz"
    cut.write_bytes(content[:-28])
    with pytest.raises(InputError, match="bgzip ends early"):
        read_variants(cut)
    plain = gzip.compress(text.encode())
    cut.write_bytes(plain[: len(plain) // 2])
    with pytest.raises(InputError, match="gzip ends early"):
        rows_of(read_variants(cut))


def test_no_records(tmp_path):
    assert rows_of(read_variants(write(tmp_path / "a.vcf", EIGHT))) == []
    assert rows_of(read_variants(write(tmp_path / "a.vcf", EIGHT[:-1]))) == []
