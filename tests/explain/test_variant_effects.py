import gzip
import tracemalloc

import numpy as np
import polars as pl
import pysam
import pytest
import torch
from torch import nn

from regulome.errors import InputError
from regulome.explain import variant_effects
from regulome.explain.substitutions import SubstitutionScorer
from regulome.explain.variant_effects import score_variants
from regulome.genome import vcf
from regulome.genome.letters import encode, reverse_complement
from regulome.models.one_hot import OneHot
from regulome.models.preprocess import Predictor
from regulome.training.scorer import Scorer

LENGTH = 12
NAMES = ["HepG2|HNF4A|None", "K562 CTCF", "K562 CTCF"]
HEADER = (
    '##fileformat=VCFv4.2\n##INFO=<ID=DP,Number=1,Type=Integer,Description="Depth">\n'
    '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">\n##contig=<ID=20>\n##contig=<ID=9>\n'
    "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tme\n"
)


class Motif(nn.Module):
    """Logit k = Σ over positions of weight[k, letter, position]: an SNV's effect is a difference of two weights."""

    def __init__(self, weight):
        super().__init__()
        self.register_buffer("weight", torch.as_tensor(weight, dtype=torch.float32))

    def forward(self, codes):
        onehot = nn.functional.one_hot(codes.long(), 5)[:, :, :4].float()
        return torch.einsum("blp,klp->bk", onehot, self.weight)


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REGULOME_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A genome of two chromosomes, a VCF with alleles of all kinds, and a network that sums weights."""
    folder = tmp_path_factory.mktemp("world")
    rng = np.random.default_rng(1)
    texts = {name: "".join(rng.choice(list("ACGT"), size)) for name, size in (("chr20", 300), ("chr9", 60))}
    (folder / "g.fa").write_text("".join(f">{name}\n{text}\n" for name, text in texts.items()))
    rows = []
    for i in range(150):
        name = "chr20" if i < 100 else "chr9"
        position = int(rng.integers(0, len(texts[name]) - 5))
        ref = texts[name][position : position + int(rng.integers(1, 5))]
        ref = ref if i % 3 else ref[0]
        alts = ["".join(rng.choice(list("ACGT"), rng.integers(1, 5) if i % 3 else 1)) for _ in range(1 + i % 3)]
        alts += ["*"] if i % 10 == 0 else []
        rows.append((name, position, ref, alts))
    rows.insert(3, ("chr20", 500, "A", ["C"]))
    rows.insert(40, ("chr20", 10, "A" if texts["chr20"][10] != "A" else "C", ["G", "<DEL>"]))
    rows.append(("chr20", 30, texts["chr20"][30], ["."]))
    lines = []
    for i, (name, position, ref, alts) in enumerate(rows):
        info = "." if i % 2 else f"DP={i};X"
        lines.append(f"{name[3:]}\t{position + 1}\tid{i}\t{ref}\t{','.join(alts)}\t{i}\tPASS\t{info}\tGT\t0/1\n")
    (folder / "v.vcf").write_text(HEADER + "".join(lines))
    weight = rng.normal(size=(3, LENGTH, 4))
    return folder, texts, rows, weight


def scorer_of(weight, **settings):
    return Scorer([Motif(weight)], length=LENGTH, target_names=NAMES, batch_size=50, **settings)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def windows_of(text, position, ref, alt, shift):
    while ref and alt and ref[-1] == alt[-1]:
        ref, alt = ref[:-1], alt[:-1]
    while ref and alt and ref[0] == alt[0]:
        ref, alt, position = ref[1:], alt[1:], position + 1
    for allele in (ref, alt):
        padded = "N" * LENGTH + text[:position] + allele + text[position + len(ref) :] + "N" * LENGTH
        begin = LENGTH + position - (LENGTH // 2 - len(allele) // 2) + shift
        yield encode(padded[begin : begin + LENGTH])


def logit(weight, codes):
    return sum(weight[:, i, letter] for i, letter in enumerate(codes) if letter < 4)


def expected(world, shifts=(0,), both_strands=True):
    """(record, allele) → probabilities of reference and alternative, by strings, one window at a time."""
    _, texts, rows, weight = world
    found = {}
    for i, (name, position, ref, alts) in enumerate(rows):
        for number, alt in enumerate(alts, 1):
            if alt.strip("ACGT") or alt == ref or texts[name][position : position + len(ref)] != ref:
                continue
            values = []
            for shift in shifts:
                pair = [
                    [
                        sigmoid(logit(weight, strand))
                        for strand in ([codes, reverse_complement(codes)][: 1 + both_strands])
                    ]
                    for codes in windows_of(texts[name], position, ref, alt, shift)
                ]
                values.append(np.mean(pair, axis=1))
            found[f"id{i}", number] = np.mean(values, axis=0)
    return found


@pytest.mark.parametrize(("shifts", "both_strands"), [((0,), False), ((0,), True), ((-2, 0, 1), True)])
@pytest.mark.parametrize("ending", [".tsv", ".csv.gz", ".parquet"])
def test_tables_agree_with_strings(world, tmp_path, shifts, both_strands, ending, monkeypatch):
    monkeypatch.setattr(variant_effects, "_RECORDS", 7)
    monkeypatch.setattr(variant_effects, "_MORE", 1)
    folder, _, rows, weight = world
    out = tmp_path / f"o{ending}"
    scorer = scorer_of(weight, both_strands=both_strands)
    scores = score_variants(scorer, folder / "v.vcf", folder / "g.fa", out, shifts=shifts)
    truth = expected(world, shifts, both_strands)
    read = {".tsv": lambda p: pl.read_csv(p, separator="\t"), ".csv.gz": pl.read_csv, ".parquet": pl.read_parquet}
    table = read[ending](out)
    assert list(zip(table["id"], table["allele"], strict=True)) == list(truth)
    ref, alt = np.array(list(truth.values())).transpose(1, 0, 2)
    for place, name in enumerate(["HepG2|HNF4A|None", "K562 CTCF", "K562 CTCF_2"]):
        np.testing.assert_allclose(table[f"{name}_ref"], ref[:, place], rtol=2e-5)
        np.testing.assert_allclose(table[f"{name}_alt"], alt[:, place], rtol=2e-5)
        np.testing.assert_allclose(table[f"{name}_difference"], (alt - ref)[:, place], atol=2e-6)
        odds = np.log(alt / (1 - alt)) - np.log(ref / (1 - ref))
        np.testing.assert_allclose(table[f"{name}_log_odds"], odds[:, place], atol=2e-5)
    np.testing.assert_allclose(table["score"], np.abs(alt - ref).max(1), atol=2e-6)
    assert scores.records == len(rows)
    assert scores.alleles == sum(len(alts) for *_, alts in rows)
    assert scores.scored == len(truth)
    assert scores.alleles - scores.scored == sum(scores.skipped.values())
    first = rows[int(table["id"][0][2:])]
    assert str(table["chrom"][0]) == first[0][3:]
    assert table["pos"][0] == first[1] + 1
    assert table["alt"][0] == first[3][table["allele"][0] - 1]


def test_an_snv_in_closed_form(world, tmp_path):
    folder, texts, _, weight = world
    ref = texts["chr20"][100]
    alt = "ACGT"["ACGT".index(ref) - 1]
    vcf = tmp_path / "one.vcf"
    vcf.write_text(HEADER + f"chr20\t101\t.\t{ref}\t{alt}\t.\t.\t.\tGT\t0/1\n")
    score_variants(
        scorer_of(weight, both_strands=False), vcf, folder / "g.fa", tmp_path / "o.parquet", features="HepG2*"
    )
    table = pl.read_parquet(tmp_path / "o.parquet")
    # Odds of a sum of weights: the variant's base stands at LENGTH // 2, and everything else cancels.
    effect = weight[0, LENGTH // 2, "ACGT".index(alt)] - weight[0, LENGTH // 2, "ACGT".index(ref)]
    assert table["HepG2|HNF4A|None_log_odds"][0] == pytest.approx(effect, abs=1e-5)
    assert "K562 CTCF_ref" not in table.columns


@pytest.mark.parametrize("ending", [".vcf", ".vcf.gz"])
def test_vcf_keeps_what_it_was(world, tmp_path, ending):
    folder, _, rows, weight = world
    source = folder / "v.vcf"
    out = tmp_path / f"o{ending}"
    score_variants(scorer_of(weight), source, folder / "g.fa", out)
    text = gzip.decompress(out.read_bytes()).decode() if ending == ".vcf.gz" else out.read_text()
    old = source.read_text().splitlines()
    new = text.splitlines()
    added = [line for line in new if line not in old and line.startswith("##")]
    assert [line for line in new if line.startswith("##") and line not in added] == [x for x in old if x[:2] == "##"]
    before = [line.split("\t") for line in old if line[0] != "#"]
    after = [line.split("\t") for line in new if line[0] != "#"]
    assert [r[:7] + r[8:] for r in after] == [r[:7] + r[8:] for r in before]
    truth = expected(world)
    with pysam.VariantFile(str(out)) as file:
        assert file.header.info["RG_HepG2_HNF4A_None_DIFF"].number == "A"
        records = list(file)
    assert len(records) == len(rows)
    for i, (record, (_, _, _, alts)) in enumerate(zip(records, rows, strict=True)):
        assert i % 2 or record.info["DP"] == i
        values = [truth.get((f"id{i}", number)) for number in range(1, len(alts) + 1)]
        if all(value is None for value in values):
            assert after[i] == before[i]
            continue
        for place, key in enumerate(["HepG2_HNF4A_None", "K562_CTCF", "K562_CTCF_2"]):
            found = record.info[f"RG_{key}_DIFF"]
            assert [value is None for value in found] == [value is None for value in values]
            for value, pair in zip(found, values, strict=True):
                assert pair is None or value == pytest.approx(pair[1, place] - pair[0, place], abs=1e-5)
    with pytest.raises(InputError, match="has an INFO field RG_SCORE already"):
        score_variants(scorer_of(weight), out, folder / "g.fa", tmp_path / "twice.vcf")
    score_variants(scorer_of(weight), out, folder / "g.fa", tmp_path / "twice.vcf", info_prefix="B")


def test_the_list_of_what_was_left_out(world, tmp_path, caplog):
    caplog.set_level("INFO")
    folder, texts, rows, weight = world
    scores = score_variants(scorer_of(weight), folder / "v.vcf", folder / "g.fa", tmp_path / "o.tsv")
    skipped = pl.read_csv(tmp_path / "o.tsv.skipped.tsv", separator="\t")
    assert scores.skipped_file == tmp_path / "o.tsv.skipped.tsv"
    scored = pl.read_csv(tmp_path / "o.tsv", separator="\t")
    both = sorted(
        [*zip(skipped["id"], skipped["allele"], strict=True), *zip(scored["id"], scored["allele"], strict=True)]
    )
    assert both == sorted((f"id{i}", n) for i, row in enumerate(rows) for n in range(1, len(row[3]) + 1))
    reasons = dict(zip(zip(skipped["id"], skipped["allele"], strict=True), skipped["reason"], strict=True))
    assert reasons["id3", 1] == "position beyond the chromosome's end"
    assert reasons["id40", 1] == f"REF differs from the genome, which has {texts['chr20'][10]}"
    assert reasons["id40", 2] == "symbolic allele"
    assert reasons[f"id{len(rows) - 1}", 1] == "no alternative allele"
    assert skipped.filter(id="id3")["line"].item() == 6 + 4
    assert f"scored {scores.scored} of {scores.alleles} alleles" in caplog.text
    assert "1: REF differs from the genome" in caplog.text
    assert "chromosome 20 of the VCF = chr20 of the genome" in caplog.messages


def test_e_values_against_a_background(world, tmp_path):
    folder, _, _, weight = world
    scores = score_variants(
        scorer_of(weight), folder / "v.vcf", folder / "g.fa", tmp_path / "o.parquet", background=folder / "v.vcf"
    )
    table = pl.read_parquet(tmp_path / "o.parquet")
    assert scores.background == len(table)
    logs = []
    for name in ["HepG2|HNF4A|None", "K562 CTCF", "K562 CTCF_2"]:
        size = table[f"{name}_difference"].abs().to_numpy()
        share = ((size[None] >= size[:, None]).sum(1) + 1) / (len(size) + 1)
        np.testing.assert_allclose(table[f"{name}_e_value"], share, rtol=1e-6)
        logs.append(-np.log10(share))
    np.testing.assert_allclose(table["mean_minus_log10_e"], np.mean(logs, 0), rtol=1e-5)
    less = [
        score_variants(
            scorer_of(weight), folder / "v.vcf", folder / "g.fa", tmp_path / "p.vcf", background=folder / "v.vcf",
            background_size=17, overwrite=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    assert less[0].background == 17
    with pysam.VariantFile(str(tmp_path / "p.vcf")) as file:
        values = [v for r in file if "RG_K562_CTCF_E" in r.info for v in r.info["RG_K562_CTCF_E"] if v is not None]
    assert min(values) >= 1 / 18 - 1e-6
    assert np.allclose(np.round(np.array(values) * 18), np.array(values) * 18, atol=1e-3)


def test_values_have_no_odds(world, tmp_path):
    folder, _, _, weight = world
    scorer = scorer_of(weight, task="regression")
    score_variants(scorer, folder / "v.vcf", folder / "g.fa", tmp_path / "o.parquet", shifts=[0, 1])
    table = pl.read_parquet(tmp_path / "o.parquet")
    assert not [name for name in table.columns if "log_odds" in name]
    np.testing.assert_allclose(
        table["K562 CTCF_difference"], table["K562 CTCF_alt"] - table["K562 CTCF_ref"], atol=1e-5
    )


def test_a_reference_is_scored_once(world, tmp_path):
    folder, texts, _, weight = world
    ref = texts["chr20"][100]
    others = [letter for letter in "ACGT" if letter != ref]
    rows = [f"20\t101\t.\t{ref}\t{','.join(others)}\t.\t.\t.\tGT\t0\n"] + [
        f"20\t101\t.\t{ref}\t{letter}\t.\t.\t.\tGT\t0\n" for letter in others
    ]
    (tmp_path / "v.vcf").write_text(HEADER + "".join(rows))
    scorer = scorer_of(weight, both_strands=False)
    seen = []
    scorer.models[0].register_forward_hook(lambda module, inputs, output: seen.append(len(inputs[0])))
    score_variants(scorer, tmp_path / "v.vcf", folder / "g.fa", tmp_path / "o.tsv")
    assert sum(seen) == 1 + 6


@pytest.mark.parametrize("shifts", [[0], [-2, 0, 1]])
def test_substitutions_that_are_scored_with_their_windows(world, tmp_path, shifts, monkeypatch):
    folder = world[0]
    torch.manual_seed(0)
    layers = [nn.Conv1d(4, 8, 4), nn.ReLU(), nn.MaxPool1d(2), nn.Flatten(), nn.Linear(32, 3)]
    model = Predictor(OneHot(), nn.Sequential(*layers))
    scorer = Scorer([model, model], length=LENGTH, target_names=NAMES, batch_size=50)
    seen = []
    model.register_forward_hook(lambda module, inputs, output: seen.append(len(inputs[0])))

    def table(name):
        seen.clear()
        score_variants(scorer, folder / "v.vcf", folder / "g.fa", tmp_path / name, shifts=shifts)
        return pl.read_parquet(tmp_path / name), sum(seen)

    found, windows = table("a.parquet")
    monkeypatch.setattr(SubstitutionScorer, "__call__", lambda self, *arguments: None)
    plain, more = table("b.parquet")
    assert found.select("chrom", "pos", "alt").equals(plain.select("chrom", "pos", "alt"))
    numbers = [name for name, kind in found.schema.items() if kind == pl.Float32]
    np.testing.assert_allclose(found.select(numbers), plain.select(numbers), atol=1e-5)
    single = plain.filter((pl.col("ref").str.len_bytes() == 1) & (pl.col("alt").str.len_bytes() == 1)).height
    assert windows < more - 4 * len(shifts) * single


def test_memory_does_not_grow_with_the_vcf(world, tmp_path, monkeypatch):
    # numpy's and Python's own memory; the table leaves it record by record as text.
    monkeypatch.setattr(vcf, "RECORDS", 1000)
    monkeypatch.setattr(vcf, "PIECE", 1 << 15)
    folder, texts, _, weight = world
    peaks = {}
    for count in (200, 3_000, 30_000):
        rows = [f"20\t101\t.\t{texts['chr20'][100]}\tACGT{'A' * (i % 5)}\t.\t.\t.\tGT\t0\n" for i in range(count)]
        (tmp_path / "v.vcf").write_text(HEADER + "".join(rows))
        del rows
        tracemalloc.start()
        try:
            found = score_variants(scorer_of(weight), tmp_path / "v.vcf", folder / "g.fa", tmp_path / f"{count}.tsv")
            peaks[count] = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert found.scored == count
    assert peaks[200] < peaks[3_000]
    assert peaks[30_000] < 1.2 * peaks[3_000]


def test_bad_input(world, tmp_path):
    folder, texts, _, weight = world
    scorer, genome, out = scorer_of(weight), folder / "g.fa", tmp_path / "o.tsv"

    def refused(text, match, **settings):
        vcf = tmp_path / "v.vcf"
        vcf.write_text(text)
        with pytest.raises(InputError, match=match):
            score_variants(scorer, vcf, genome, out, **settings)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["v.vcf"]

    row = f"20\t101\t.\t{texts['chr20'][100]}\tACT\t.\t.\t.\tGT\t0\n"
    turned = {"A": "C", "C": "G", "G": "T", "T": "A"}
    other = [f"20\t{i + 1}\t.\t{turned[letter]}\t{letter}\t.\t.\t.\tGT\t0\n" for i, letter in enumerate(texts["chr20"])]
    refused(
        HEADER + "".join(other) + row, "REF differs from the genome at 300 of 301 alleles: a VCF of another assembly"
    )
    refused(HEADER + row.replace("20", "X", 1), "none of its chromosomes")
    refused(HEADER, "has no records")
    refused(HEADER + row + "20\t1\n", "line 8: has 2 columns")
    refused(HEADER + row, "no feature 'GATA1'", features=["GATA1"])
    refused(HEADER + row, "cannot be shifted", shifts=[6])
    refused(HEADER + row, "background_size", background=folder / "v.vcf", background_size=0)
    refused(HEADER + row, "no such file", background=tmp_path / "none.vcf")
    with pytest.raises(InputError, match="has no ending"):
        score_variants(scorer, folder / "v.vcf", genome, tmp_path / "o.txt")
    (tmp_path / "v.vcf").write_text(HEADER + row + "20\t1\n")
    scores = score_variants(scorer, tmp_path / "v.vcf", genome, out, skip_invalid=True)
    assert scores.invalid == 1
    assert pl.read_csv(scores.skipped_file, separator="\t").select("line", "reason").row(0) == (
        8,
        "has 2 columns, expected 10 as in the #CHROM line, separated by tabs",
    )
    with pytest.raises(InputError, match="exists already"):
        score_variants(scorer, folder / "v.vcf", genome, out)
    content = gzip.compress((HEADER + row * 5000).encode())
    (tmp_path / "cut.vcf.gz").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="gzip ends early"):
        score_variants(scorer, tmp_path / "cut.vcf.gz", genome, tmp_path / "p.tsv")
