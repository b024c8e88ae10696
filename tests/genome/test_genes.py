import gzip
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regulome.errors import InputError
from regulome.genome.genes import normalize_ids, read_genes


def gtf_line(chrom, feature, start, end, strand, gene, biotype="protein_coding", extra=""):
    attributes = f'gene_id "{gene}"; gene_type "{biotype}"; gene_name "N{gene}";{extra}'
    return f"{chrom}\tX\t{feature}\t{start}\t{end}\t.\t{strand}\t.\t{attributes}\n"


def write(path: Path, text: str) -> Path:
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


PLUS = "ENSG00000000001.7"
MINUS = "ENSG00000000002.1"


@pytest.fixture
def full(tmp_path):
    rows = [
        "##description: a test\n",
        gtf_line("chr1", "gene", 101, 900, "+", PLUS),
        gtf_line("chr1", "transcript", 301, 900, "+", PLUS, extra=' transcript_id "T1"; tag "basic";'),
        gtf_line("chr1", "exon", 301, 400, "+", PLUS),
        gtf_line("chr1", "transcript", 101, 300, "+", PLUS, extra=' transcript_id "T2";'),
        gtf_line("chr2", "gene", 1001, 2000, "-", MINUS),
        gtf_line("chr2", "transcript", 1001, 1800, "-", MINUS, extra=' transcript_id "T3";'),
        gtf_line(
            "chr2", "transcript", 1501, 1700, "-", MINUS, extra=' transcript_id "T4"; tag "basic"; tag "MANE_Select";'
        ),
        gtf_line("chr2", "transcript", 1901, 2000, "-", MINUS, extra=' transcript_id "T5"; tag "basic";'),
        gtf_line("chr3", "gene", 5, 50, "+", "ENSG00000000003.1", biotype="lincRNA"),
        gtf_line("chr3", "transcript", 5, 50, "+", "ENSG00000000003.1", biotype="lincRNA"),
    ]
    return write(tmp_path / "genes.gtf.gz", "".join(rows))


@pytest.mark.parametrize(
    ("rule", "plus", "minus"),
    [
        ("gene", 100, 1999),
        ("first-transcript", 100, 1999),
        ("longest-transcript", 300, 1799),
        ("canonical", 300, 1699),
    ],
)
def test_each_rule_chooses_its_start_site(full, rule, plus, minus):
    genes = read_genes(full, tss=rule)
    assert genes.table["id"].to_list() == ["ENSG00000000001", "ENSG00000000002"]
    assert genes.table["tss"].to_list() == [plus, minus]
    assert genes.table["strand"].to_list() == ["+", "-"]
    assert genes.table["chrom"].to_list() == ["chr1", "chr2"]
    assert genes.table["symbol"].to_list() == [f"N{PLUS}", f"N{MINUS}"]
    assert genes.table.schema["tss"] == pl.Int64
    assert genes.record["n_other_biotypes"] == 1
    assert "2 genes of biotype protein_coding" in genes.record["words"]


def test_biotypes(full):
    assert len(read_genes(full, biotype=None)) == 3
    assert read_genes(full, biotype=["lincRNA"]).table["id"].to_list() == ["ENSG00000000003"]
    with pytest.raises(
        InputError, match=r"no genes of biotype miRNA \(choose among protein_coding \(2\), lincRNA \(1\)\)"
    ):
        read_genes(full, biotype="miRNA")


def test_a_gene_without_a_tag_takes_its_longest_transcript(tmp_path):
    text = gtf_line("1", "transcript", 1, 9, "+", "A", extra=' tag "appris_principal_1";')
    text += gtf_line("1", "transcript", 30, 40, "+", "B") + gtf_line("1", "transcript", 20, 25, "+", "B")
    genes = read_genes(write(tmp_path / "a.gtf", text), tss="canonical")
    assert genes.table["tss"].to_list() == [0, 29]
    assert genes.record["n_without_tag"] == 1


def test_rules_that_lack_their_records_are_refused(tmp_path, full):
    genes = write(tmp_path / "genes.gtf", gtf_line("1", "gene", 1, 9, "+", "A"))
    transcripts = write(tmp_path / "transcripts.gtf", gtf_line("1", "transcript", 1, 9, "+", "A"))
    with pytest.raises(InputError, match=r"no transcript records.*rule 'longest-transcript'.*it has gene.*rule gene"):
        read_genes(genes, tss="longest-transcript")
    with pytest.raises(InputError, match=r"no gene records.*choose the rule first-transcript"):
        read_genes(transcripts)
    with pytest.raises(InputError, match=r"no transcript has one of the tags"):
        read_genes(transcripts, tss="canonical")
    with pytest.raises(InputError, match=r"no start-site rule 'best' \(one of gene, first"):
        read_genes(full, tss="best")


