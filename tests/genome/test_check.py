import gzip
import shutil
from pathlib import Path

import pybigtools
import pysam
import pytest
from tests.genome.two_bit_writer import write_two_bit

from regulome.errors import InputError
from regulome.genome.check import check_files
from regulome.genome.file_kinds import find_kind

GTF = "".join(
    f'chr{c}\tX\tgene\t{s}\t{s + 900}\t.\t+\t.\tgene_id "ENSG0000000000{c}.{i}"; gene_type "protein_coding";\n'
    for c, i, s in [(1, 1, 1001), (2, 1, 3001)]
)
EXPRESSION = "gene_id\tE1\tE2\nENSG00000000001\t1\t2\t\nENSG00000000002\t3\t0.5\t\n"
READS = "chr1\t100\t136\tN\t1000\t+\nchr2\t200\t236\tN\t1000\t-\n"
SIZES = {"chr1": 10_000, "chr2": 8_000}


def big_wig(path: Path, sizes: dict[str, int]) -> Path:
    rows = [(name, 10, 60, 2.0) for name in sizes]
    pybigtools.open(str(path), "w").write(sizes, iter(rows))
    return path


def bam(path: Path, starts: list[int], sizes: dict[str, int] = SIZES, index: bool = True) -> Path:
    header = "@HD\tVN:1.6\n" + "".join(f"@SQ\tSN:{name}\tLN:{size}\n" for name, size in sizes.items())
    rows = "".join(f"r\t0\t{name}\t{start}\t30\t36M\t*\t0\t0\t*\t*\n" for name in sizes for start in starts)
    path.with_suffix(".sam").write_text(header + rows)
    pysam.view("-b", "-o", str(path), str(path.with_suffix(".sam")), catch_stdout=False)
    if index:
        pysam.index(str(path))
    return path


@pytest.fixture
def inputs(tmp_path):
    (tmp_path / "genes.gtf").write_text(GTF)
    (tmp_path / "expression.tsv.gz").write_bytes(gzip.compress(EXPRESSION.encode()))
    (tmp_path / "H3K4me3.tagAlign.gz").write_bytes(gzip.compress(READS.encode()))
    big_wig(tmp_path / "H3K27ac.bw", SIZES)
    bam(tmp_path / "H3K9me3.bam", [5, 50])
    (tmp_path / "H3K4me1.narrowPeak").write_text("".join(f"chr{c}\t50\t90\tp\t10\t.\t4.5\t3\t2\t20\n" for c in "12"))
    (tmp_path / "H3K36me3.bedGraph").write_text("track type=bedGraph\nchr1\t0\t50\t1.5\nchr2\t0\t50\t2\n")
    (tmp_path / "x.chrom.sizes").write_text("chr1\t10000\nchr2\t8000\n")
    return tmp_path


def grave(findings):
    return [finding for finding in findings if finding.severity != "note"]


def one(findings, text):
    found = [finding for finding in grave(findings) if text in finding.problem]
    assert len(found) == 1, [str(finding) for finding in findings]
    assert found[0].cure
    return found[0]


def test_clean_inputs_get_a_summary_each(inputs):
    paths = sorted(path for path in inputs.iterdir() if path.suffix not in (".bai", ".sam"))
    findings = check_files(paths)
    assert grave(findings) == []
    told = {Path(f.file).name: f.problem for f in reversed(findings) if f.record is None}
    assert told["H3K4me3.tagAlign.gz"] == "reads: 2 records on 2 chromosomes (named like chr1)"
    assert told["genes.gtf"] == "genes: 2 records on 2 chromosomes (named like chr1)"
    assert told["H3K27ac.bw"] == "bigWig: 100 bases with values on 2 chromosomes (named like chr1)"
    assert told["H3K36me3.bedGraph"] == "bedGraph: 2 records on 2 chromosomes (named like chr1)"
    assert told["H3K4me1.narrowPeak"] == "peaks: 2 records on 2 chromosomes (named like chr1)"
    assert any(f.problem == "2 of 2 genes are in " + str(inputs / "genes.gtf") for f in findings)


