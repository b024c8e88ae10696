from regulome.genome.check import check_files


def test_published_inputs_are_clean(shared):
    folder = shared / "data/expression"
    paths = [folder / "roadmap/57epigenomes.RPKM.pc.gz", folder / "roadmap/gencode_10_genes.gtf.gz"]
    paths += sorted((folder / "peaks_GM12878_E116").iterdir())
    findings = check_files(paths, sample="E116")
    assert [str(f) for f in findings if f.severity == "error"] == []
    notes = [f.problem for f in findings]
    assert "expression: 19,795 records" in notes
    assert "genes: 43,575 records on 25 chromosomes (named like chr5)" in notes
    assert sum(note.startswith("peaks: ") for note in notes) == 6


def test_dirty_peaks_are_counted(shared):
    folder = shared / "data/expression"
    paths = [folder / "roadmap/gencode_10_genes.gtf.gz"]
    paths += sorted((folder / "peaks_dirty").iterdir())
    errors = [f for f in check_files(paths) if f.severity == "error"]
    first = {path.name: [f for f in errors if f.file == str(path)] for path in paths[1:]}
    acetyl, methyl = first.values()
    assert (acetyl[0].record, acetyl[0].problem) == (1, "start 100000332 is not before end 10004083")
    assert "5,832 in all" in acetyl[5].problem
    assert "1,603 rows on chr23, chr24" in acetyl[6].problem
    assert "4,053 in all" in methyl[5].problem
    assert "930 rows on chr23" in methyl[6].problem


def test_real_reads_and_tracks(shared):
    paths = sorted((shared / "data/reads").glob("*[!i]")) + sorted(
        (shared / "data/conservation/rnaseq_bigwig").iterdir()
    )
    findings = check_files(paths)
    assert not [str(f) for f in findings if f.severity == "warning"]
    notes = [f.problem for f in findings]
    assert "alignments: 128,422 records on 1 chromosome (named like chr21)" in notes
    assert any(note.startswith("reads: ") for note in notes)
    assert any(note.startswith("bigWig: ") for note in notes)
