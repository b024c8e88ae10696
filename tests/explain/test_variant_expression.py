"""A variant's way through the marks to expression: in closed form, and in a world with planted motifs."""

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn

from regulome import explain
from regulome.cli.variants import command
from regulome.datasets import open_dataset, prepare_expression, write_dataset
from regulome.datasets import simulated_sequence_files as files
from regulome.datasets.simulated_genome import make_genome
from regulome.datasets.simulated_motifs import SINGLE
from regulome.datasets.simulated_variants import make_variants
from regulome.errors import InputError
from regulome.explain import expression_effects, variant_expression
from regulome.genome.letters import encode, reverse_complement
from regulome.models.linear import LinearBaseline
from regulome.models.preprocess import Predictor, Preprocess
from regulome.training import train
from regulome.training.runs import Run, RunInfo
from regulome.training.scorer import Scorer

NAMES = ["HepG2|H3K4me3|None", "K562 CTCF", "HepG2|DNase|None"]
STORED, MARKS = ("dnase", "H3K9me3", "H3K4me3"), ("H3K4me3", "DNase", "H3K9me3")
BIN, BINS = 5, 28
PSEUDO, MOST = 0.02, 1.5
HEADER = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"


class Weights(nn.Module):
    """Logit k = Σ over positions of weight[k, position, letter]."""

    def __init__(self, weight):
        super().__init__()
        self.register_buffer("weight", torch.as_tensor(weight, dtype=torch.float32))

    def forward(self, codes):
        onehot = nn.functional.one_hot(codes.long(), 5)[:, :, :4].float()
        return torch.einsum("blp,klp->bk", onehot, self.weight)


class LinearRun(Run):
    """A run of the line expression with weights made on the spot, that needs no folder."""

    def models(self, device="cpu"):
        generator = torch.Generator().manual_seed(len(self.info.members))
        members = []
        for _ in self.info.members:
            network = LinearBaseline(len(self.info.marks), self.info.bins, task=self.info.task)
            network.pour(torch.randn(len(self.info.marks) * self.info.bins, generator=generator) * 0.2, -0.3)
            members.append(Predictor(Preprocess(len(self.info.marks)), network).to(device).eval())
        return members