def test_kinds_by_content(inputs, tmp_path):
    contents = {
        "a.txt": (GTF, "genes"),
        "b.txt": (EXPRESSION, "expression"),
        "c.bed": (READS, "reads"),
        "d.bed": (READS[:-2] + ".\n", "peaks"),
        "e.bdg": ("chr1\t0\t5\t0.5\n", "bedGraph"),
        "f.bed": ("chr1\t0\t1\tENSG00000000001\n", "genes"),
        "g.tsv": ("gene_id\tchrom\ttss\tstrand\nA\tchr1\t5\t+\n", "genes"),
        "h.bed": ("chr1\t0\t5\n", "peaks"),
        "i.txt": ("chr1\t1000\n", "sizes"),
        "j.csv": ("A,1\nB,2\n", "expression"),
        "m.txt": (">chr1\nACGT\n", "FASTA"),
        "n.fna": ("ACGT\n", "FASTA"),
    }
    for name, (text, kind) in contents.items():
        (tmp_path / name).write_text(text)
        assert find_kind(tmp_path / name) == kind, name
    for name, kind in [("H3K27ac.bw", "bigWig"), ("H3K9me3.bam", "alignments")]:
        assert find_kind(shutil.copy(inputs / name, tmp_path / "copy")) == kind
    (tmp_path / "k.txt").write_text(READS)
    with pytest.raises(InputError, match="its name does not tell what it holds"):
        find_kind(tmp_path / "k.txt")
    with pytest.raises(InputError, match="convert it to BAM"):
        find_kind(shutil.copy(inputs / "H3K9me3.sam", tmp_path / "l.sam"))


def test_every_wrong_row_is_counted_and_the_first_are_named(inputs):
    rows = READS + "chr1\tx\t5\tN\t0\t+\n" + "chr1\t9\t5\tN\t0\t+\n" * 6 + "chr1\t9\n"
    (inputs / "bad.tagAlign").write_text(rows)
    errors = [f for f in check_files([inputs / "bad.tagAlign"]) if f.severity == "error"]
    assert [f.record for f in errors] == [3, 4, 5, 6, 7, None]
    assert errors[0].problem.startswith("start 'x' is not a whole number")
    assert errors[1].problem == "start 9 is not before end 5"
    assert errors[-1].problem == "3 more wrong rows, 8 in all"


def test_all_files_are_looked_at_after_the_first_error(inputs):
    (inputs / "cut.tagAlign.gz").write_bytes((inputs / "H3K4me3.tagAlign.gz").read_bytes()[:-9])
    (inputs / "empty.bed").write_bytes(b"")
    (inputs / "genes.gtf").write_text(GTF + "chr1\tX\tgene\n" + 'chr1\tX\tgene\t5\t2\t.\t+\t.\tgene_id "B";\n')
    (inputs / "expression.tsv").write_text(
        "gene_id\tE1\tE2\tname\nENSG00000000001\t1\tx\tn\nENSG00000000002\t-3\t0.5\tm\n"
    )
    (inputs / "cut.bw").write_bytes((inputs / "H3K27ac.bw").read_bytes()[:-200])
    (inputs / "text.bw").write_text("hello")
    (inputs / "cut.bam").write_bytes((inputs / "H3K9me3.bam").read_bytes()[:-40])
    names = [
        "cut.tagAlign.gz",
        "empty.bed",
        "genes.gtf",
        "expression.tsv",
        "cut.bw",
        "text.bw",
        "cut.bam",
        "absent.gtf",
    ]
    findings = check_files([inputs / name for name in names])
    errors = {}
    for finding in findings:
        if finding.severity == "error":
            errors.setdefault(Path(finding.file).name, []).append((finding.record, finding.problem))
            assert finding.cure
            assert "\n" not in str(finding)
    assert errors["cut.tagAlign.gz"][0][1] == "gzip ends early"
    assert errors["empty.bed"] == [(None, "is empty")]
    assert errors["genes.gtf"] == [(3, "has 3 columns, expected 9 separated by tabs"), (4, "start 5 is after end 2")]
    assert errors["expression.tsv"] == [
        (2, "the value of E2 is 'x', no number"),
        (3, "the value of E1 is -3; expression cannot be negative (are these logarithms?)"),
    ]
    assert errors["cut.bw"] == [(None, errors["cut.bw"][0][1])]
    assert "bigWig is damaged or ends early" in errors["cut.bw"][0][1]
    assert errors["text.bw"] == [(None, "is not bigWig, as its name says")]
    assert len(errors["cut.bam"]) == 1
    assert errors["absent.gtf"] == [(None, "no such file")]
    assert any(f.problem == "column name holds no expression values" for f in findings)


def test_naming_styles(inputs):
    (inputs / "plain.tagAlign").write_text(READS.replace("chr", ""))
    findings = check_files([inputs / "genes.gtf", inputs / "plain.tagAlign"])
    assert not grave(findings)
    assert any("1 = chr1; they will be matched" in f.problem for f in findings)
    (inputs / "other.tagAlign").write_text(READS.replace("chr", "scaffold_"))
    findings = check_files([inputs / "genes.gtf", inputs / "other.tagAlign"])
    assert one(findings, "shares no chromosome").severity == "error"