def test_copies_on_y_give_way(tmp_path):
    text = gtf_line("chrY", "gene", 1, 9, "+", "ENSG00000182378.1") + gtf_line(
        "chrX", "gene", 11, 19, "+", "ENSG00000182378.1"
    )
    text += gtf_line("chrY", "gene", 21, 29, "+", "ENSG00000182378.14_PAR_Y") + gtf_line(
        "chr1", "gene", 1, 3, "+", "ENSG00000182379.2"
    )
    text += gtf_line("chr1", "gene", 7, 8, "+", "ENSG00000182379.3")
    genes = read_genes(write(tmp_path / "a.gtf", text))
    assert dict(zip(genes.table["id"], genes.table["chrom"], strict=True)) == {
        "ENSG00000182378": "chrX",
        "ENSG00000182378_PAR_Y": "chrY",
        "ENSG00000182379": "chr1",
    }
    assert genes.table.filter(id="ENSG00000182379")["tss"].to_list() == [0]
    assert genes.record["n_duplicates"] == 2
    assert genes.record["first_duplicate"] == "ENSG00000182378"


def test_ids():
    ids = [
        "ENSG00000000003.14",
        "ENSG00000000003_TSPAN6",
        "ENSMUSG00000000001.5_x",
        "AC005895.4",
        "ENSG00000000005.6_PAR_Y",
        ' "TP53" ',
        "ENSGR0000182378.1",
        "FBgn0000008",
    ]
    table = pl.DataFrame({"id": ids}).select(normalize_ids(pl.col("id")))
    assert table["id"].to_list() == [
        "ENSG00000000003",
        "ENSG00000000003",
        "ENSMUSG00000000001",
        "AC005895.4",
        "ENSG00000000005_PAR_Y",
        "TP53",
        "ENSGR0000182378",
        "FBgn0000008",
    ]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("chr1\tX\tgene\t1\t9\t.\t+\t.\n", "line 2: has 8 columns, expected 9"),
        ("chr1 X gene 1 9 . + . gene_id\n", "line 2: has 1 column, expected 9 separated by tabs"),
        (
            'chr1\tX\tgene\tten\t9\t.\t+\t.\tgene_id "B";\n',
            r"line 2: 'ten' in column 4 \(start\) is not a whole number",
        ),
        ('chr1\tX\tgene\t1\t9.5\t.\t+\t.\tgene_id "B";\n', r"line 2: '9.5' in column 5 \(end\)"),
        ('chr1\tX\tgene\t10\t9\t.\t+\t.\tgene_id "B";\n', "line 2: start 10 is after end 9"),
        ('chr1\tX\tgene\t0\t9\t.\t+\t.\tgene_id "B";\n', "line 2: start 0: positions in GTF begin at 1"),
        ('chr1\tX\tgene\t1\t9\t.\tx\t.\tgene_id "B";\n', r"line 2: 'x' in column 7 \(strand\)"),
        ('chr1\tX\tgene\t1\t9\t.\t.\t.\tgene_id "B";\n', "line 2: gene B has strand '.', so it has no 5' end"),
        ('chr1\tX\tgene\t1\t9\t.\t+\t.\tname "B";\n', "line 2: column 9 has no gene_id"),
    ],
)
def test_wrong_lines_are_named_or_left_out(tmp_path, line, problem):
    path = write(tmp_path / "a.gtf", gtf_line("chr1", "gene", 1, 9, "+", "A") + line + line)
    with pytest.raises(InputError, match=problem + ".*; 1 more such line .*--skip-invalid"):
        read_genes(path)
    genes = read_genes(path, skip_invalid=True)
    assert genes.table["id"].to_list() == ["A"]
    assert genes.record["n_skipped"] == 2
    assert genes.record["first_skipped"].startswith("line 2: ")