def linear_run(folder, task, bins, bin_size, members=2, line="expression"):
    about = {"recipe": "x", "model": "logistic-regression", "line": line, "task": task, "target_names": ["expression"]}
    info = RunInfo(**about, marks=list(MARKS), bins=bins, bin_size=bin_size, members=list(range(members)))
    return LinearRun(folder, info, SimpleNamespace(input=SimpleNamespace(orient=True)))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A genome of two chromosomes, variants of all kinds, and genes on both strands whose windows overlap."""
    folder = tmp_path_factory.mktemp("world")
    rng = np.random.default_rng(3)
    texts = {name: "".join(rng.choice(list("ACGT"), size)) for name, size in (("chr1", 700), ("chr2", 260))}
    (folder / "g.fa").write_text("".join(f">{name}\n{text}\n" for name, text in texts.items()))
    sites = {"1": [40, 41, 120, 125, 300], "2": [60, 250]}
    table = [(name, tss) for name, places in sites.items() for tss in places]
    regions = pl.DataFrame(
        {
            "id": [f"G{i}" for i in range(len(table))],
            "chrom": [name for name, _ in table],
            "start": [tss - BIN * BINS // 2 for _, tss in table],
            "end": [tss + BIN * BINS // 2 for _, tss in table],
            "strand": ["+-"[i % 2] for i in range(len(table))],
        }
    )
    for name, unknown in (("data", False), ("nowhere", True)):
        if unknown:
            regions = regions.with_columns(chrom=pl.lit("."), start=pl.lit(-1), end=pl.lit(-1))
        with write_dataset(folder / name, line="expression", task="unlabelled", regions=regions) as writer:
            array = writer.add_input(
                "marks",
                axes=["example", "mark", "bin"],
                shape=(len(table), 3, BINS),
                dtype="float32",
                mark=list(STORED),
                bin_size=BIN,
            )
            array[:] = np.random.default_rng(4).gamma(1, 2, array.shape)
    (folder / "genes.bed").write_text(
        "".join(f"chr{n}\t{tss}\t{tss + 1}\tG{i}\t0\t{'+-'[i % 2]}\n" for i, (n, tss) in enumerate(table))
    )
    rows = []
    for i in range(60):
        name = "chr1" if i < 40 else "chr2"
        position = int(rng.integers(0, len(texts[name]) - 5))
        ref = texts[name][position : position + (1 if i % 3 else int(rng.integers(1, 5)))]
        alts = ["".join(rng.choice(list("ACGT"), 1 if i % 3 == 1 else rng.integers(1, 5))) for _ in range(1 + i % 2)]
        rows.append((name, position, ref, alts))
    lines = [
        f"{name}\t{position + 1}\tid{i}\t{ref}\t{','.join(alts)}\t.\t.\t.\n"
        for i, (name, position, ref, alts) in enumerate(rows)
    ]
    (folder / "v.vcf").write_text(HEADER + "".join(lines))
    return folder, texts, rows, table


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def expected(world, run, weight, length, crop, floor):
    """(record, allele, gene) → its row: strings, one window and one gene at a time."""
    folder, texts, rows, table = world
    stored = open_dataset(folder / "data").inputs["marks"][:, [2, 0, 1]].astype(np.float64)
    bins, width = run.info.bins, run.info.bin_size
    seen = stored[:, :, crop : BINS - crop].reshape(len(table), 3, bins, -1).mean(3)
    linear = [model.network.linear for model in run.models()]
    points = -(-2 * width // length)

    def answer(text, begin):
        padded = "N" * 200 + text + "N" * 200
        codes = encode(padded[200 + begin : 200 + begin + length])
        both = [
            sum(weight[:, i, c] for i, c in enumerate(x) if c < 4) + np.zeros(3)
            for x in (codes, reverse_complement(codes))
        ]
        return sigmoid(np.array(both)).mean(0)[[0, 2]]

    def predict(gene, marks):
        marks = marks[:, ::-1] if gene % 2 else marks
        flat = marks.reshape(-1)
        values = np.array([m.weight.detach().double().numpy()[0] @ flat + m.bias.item() for m in linear])
        return sigmoid(values).mean() if run.info.task == "classification" else values.mean()

    found = {}
    for i, (name, position, ref, alts) in enumerate(rows):
        for number, alt in enumerate(alts, 1):
            old, new, start = ref, alt, position
            if old == new:
                continue
            while old and new and old[-1] == new[-1]:
                old, new = old[:-1], new[:-1]
            while old and new and old[0] == new[0]:
                old, new, start = old[1:], new[1:], start + 1
            text = texts[name]
            changed = text[:start] + new + text[start + len(old) :]
            for gene, (other, tss) in enumerate(table):
                if f"chr{other}" != name:
                    continue
                factor, peak, reaches = np.ones((3, bins)), {}, False
                for b in range(bins):
                    pairs, hit = [], False
                    for p in range(points):
                        j = b * points + p
                        centre = tss - bins * width // 2 + (2 * j + 1) * width // (2 * points)
                        begin = centre - length // 2
                        right = begin + length // 2 >= start + len(old) // 2
                        pairs.append((answer(text, begin), answer(changed, begin + right * (len(new) - len(old)))))
                        hit |= begin < start + len(old) and start < begin + length
                    if not hit:
                        continue
                    reaches = True
                    before, after = np.mean(pairs, 0)
                    factor[:2, b] = np.clip((after + PSEUDO) / (before + PSEUDO), 1 / MOST, MOST)
                    for k, mark in enumerate(MARKS[:2]):
                        if mark not in peak or abs(after[k] - before[k]) > abs(peak[mark][1] - peak[mark][0]) + 1e-9:
                            away = (b * width + width // 2 - bins * width // 2) * (-1 if gene % 2 else 1)
                            peak[mark] = (before[k], after[k], away, factor[k, b])
                if reaches:
                    base = np.where(factor > 1, np.maximum(seen[gene], floor * seen.mean((0, 2))[:, None]), seen[gene])
                    after = seen[gene] + base * (factor - 1)
                    told = {"change": (after - seen[gene]).sum(1), "peak": peak}
                    told |= {"ref": predict(gene, seen[gene]), "alt": predict(gene, after)}
                    told["distance"] = (start - tss) * (-1 if gene % 2 else 1)
                    found[f"id{i}", number, f"G{gene}"] = told
    return found


def scorer_of(length):
    weight = np.random.default_rng(length).normal(size=(3, length, 4)) * 0.7
    return Scorer([Weights(weight)], length=length, target_names=NAMES, batch_size=50), weight


@pytest.mark.parametrize(
    ("task", "length", "bins", "bin_size", "crop", "floor"),
    [("classification", 12, 28, 5, 0, 0), ("classification", 13, 8, 10, 6, 1.5), ("regression", 9, 4, 25, 4, 0)],
    ids=["narrow-bins", "part-of-the-bins", "bins-wider-than-windows"],
)
def test_linear_chain_in_closed_form(world, tmp_path, task, length, bins, bin_size, crop, floor, monkeypatch):
    # Blocks of a few pairs, so that seams are crossed.
    monkeypatch.setattr(variant_expression, "_RECORDS", 17)
    monkeypatch.setattr(variant_expression, "_BYTES", 20_000)
    folder = world[0]
    run = linear_run(folder, task, bins, bin_size)
    scorer, weight = scorer_of(length)
    out = tmp_path / "o.parquet"
    scores = expression_effects(
        scorer, run, folder / "v.vcf", folder / "g.fa", out,
        dataset=folder / "data", pseudo=PSEUDO, max_ratio=MOST, floor=floor,
    )  # fmt: skip
    truth = expected(world, run, weight, length, crop, floor)
    table = pl.read_parquet(out)
    assert sorted(table.select("id", "allele", "gene").iter_rows()) == sorted(truth)
    assert scores.pairs == len(truth)
    assert scores.marks == {"H3K4me3": [NAMES[0]], "DNase": [NAMES[2]]}
    assert scores.scored == table.select("id", "allele").unique().height
    assert scores.genes == table["gene"].n_unique()
    for row in table.iter_rows(named=True):
        told = truth[row["id"], row["allele"], row["gene"]]
        assert row["tss_distance"] == told["distance"]
        for k, mark in enumerate(MARKS[:2]):
            ref, alt, _, ratio = told["peak"][mark]
            found = [row[f"{mark}_{what}"] for what in ("ref", "alt", "ratio")]
            assert abs(found[1] - found[0]) == pytest.approx(abs(alt - ref), abs=1e-5)
            if abs(alt - ref) > 1e-3:
                assert found == pytest.approx([ref, alt, ratio], abs=1e-5)
                assert row[f"{mark}_distance"] == told["peak"][mark][2]
            assert row[f"{mark}_change"] == pytest.approx(told["change"][k], abs=1e-4)
        assert row["expression_ref"] == pytest.approx(told["ref"], abs=1e-5)
        assert row["expression_alt"] == pytest.approx(told["alt"], abs=1e-5)
        assert row["expression_change"] == pytest.approx(told["alt"] - told["ref"], abs=1e-5)
        if task == "classification":
            odds = np.log(told["alt"] / (1 - told["alt"])) - np.log(told["ref"] / (1 - told["ref"]))
            assert row["expression_log_odds"] == pytest.approx(odds, abs=1e-4)
    assert ("expression_log_odds" in table.columns) == (task == "classification")
    assert table["expression_change"].max() - table["expression_change"].min() > 0.05
    skipped = pl.read_csv(f"{out}.skipped.tsv", separator="\t")
    assert len(skipped) == scores.alleles - scores.scored == sum(scores.skipped.values())
    assert set(skipped["reason"]) == set(scores.skipped) >= {"no gene within reach"}
    both = pl.concat([skipped.select("id", "allele"), table.select("id", "allele").unique()])
    assert both.n_unique() == len(both) == scores.alleles


def test_start_sites_of_a_dataset_without_places(world, tmp_path, caplog):
    caplog.set_level("INFO")
    folder = world[0]
    run, scorer = linear_run(folder, "classification", 28, 5), scorer_of(12)[0]
    what = (scorer, run, folder / "v.vcf", folder / "g.fa")
    expression_effects(*what, tmp_path / "a.tsv", dataset=folder / "data")
    expression_effects(*what, tmp_path / "b.tsv", dataset=folder / "nowhere", genes=folder / "genes.bed")
    assert (tmp_path / "a.tsv").read_text() == (tmp_path / "b.tsv").read_text()
    assert "7 of 7 genes have a start site in genes.bed" in caplog.text
    assert "marks that no feature stands for stay as they were observed: H3K9me3" in caplog.text
    assert "the mark DNase follows HepG2|DNase|None" in caplog.text
    assert "no gene within reach; listed in" in caplog.text
    (tmp_path / "some.bed").write_text("chr2\t60\t61\tG5\t0\t-\n")
    some = expression_effects(*what, tmp_path / "c.tsv", dataset=folder / "data", genes=tmp_path / "some.bed")
    assert some.genes == 1
    (tmp_path / "none.bed").write_text("chr2\t60\t61\tother\t0\t-\n")
    with pytest.raises(InputError, match="shares no gene with data: its ids look like 'other'"):
        expression_effects(*what, tmp_path / "d.tsv", dataset=folder / "data", genes=tmp_path / "none.bed")
    with pytest.raises(InputError, match=r"does not know where its genes lie.*--genes"):
        expression_effects(*what, tmp_path / "d.tsv", dataset=folder / "nowhere")


def test_what_cannot_be_is_told_in_a_line(world, tmp_path):
    folder = world[0]
    run, scorer = linear_run(folder, "classification", 28, 5), scorer_of(12)[0]

    def chain(run=run, scorer=scorer, genome="g.fa", vcf=folder / "v.vcf", name="o.tsv", **settings):
        data = {"dataset": folder / "data"} | settings
        return expression_effects(scorer, run, vcf, tmp_path / genome, tmp_path / name, **data)

    for name, text in (("g.fa", (folder / "g.fa").read_text()), ("x.fa", ">chrX\n" + "ACGT" * 200 + "\n")):
        (tmp_path / name).write_text(text)
    (tmp_path / "s.fa").write_text(
        (folder / "g.fa").read_text().replace("chr2", "chr7") + ">chr2\n" + "ACGT" * 20 + "\n"
    )
    (tmp_path / "x.vcf").write_text(HEADER + "chrX\t101\t.\tA\tC\t.\t.\t.\n")
    (tmp_path / "one.vcf").write_text(HEADER + f"chr1\t101\t.\t{world[1]['chr1'][100]}\t<DEL>\t.\t.\t.\n")
    with pytest.raises(InputError, match=r"v\.vcf.*none of its chromosomes \(chr1, chr2\) is in the genome \(chrX\)"):
        chain(genome="x.fa")
    with pytest.raises(InputError, match=r"x\.fa.*none of its chromosomes \(chrX\) is among those of the windows"):
        chain(genome="x.fa", vcf=tmp_path / "x.vcf")
    with pytest.raises(InputError, match=r"beyond the chromosome's end at 80.*same genome assembly"):
        chain(genome="s.fa", vcf=tmp_path / "one.vcf")
    with pytest.raises(InputError, match="line 'sequence', which predicts no expression"):
        chain(run=linear_run(folder, "classification", 28, 5, line="sequence"))
    with pytest.raises(InputError, match="line 'expression', which does not read DNA"):
        chain(scorer=run)
    with pytest.raises(InputError, match="has no ending"):
        chain(name="o.vcf")
    with pytest.raises(InputError, match="the expression run has no mark 'H3K27ac'"):
        chain(marks={"H3K27ac": "K562 CTCF"})
    with pytest.raises(InputError, match="the run has no feature 'MYC'"):
        chain(marks={"H3K9me3": "MYC"})
    for name, value in (("pseudo", -1), ("floor", -1), ("max_ratio", 0.5)):
        with pytest.raises(InputError, match=f"{name}.*{value}"):
            chain(**{name: value})
    several = Scorer(scorer.models, length=12, target_names=["HepG2|DNase", "K562|DNase", "MYC"])
    with pytest.raises(InputError, match=r"DNase could be any of 2 features.*--marks DNase=HepG2\|DNase"):
        chain(scorer=several)
    others = Scorer(scorer.models, length=12, target_names=["CTCF", "MYC", "REST"])
    with pytest.raises(InputError, match=r"no feature of the sequence run.*--marks H3K4me3=CTCF"):
        chain(scorer=others)
    assert chain(scorer=several, marks={"dnase": "*DNase"}).marks == {"DNase": ["HepG2|DNase", "K562|DNase"]}
    nothing = chain(vcf=tmp_path / "one.vcf", name="none.tsv")
    assert (nothing.pairs, nothing.skipped) == (0, {"symbolic allele": 1})
    assert pl.read_csv(tmp_path / "none.tsv", separator="\t").height == 0
    with pytest.raises(InputError, match="--marks: only with --expression"):
        command(folder, folder, folder, folder, marks="A=B")
    with pytest.raises(InputError, match="do not go with --expression"):
        command(folder, folder, folder, folder, expression=folder, shifts="0,1")


def test_the_verb_hands_everything_on(tmp_path, monkeypatch, capsys):
    seen = []
    monkeypatch.setattr(
        explain,
        "expression_effects",
        lambda *given, **settings: seen.append((given, settings)) or SimpleNamespace(out=given[4]),
        raising=False,
    )
    run, vcf, genome, out, genes = (tmp_path / name for name in ("run", "v.vcf", "g.fa", "o.tsv", "genes"))
    settings = {"dataset": tmp_path, "genes": vcf, "floor": 1.0, "pseudo": 0.1, "max_ratio": 5.0, "batch_size": 7}
    command(run, vcf, genome, out, expression=genes, marks="H3K4me3=A, DNase=B*", features="x,y", **settings)
    (given, told), *_ = seen
    assert given == (run, genes, vcf, genome, out)
    assert told["marks"] == {"H3K4me3": "A", "DNase": "B*"}
    assert told["features"] == ["x", "y"]
    assert {name: told[name] for name in settings} == settings
    assert capsys.readouterr().out == f"{out}\n"


class Scanner(nn.Module):
    """Logit k: how far the best match of motif k on either strand is above its threshold, in bits."""

    def __init__(self, motifs):
        super().__init__()
        self.motifs = motifs
        for i, motif in enumerate(motifs):
            both = np.stack([motif.scores[:, :4], motif.scores[::-1, 3::-1]])
            self.register_buffer(f"m{i}", torch.tensor(both, dtype=torch.float32).transpose(1, 2))

    def forward(self, codes):
        onehot = nn.functional.one_hot(codes.long(), 5)[:, :, :4].float().transpose(1, 2)
        best = [
            nn.functional.conv1d(onehot, getattr(self, f"m{i}")).amax((1, 2)) - motif.threshold
            for i, motif in enumerate(self.motifs)
        ]
        return torch.stack(best, 1) + 1


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory):
    """A genome with planted motifs; genes that are expressed where GATA1 has a peak near their start, never by MYC."""
    folder = tmp_path_factory.mktemp("shared")
    genome = make_genome(400_000, 1)
    files.write_genome(folder / "genome.fa", genome)
    files.write_peaks(folder, genome, 1)
    variants = make_variants(genome, 1)
    files.write_vcf(folder / "variants.vcf", genome, variants)
    rng = np.random.default_rng(0)
    sites = genome.sites.filter(pl.col("kind") == "site")
    genes, levels = [], []
    for name, size in genome.sizes.items():
        here = sites.filter((pl.col("chrom") == name) & (pl.col("feature") == "GATA1"))["start"].to_numpy()
        for tss in range(5_000, size // 2 - 5_000, 1_500):
            genes.append((name, tss, tss + 1, f"{name}.{tss}", 0, rng.choice(["+", "-"])))
            levels.append((np.abs(here - tss) < 500).sum() + rng.random() / 4)
    pl.DataFrame(genes, orient="row").write_csv(folder / "genes.bed", separator="\t", include_header=False)
    ids = [gene[3] for gene in genes]
    pl.DataFrame({"gene": ids, "cell": levels}).write_csv(folder / "levels.tsv", separator="\t")
    tracks = {name: folder / f"{name}.narrowPeak.gz" for name in ("GATA1", "MYC")}
    data = prepare_expression(
        folder / "genes.bed", folder / "levels.tsv", "cell", tracks, folder / "data",
        window=2_000, bin=100, target="raw", statistic="presence",
    )  # fmt: skip
    split = {"test_chromosomes": ["chr4"], "valid_chromosomes": ["chr5"], "device": "cpu"}
    run = train("logistic-regression", data, folder / "run", **split)
    return folder, variants, genes, run


def test_broken_motifs_near_genes_lower_their_expression(shared_world, tmp_path):
    folder, variants, genes, run = shared_world
    motifs = [motif for motif in SINGLE if motif.name in ("GATA1", "MYC")]
    scorer = Scorer([Scanner(motifs)], length=200, target_names=["K562.GATA1", "K562.MYC"])
    expression_effects(scorer, run, folder / "variants.vcf", folder / "genome.fa", tmp_path / "o.parquet")
    table = pl.read_parquet(tmp_path / "o.parquet").join(variants.select("id", "kind", "feature"), on="id")
    near = table.filter(pl.col("tss_distance").abs() < 400)
    broken = near.filter((pl.col("kind") == "broken") & (pl.col("feature") == "GATA1"))
    assert len(broken) >= 5
    assert (broken["expression_change"] < -0.1).all()
    assert (broken["GATA1_ratio"] < 0.8).all()
    # The motif of the other feature is broken as surely, but expression does not hang on it.
    other = near.filter((pl.col("kind") == "broken") & (pl.col("feature") == "MYC"))
    assert len(other) >= 5
    assert (other["MYC_change"] < 0).all()
    assert other["expression_change"].abs().mean() < broken["expression_change"].abs().mean() / 4
    # What is made where nothing was observed counts from the floor on.
    made = near.filter((pl.col("kind") == "made") & (pl.col("feature") == "GATA1"))
    assert (made["GATA1_ratio"] > 2).all()
    assert (made["GATA1_change"] == 0).all()
    out = tmp_path / "f.parquet"
    expression_effects(scorer, run, folder / "variants.vcf", folder / "genome.fa", out, floor=1)
    gained = made.select("id", "gene").join(pl.read_parquet(out), on=["id", "gene"])
    assert len(gained) >= 3
    assert (gained["expression_change"] > 0.01).all()
    neutral = table.filter(pl.col("kind") == "neutral")
    assert neutral["expression_change"].abs().mean() < broken["expression_change"].abs().mean() / 10
    # Half of each chromosome has no genes: nothing is said of expression there.
    skipped = pl.read_csv(tmp_path / "o.parquet.skipped.tsv", separator="\t")
    starts = {name: [gene[1] for gene in genes if gene[0] == name] for name, *_ in genes}
    reach = 1_000 + 100
    far = [
        row["id"]
        for row in variants.iter_rows(named=True)
        if min(abs(row["pos"] - tss) for tss in starts[row["chrom"]]) > reach + 10
    ]
    assert len(far) > 50
    assert set(far) <= set(skipped.filter(reason="no gene within reach")["id"])
    assert not set(table["id"]) & set(far)