def test_chromosomes_without_signal_and_unknown_ones(inputs):
    (inputs / "part.tagAlign").write_text("chr1\t0\t5\tN\t0\t+\n")
    findings = check_files([inputs / "genes.gtf", inputs / "part.tagAlign"])
    assert one(findings, "has nothing on chr2").severity == "warning"
    genome = [*map(str, range(1, 11)), "X"]
    line = GTF.splitlines(keepends=True)[0]
    whole = "".join(line.replace("chr1", f"chr{c}").replace("ENSG", f"G{c}x") for c in genome)
    (inputs / "whole.gtf").write_text(whole)
    (inputs / "human.tagAlign").write_text("".join(f"{c}\t0\t5\tN\t0\t+\n" for c in [*genome, "23", "Y", "M", "Un_1"]))
    findings = check_files([inputs / "whole.gtf", inputs / "human.tagAlign"])
    assert "1 rows on 23" in one(findings, "unknown chromosome 23").problem


def test_assemblies(inputs):
    other = big_wig(inputs / "other.bw", {"1": 10_000, "chr2": 7_000})
    findings = check_files([inputs / "H3K27ac.bw", other])
    assert "chr2 has 7,000 against 8,000 bases; 1 of 2 chromosomes differ" in one(findings, "another assembly").problem
    (inputs / "long.tagAlign").write_text(READS + "2\t8999\t9001\tN\t0\t+\n")
    findings = check_files([inputs / "long.tagAlign", inputs / "x.chrom.sizes"])
    assert one(findings, "reaches position 9,001 of 2, which ends at 8,000").file.endswith("long.tagAlign")
    (inputs / "far.gtf").write_text(
        GTF + 'chr1\tX\tgene\t10001\t10002\t.\t+\t.\tgene_id "B"; gene_type "protein_coding";\n'
    )
    findings = check_files([inputs / "far.gtf", inputs / "H3K27ac.bw"])
    assert one(findings, "reaches position 10,001 of chr1").severity == "error"
    human = big_wig(inputs / "hg19.bw", {"chr1": 249_250_621})
    mouse = big_wig(inputs / "hg38.bw", {"chr1": 248_956_422})
    assert "249,250,621 (hg19)" in one(check_files([mouse, human]), "another assembly").problem


def test_expression_and_annotation(inputs):
    (inputs / "symbols.csv").write_text("TP53,1\nMYC,2\n")
    findings = check_files([inputs / "genes.gtf", inputs / "symbols.csv"])
    assert "ids like TP53 against ENSG00000000001" in one(findings, "shares no gene").problem
    (inputs / "few.csv").write_text("".join(f"ENSG0000000000{i},1{i}\n" for i in range(1, 10)))
    assert one(check_files([inputs / "genes.gtf", inputs / "few.csv"]), "only 2 of 9 genes").severity == "warning"
    findings = check_files([inputs / "expression.tsv.gz"], sample="E3")
    assert "did you mean" in one(findings, "has no sample 'E3'").cure
    (inputs / "flat.csv").write_text("id,S\nA,1\nB,1\nA,1\n")
    findings = check_files([inputs / "flat.csv"])
    assert one(findings, "all values of S are equal").severity == "warning"
    assert one(findings, "1 lines repeat a gene id, the first is A").severity == "warning"


def test_alignments(inputs):
    path = bam(inputs / "loose.bam", [500, 5, 50], index=False)
    findings = check_files([path])
    assert "samtools sort" in one(findings, "is not sorted").cure
    assert "samtools index" in one(findings, "has no index").cure
    assert not grave(check_files([inputs / "H3K9me3.bam"]))


def test_marks_and_files_named_twice(inputs):
    a, b = inputs / "H3K4me3.tagAlign.gz", inputs / "H3K27ac.bw"
    assert one(check_files([f"H3K4me3={a}", f"H3K4me3={b}"]), "mark H3K4me3 is named twice").severity == "error"
    assert not grave(check_files([f"H3K4me3={a}", f"H3K27ac={b}"]))
    assert one(check_files([a, a]), "is the same file as").severity == "warning"
    other = shutil.copy(a, inputs / "again_h3k4me3.tagAlign.gz")
    notes = [f.problem for f in check_files([a, other])]
    assert any("seems to be of the same mark" in problem for problem in notes)


def test_genes_without_gene_records(inputs):
    (inputs / "transcripts.gtf").write_text(GTF.replace("\tgene\t", "\ttranscript\t"))
    findings = check_files([inputs / "transcripts.gtf"])
    assert one(findings, "has no gene records").severity == "warning"
    (inputs / "none.gtf").write_text(GTF.replace("\tgene\t", "\texon\t"))
    assert one(check_files([inputs / "none.gtf"]), "has no transcript records").severity == "error"


