import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regulome.errors import InputError
from regulome.genome.alleles import Placer
from regulome.genome.letters import decode, encode
from regulome.genome.vcf import read_variants

HEADER = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"


class Genome:
    def __init__(self, **texts):
        self.texts = texts
        self.names = tuple(texts)

    def codes(self, name):
        return encode(self.texts[name])


def sites_of(path, *rows):
    """Records (chromosome, 0-based position, REF, ALT) as a chunk."""
    lines = [f"{chrom}\t{position + 1}\t.\t{ref}\t{alt}\t.\t.\t.\n" for chrom, position, ref, alt in rows]
    path.write_text(HEADER + "".join(lines))
    (sites,) = read_variants(path)
    return sites


def reduced(position, ref, alt):
    while ref and alt and ref[-1] == alt[-1]:
        ref, alt = ref[:-1], alt[:-1]
    while ref and alt and ref[0] == alt[0]:
        ref, alt, position = ref[1:], alt[1:], position + 1
    return position, ref, alt


def expected_windows(text, position, ref, alt, length, shift):
    """The windows by strings: what is changed, then so many letters before it and the rest after it."""
    position, ref, alt = reduced(position, ref, alt)
    after = position + len(ref)
    windows = []
    for allele in (ref, alt):
        padded = "N" * length + text[:position] + allele + text[after:] + "N" * length
        begin = length + position - (length // 2 - len(allele) // 2) + shift
        windows.append(padded[begin : begin + length])
    return windows


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_windows_are_those_of_edited_strings(tmp_path, data):
    texts = {name: data.draw(st.text("ACGT", min_size=1, max_size=40)) for name in ("chr1", "chr2")}
    length = data.draw(st.integers(10, 24))
    shifts = data.draw(st.lists(st.integers(-3, 3), min_size=1, max_size=3, unique=True))
    rows, alleles = [], []
    for _ in range(data.draw(st.integers(1, 6))):
        chrom = data.draw(st.sampled_from(["chr1", "chr2"]))
        position = data.draw(st.integers(0, len(texts[chrom]) - 1))
        ref = texts[chrom][position : position + data.draw(st.integers(1, 4))]
        alts = data.draw(st.lists(st.text("ACGT", min_size=1, max_size=4), min_size=1, max_size=3))
        rows.append((chrom.removeprefix("chr"), position, ref.lower(), ",".join(alts)))
        alleles += [(chrom, position, ref, alt) for alt in alts]
    placer = Placer(Genome(**texts), "a.vcf", length=length, shifts=shifts)
    placed = placer.place(sites_of(tmp_path / "a.vcf", *rows))
    assert [bool(reason) for reason in placed.reason] == [ref == alt for _, _, ref, alt in alleles]
    good = np.flatnonzero(placed.reason == 0)
    placed = placed.take(good)
    references, which = placer.references(placed)
    alternatives = placer.alternatives(placed)
    assert len(np.unique(which)) == len(references)
    for row, allele in enumerate(good):
        chrom, position, ref, alt = alleles[allele]
        for place, shift in enumerate(shifts):
            found = decode(references[which[row, place]]), decode(alternatives[row, place])
            assert found == tuple(expected_windows(texts[chrom], position, ref, alt, length, shift))
    starts = np.array([data.draw(st.integers(-length - 5, 45)) for _ in good], np.int64)
    for row, window in enumerate(placer.alternatives_at(placed, starts)):
        chrom, position, ref, alt = alleles[good[row]]
        position, ref, alt = reduced(position, ref, alt)
        padded = "N" * 120 + texts[chrom][:position] + alt + texts[chrom][position + len(ref) :] + "N" * 120
        # The side of the middle stays where it is.
        begin = 120 + starts[row]
        begin += (len(alt) - len(ref)) * (starts[row] + length // 2 >= position + len(ref) // 2)
        assert decode(window) == padded[begin : begin + length]


def test_one_change_has_one_placement(tmp_path):
    text = "ACGTTTGCATACGATT"
    ways = [(5, "T", "A"), (4, "TT", "TA"), (3, "TTTGC", "TTAGC"), (5, "TG", "AG")]
    sites = sites_of(tmp_path / "a.vcf", *[("1", *way) for way in ways])
    placer = Placer(Genome(chr1=text), "a.vcf", length=8)
    placed = placer.place(sites)
    assert not placed.reason.any()
    references, which = placer.references(placed)
    assert len(references) == 1
    assert which.tolist() == [[0]] * 4
    assert decode(references[0]) == "CGTTTGCA"
    assert {decode(window[0]) for window in placer.alternatives(placed)} == {"CGTTAGCA"}


def test_alleles_that_cannot_be_scored(tmp_path):
    text = "ACGTNNACGTACGT"
    rows = {
        ("1", 0, "A", "."): "no alternative allele",
        ("1", 0, "A", "*"): "spanning deletion (*)",
        ("1", 0, "A", "<DEL>"): "symbolic allele",
        ("1", 0, "A", "A[1:5["): "breakend",
        ("3", 0, "A", "C"): "chromosome not in the genome",
        ("1", 14, "A", "C"): "position beyond the chromosome's end",
        ("1", 12, "GTA", "C"): "position beyond the chromosome's end",
        ("1", -1, "A", "C"): "position beyond the chromosome's end",
        ("1", 0, "AT", "C"): "REF differs from the genome, which has AC",
        ("1", 4, "A", "C"): "the genome is unknown there (N)",
        ("1", 3, "TN", "T"): "an allele has letters other than A, C, G, T",
        ("1", 0, "A", "R"): "an allele has letters other than A, C, G, T",
        ("1", 0, "A", "a"): "ALT is the same as REF",
        ("1", 0, "A", "AACGTACGTA"): "the allele does not fit into the window",
        ("1", 0, "A", "ACGTACGTC"): "",
    }
    placer = Placer(Genome(chr1=text), "a.vcf", length=8)
    placed = placer.place(sites_of(tmp_path / "a.vcf", *rows))
    assert placer.told(placed, np.arange(len(placed))) == list(rows.values())
    assert placer.counts["position beyond the chromosome's end"] == 3
    assert placer.counts[""] == 1
    placer = Placer(Genome(chr1=text), "a.vcf", length=8, shifts=[0, 1])
    assert placer.place(sites_of(tmp_path / "a.vcf", ("1", 0, "A", "ACGTACGTC"))).reason[0]
    placer.check_assembly()


def test_another_assembly(tmp_path, caplog):
    caplog.set_level("INFO")
    genome = Genome(chr20="ACGT" * 20)
    placer = Placer(genome, "v.vcf", length=8)
    placer.place(sites_of(tmp_path / "a.vcf", *[("20", i, "ACGT"[(i + i % 3) % 4], "T,C") for i in range(40)]))
    with pytest.raises(InputError, match=r"v\.vcf: REF differs from the genome at .* a VCF of another assembly"):
        placer.check_assembly()
    assert caplog.messages == ["chromosome 20 of the VCF = chr20 of the genome"]
    placer = Placer(genome, "v.vcf", length=8)
    placer.place(sites_of(tmp_path / "a.vcf", *[("20", i, "ACGT"[i % 4], "<X>,N") for i in range(40)]))
    placer.check_assembly()
    placer = Placer(genome, "v.vcf", length=8)
    placer.place(sites_of(tmp_path / "a.vcf", ("7", 5, "A", "C")))
    with pytest.raises(InputError, match=r"none of its chromosomes \(7\) is in the genome \(chr20\)"):
        placer.check_assembly()


@pytest.mark.parametrize("shifts", [[], [0, 0], [4], [-4]])
def test_shifts(shifts):
    with pytest.raises(InputError, match="cannot be shifted"):
        Placer(Genome(chr1="A"), "a.vcf", length=8, shifts=shifts)