def test_damaged_files(tmp_path, full):
    whole = full.read_bytes()
    cases = {
        "cut.gtf.gz": (whole[:-20], "gzip ends early"),
        "bad.gtf.gz": (whole[:30] + b"\xff" * 60 + whole[90:], "gzip is damaged"),
        "empty.gtf": (b"", "is empty"),
        "hollow.gtf.gz": (gzip.compress(b""), "has no content"),
        "comments.gtf": (b"# nothing\n\n", "only comments or blank lines"),
        "latin.gtf": (b'#ok\nchr1\tX\tgene\t1\t2\t.\t+\t.\tgene_id "\xe9";\n', "line 2: is not UTF-8"),
        "binary.gtf": (b"BAM\x01\x00\x00", "line 1: holds binary data"),
        "three.gff3": (b"chr1\tX\tgene\t1\t2\t.\t+\t.\tID=gene:1;Name=x\n", "is GFF3, expected GTF"),
    }
    for name, (content, problem) in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=problem) as caught:
            read_genes(tmp_path / name)
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="no such file"):
        read_genes(tmp_path / "absent.gtf")


def test_pieces_do_not_matter(full, monkeypatch):
    from regulome.genome import text

    whole = read_genes(full, tss="canonical")
    for size in (7, 64, 200):
        monkeypatch.setattr(text.read_lines, "__defaults__", (size,))
        assert read_genes(full, tss="canonical").table.equals(whole.table)


def test_bed_of_start_sites(tmp_path):
    text = "track name=x\nchr1\t100\t200\tA.1\t0\t+\nchr1\t100\t200\tENSG00000000002.3\t0\t-\nchr2\t7\t8\tC\t0\t.\n"
    genes = read_genes(write(tmp_path / "sites.bed", text))
    assert genes.table["id"].to_list() == ["A.1", "ENSG00000000002", "C"]
    assert genes.table["tss"].to_list() == [100, 199, 7]
    assert genes.record["biotype"] is None
    four = read_genes(write(tmp_path / "four.bed", "chr1\t5\t6\tA\nchr1\t9\t10\tB\r\n"))
    assert four.table.rows() == [("A", None, "chr1", 5, ".", None), ("B", None, "chr1", 9, ".", None)]
    with pytest.raises(InputError, match=r"line 1: an interval of 20 bases without a strand has no 5' end"):
        read_genes(write(tmp_path / "wide.bed", "chr1\t5\t25\tA\n"))
    with pytest.raises(InputError, match=r"line 1: has 3 columns, expected at least 4: chrom, start, end, gene id"):
        read_genes(write(tmp_path / "three.bed", "chr1\t5\t25\n"))
    with pytest.raises(InputError, match=r"line 2: '-1' in column start is not a whole number"):
        read_genes(write(tmp_path / "negative.bed", "chr1\t5\t6\tA\nchr1\t-1\t25\tA\n"))
    with pytest.raises(InputError, match=r"line 2: has 3 columns, line 1 has 4"):
        read_genes(write(tmp_path / "ragged.bed", "chr1\t5\t6\tA\nchr1\t1\t25\n"))
    with pytest.raises(InputError, match=r"no transcripts, so the rule 'canonical' cannot choose"):
        read_genes(tmp_path / "four.bed", tss="canonical")


@pytest.mark.parametrize("separator", ["\t", ","])
def test_table_of_start_sites(tmp_path, separator):
    rows = [
        ["Gene_ID", "chrom", "TSS", "strand", "gene_name", "gene_type"],
        ["A", "1", "0", "+", "a", "protein_coding"],
        ["B", "1", "17", "-", "b", "protein_coding"],
        ["C", "2", "5", "-", "c", "lincRNA"],
    ]
    path = write(tmp_path / "sites.tsv", "\n".join(separator.join(row) for row in rows) + "\n")
    genes = read_genes(path)
    assert genes.table.rows() == [("A", "a", "1", 0, "+", "protein_coding"), ("B", "b", "1", 17, "-", "protein_coding")]
    assert len(read_genes(path, biotype=None)) == 3
    with pytest.raises(InputError, match=r"line 1: no column id and no column tss; it begins with: x, chr"):
        read_genes(write(tmp_path / "other.tsv", "x\tchr\ty\n1\t2\t3\n"))


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(st.integers(1, 10**8), st.integers(0, 10**5), st.sampled_from("+-")), min_size=1, max_size=30)
)
def test_five_prime_end_is_the_gtf_position_less_one(tmp_path_factory, genes):
    path = tmp_path_factory.mktemp("g") / "a.gtf"
    path.write_text("".join(gtf_line("1", "gene", s, s + w, strand, f"G{i}") for i, (s, w, strand) in enumerate(genes)))
    table = read_genes(path).table
    expected = [s - 1 if strand == "+" else s + w - 1 for s, w, strand in genes]
    np.testing.assert_array_equal(table["tss"].to_numpy(), expected)