def test_genomes_are_looked_through(inputs):
    text = f">1\n{'ACGTN' * 2_000}\n>2\n{'A' * 8_000}\n"
    (inputs / "x.fa.gz").write_bytes(gzip.compress(text.encode()))
    write_two_bit(inputs / "x.2bit", {"chr1": "ACGT" * 2_500, "chr2": "N" * 8_000})
    findings = check_files([inputs / "genes.gtf", inputs / "x.fa.gz", inputs / "x.2bit", inputs / "H3K27ac.bw"])
    assert grave(findings) == []
    notes = [f.problem for f in findings]
    assert "FASTA: 18,000 bases in 2 sequences (named like 1), 11.1% of them unknown" in notes
    assert "2bit: 18,000 bases in 2 sequences (named like chr1), 44.4% of them unknown" in notes
    (inputs / "other.fa").write_text(">chr1\nACGT\n>chr2\nACGT\n")
    findings = check_files([inputs / "H3K27ac.bw", inputs / "other.fa"])
    assert "chr1 has 4 against 10,000 bases" in one(findings, "another assembly").problem


def test_all_problems_of_a_genome_are_listed(inputs):
    path = inputs / "bad.fa"
    path.write_text("?\n>chr1\nACEG\n>chr2\n>chr1\nAC-G\n")
    findings = grave(check_files([path]))
    assert [f.severity for f in findings] == ["error"] * 5
    assert one(findings, "'E' at position 3 (line 3)").record == "chr1"
    for word in ("text before the first >", "'-' at position 3 (line 6)", "the name is used twice", "has no sequence"):
        one(findings, word)
    path.write_text("".join(f">s{i}\nMEV\n" for i in range(50)))
    assert one(check_files([path]), "more wrong").problem == "30 more wrong records, 50 in all"
    path.write_text(">chr1\nNNNN\n")
    assert one(check_files([path]), "all bases are N").severity == "warning"
    path.write_text(">chr1\nACGT\n")
    (inputs / "bad.fa.fai").write_text("chr1\t5\t6\t5\t6\n")
    assert one(check_files([path]), "index bad.fa.fai contradicts it").severity == "warning"
    (inputs / "cut.2bit").write_bytes(write_two_bit(inputs / "x.2bit", {"chr1": "ACGT" * 100}).read_bytes()[:-3])
    assert one(check_files([inputs / "cut.2bit"]), "ends early").record == "chr1"


def test_many_short_sequences_are_no_genome(inputs):
    (inputs / "reads.fa").write_text("".join(f">s{i}\nACGT\n" for i in range(200)))
    assert grave(check_files([inputs / "genes.gtf", inputs / "reads.fa"])) == []


HEAD = "##fileformat=VCFv4.2\n##contig=<ID=chr1,length=2000>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"


def variants(path: Path, rows: list[tuple[int, str]], head: str = HEAD) -> Path:
    path.write_text(head + "".join(f"chr1\t{place}\t.\t{ref}\tG\t.\t.\t.\n" for place, ref in rows))
    return path


def test_variants_are_looked_through_and_compared_with_the_genome(tmp_path):
    genome = tmp_path / "genome.fa"
    genome.write_text(">chr1\n" + "A" * 2_000 + "\n")
    good = variants(tmp_path / "good.vcf", [(place, "A") for place in range(1, 41)])
    assert find_kind(good) == "variants"
    findings = check_files([genome, good])
    assert grave(findings) == []
    assert any("variants: 40 records on 1 chromosome" in finding.problem for finding in findings)
    some = variants(tmp_path / "some.vcf", [*((place, "A") for place in range(1, 41)), (50, "C")])
    found = one(check_files([genome, some]), "REF differs")
    assert found.severity == "warning"
    assert "1 of 41" in found.problem
    other = variants(tmp_path / "other.vcf", [(place, "C") for place in range(1, 41)])
    assert one(check_files([genome, other]), "another assembly").severity == "error"
    wrong = variants(tmp_path / "wrong.vcf", [(5, "A"), (6, "?")])
    assert one(check_files([genome, wrong]), "REF '?'").record == 5
    longer = variants(tmp_path / "longer.vcf", [(5, "A")], HEAD.replace("2000", "3000"))
    one(check_files([genome, longer]), "of another assembly than")
    one(check_files([variants(tmp_path / "none.vcf", [])]), "no records")


def test_tables_of_features(tmp_path):
    table = tmp_path / "features.tsv"
    table.write_text("name\tcell\tgroup\nCTCF\tK562\tTF\nMYC\tK562\tTF\n")
    assert find_kind(table) == "features"
    assert grave(check_files([table])) == []
    table.write_text("name\tcell\tgroup\nCTCF\tK562\tTF\nCTCF\tK562\tTF\n")
    one(check_files([table]), "CTCF twice")
    table.write_text("name\tcell\tgroup\nCTCF\tK562\n")
    assert one(check_files([table]), "2 columns").record == 2
