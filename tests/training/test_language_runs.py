"""Runs of the line of texts, from recipe to metrics."""

import logging
import math

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional as F

from regulome.datasets import open_dataset
from regulome.datasets.build_language import prepare_language
from regulome.datasets.language_batches import LanguageBatches
from regulome.errors import InputError
from regulome.recipes.load import load_recipe
from regulome.training import compare, evaluate, fit, open_run, prediction_table, train
from regulome.training.build import build_predictor
from regulome.training.state import load_checkpoint

RECORDS = {"one": 2600, "two": 60, "three": 1340}
#: A network that trains in a moment.
TINY = {
    "model.hyperparameters.hidden": 8,
    "model.hyperparameters.embedding": 4,
    "training.batch_size": 8,
    "training.epochs": 3,
    "training.learning_rate": 0.01,
}


@pytest.fixture(scope="module")
def letters():
    """Records in which A is mostly followed by C, and C by G."""
    rng = np.random.default_rng(5)
    after = np.array([[1, 8, 1, 1], [1, 1, 8, 1], [1, 1, 1, 1], [2, 1, 1, 2]])
    records = {}
    for name, length in RECORDS.items():
        codes = [0]
        for _ in range(length - 1):
            p = after[codes[-1]]
            codes.append(int(rng.choice(4, p=p / p.sum())))
        records[name] = "".join("ACGT"[code] for code in codes)
    return records


@pytest.fixture(scope="module")
def text(letters, tmp_path_factory):
    folder = tmp_path_factory.mktemp("text")
    (folder / "genome.fa").write_text("".join(f">{name}\n{record}\n" for name, record in letters.items()))
    return prepare_language([folder / "genome.fa"], folder / "data", length=20, block=60, validation=0.1)


@pytest.fixture(scope="module")
def run(text, tmp_path_factory):
    return train("char-gru", text, tmp_path_factory.mktemp("run") / "run", set=TINY, device="cpu")


@pytest.fixture(scope="module")
def other(text, tmp_path_factory):
    out = tmp_path_factory.mktemp("other") / "other"
    return train("char-rnn", text, out, set={**TINY, "training.epochs": 1}, device="cpu")


def block_losses(models, letters, table):
    """Loss of every letter of some blocks in nats, each block read in one piece from the letters of its record."""
    losses = []
    for chrom, start, end in table.select("chrom", "start", "end").iter_rows():
        first = max(0, start - 1000)
        codes = torch.tensor([["ACGT".index(letter) for letter in letters[chrom][first:end]]], dtype=torch.uint8)
        with torch.no_grad():
            p = torch.stack([F.softmax(model(codes[:, :-1])[0][0], 1) for model in models]).mean(0)
        nats = F.nll_loss(p.log(), codes[0, 1:].long(), reduction="none")
        losses.append(nats[max(start, 1) - first - 1 :].numpy())
    return losses


def test_perplexity_is_exp_of_the_mean_loss_over_held_out_letters(run, text, letters):
    table = run.predictions()
    test = table.filter(table["split"] == "test")
    assert table.columns == [
        "chrom",
        "start",
        "end",
        "strand",
        "id",
        "split",
        "letters",
        "bits",
        "perplexity",
        "accuracy",
    ]
    losses = block_losses(run.models(), letters, test)
    metrics = run.metrics()
    assert metrics["n"] == test.height == len(losses)
    # The last tenth of the text, in its one record.
    assert metrics["letters"] == sum(map(len, losses)) == 400
    mean = float(np.concatenate(losses).mean())
    assert metrics["perplexity"]["value"] == pytest.approx(math.exp(mean), rel=1e-5)
    assert metrics["bits_per_base"]["value"] == pytest.approx(mean / math.log(2), rel=1e-5)
    assert test["bits"].to_list() == pytest.approx([block.mean() / math.log(2) for block in losses], rel=1e-4)
    assert metrics["perplexity"]["low"] < metrics["perplexity"]["value"] < metrics["perplexity"]["high"]
    valid = block_losses(run.models(), letters, table.filter(table["split"] == "valid"))
    best = run.history()["valid_loss"].min()
    assert best == pytest.approx(float(np.concatenate(valid).mean()), rel=1e-5)
    assert evaluate(run) == metrics


def test_it_learns_and_says_so(run, caplog):
    assert run.info.task == "next-letter"
    assert (run.info.line, run.info.target_names, run.info.length) == ("language", [], 20)
    history = run.history()
    assert history["valid_loss"][-1] < history["valid_loss"][0] < math.log(4.2)
    assert history["valid_auroc"].null_count() == history["valid_pearson"].null_count() == len(history)


def test_the_end_of_training_is_told_as_perplexity(text, tmp_path, caplog):
    with caplog.at_level(logging.INFO, "regulome"):
        run = train("char-lstm", text, tmp_path / "run", set={**TINY, "training.epochs": 1}, device="cpu", ensemble=2)
    value = run.metrics()["perplexity"]["value"]
    assert f"test perplexity {value:.3f} (95 % interval " in caplog.text
    assert f"4,000 letters in {len(text)} blocks · train " in caplog.text
    assert "overlapping windows" not in caplog.text
    assert " perplexity 4." in caplog.text or " perplexity 3." in caplog.text
    assert len(run.models()) == 2
    # Members average probabilities, not their logarithms.
    alone = [evaluate_alone(run, text, model) for model in run.models()]
    assert value < np.exp(np.mean(np.log(alone)))


def evaluate_alone(run, text, model):
    from regulome.training.text_scores import block_bits

    found = block_bits([model], text, np.flatnonzero(text.regions["split"] == "test"))
    return 2 ** (found.bits.sum() / found.letters.sum())


def test_every_letter_of_every_part_can_be_scored_but_a_records_first(run, text, letters):
    table = prediction_table(run, split="all", device="cpu")
    assert table["letters"].sum() == sum(RECORDS.values()) - len(RECORDS)
    known = run.splits
    assert table["split"].to_list() == known["split"].to_list()
    assert evaluate(run, text, split="valid")["n"] == (known["split"] == "valid").sum()


def test_a_comparison_is_paired_over_blocks(run, other):
    found = compare([run, other])
    rows = {row["metric"]: row for row in found.table.to_dicts()}
    assert list(rows) == ["perplexity", "bits_per_base", "accuracy"]
    a, b = run.metrics(), other.metrics()
    for name, row in rows.items():
        assert row["difference"] == pytest.approx(a[name]["value"] - b[name]["value"])
    row = rows["bits_per_base"]
    # Blocks that are hard for one are hard for the other: the difference is known better than either value.
    assert row["high"] - row["low"] < a["bits_per_base"]["high"] - a["bits_per_base"]["low"]
    assert row["better"] == "run"
    assert found.n == a["n"]


def test_the_state_is_carried_between_steps_and_errors_are_not(text, tmp_path):
    """The epochs of a run, written out by hand."""
    settings = {**TINY, "training.schedule": "constant", "training.optimizer": "sgd", "training.epochs": 2}
    settings |= {"training.gradient_clip": 0.0, "training.select": "last"}
    trained = train("char-gru", text, tmp_path / "run", set=settings, device="cpu")
    recipe = load_recipe("char-gru", settings)
    rows = np.flatnonzero(text.regions["split"] == "train")
    torch.manual_seed(0)
    network = build_predictor(recipe, text, fit_on=rows)
    optimizer = torch.optim.SGD(network.parameters(), 0.01)
    batches = LanguageBatches(text, rows, batch_size=8, seed=0)
    losses = []
    for epoch in range(2):
        batches.set_epoch(epoch)
        state, sums = None, []
        for inputs, targets, _ in batches:
            logits, state = network(inputs, state)
            state = tuple(part.detach() for part in state)
            loss = F.cross_entropy(logits.reshape(-1, 4), targets.reshape(-1).long())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            sums.append(loss.item())
        losses.append(np.mean(sums))
    assert trained.history()["train_loss"].to_list() == pytest.approx(losses, rel=1e-5)
    for name, weight in load_file(trained.path / "weights.safetensors").items():
        assert torch.allclose(weight, network.state_dict()[name], atol=1e-6), name


@pytest.mark.parametrize("carry", [True, False])
@pytest.mark.parametrize("steps", [3, 31])
def test_killed_in_the_middle_and_resumed_is_bit_identical(text, run, tmp_path, monkeypatch, carry, steps):
    settings = {**TINY, "training.checkpoint_minutes": 0.0, "input.carry_state": carry}
    settings |= {"training.epochs": 2, "model.hyperparameters.dropout": 0.2}
    whole = train("char-lstm", text, tmp_path / "whole", set=settings, device="cpu")
    taken, rate = 0, fit.Schedule.rate

    def interrupted(self, step, samples):
        nonlocal taken
        taken += 1
        if taken > steps:
            raise KeyboardInterrupt
        return rate(self, step, samples)

    with monkeypatch.context() as patch:
        patch.setattr(fit.Schedule, "rate", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train("char-lstm", text, tmp_path / "run", set=settings, device="cpu")
    saved = load_checkpoint(tmp_path / "run.partial" / "checkpoint.pt")
    per_epoch = whole.history()["step"][0]
    assert (saved["epoch"], saved["position"]) == divmod(steps, per_epoch)
    memory = saved["memory"][0]
    assert (memory is not None) == carry
    assert not carry or (len(memory[0]) > 1 and all(part.abs().max() > 0 for part in memory))
    again = train("char-lstm", text, tmp_path / "run", set=settings, device="cpu", resume=True)
    for name, weight in load_file(whole.path / "weights.safetensors").items():
        assert torch.equal(load_file(again.path / "weights.safetensors")[name], weight), name
    assert again.predictions().equals(whole.predictions())
    columns = ["epoch", "step", "train_loss", "valid_loss"]
    assert again.history()[columns].equals(whole.history()[columns])


def test_two_processes_share_the_streams_of_one(text, tmp_path):
    settings = {**TINY, "training.epochs": 2, "training.checkpoint_minutes": 0.0}
    one = train("char-gru", text, tmp_path / "one", set={**settings, "training.batch_size": 4}, device="cpu")
    two = train("char-gru", text, tmp_path / "two", set={**settings, "training.batch_size": 2}, device="cpu", devices=2)
    for name, weight in load_file(one.path / "weights.safetensors").items():
        found = load_file(two.path / "weights.safetensors")[name]
        torch.testing.assert_close(found, weight, rtol=1e-3, atol=1e-5, msg=name)
    for column in ("step", "train_loss", "valid_loss"):
        assert two.history()[column].to_list() == pytest.approx(one.history()[column].to_list(), rel=1e-4)


def test_letters_limit_the_epochs(text, tmp_path, caplog):
    train_letters = int(text.regions.filter(text.regions["split"] == "train")["letters"].sum())
    settings = {**TINY, "training.epochs": 30, "training.letters": round(2.2 * train_letters)}
    with caplog.at_level(logging.INFO, "regulome"):
        run = train("char-rnn", text, tmp_path / "run", set=settings, device="cpu")
    assert run.history().height == 2
    assert "2 epochs of 3," in caplog.text
    least = train("char-rnn", text, tmp_path / "least", set={**settings, "training.letters": 1}, device="cpu")
    assert least.history().height == 1


def test_windows_of_another_length(text, tmp_path):
    run = train("char-clockwork", text, tmp_path / "run", set={**TINY, "input.length": 40}, device="cpu")
    # Of 3,200 letters batches get smaller until an epoch has 25 steps.
    assert run.history()["step"][0] >= 25
    assert open_run(run.path).recipe.input.length == 40


def test_what_a_text_has_not_is_refused(text, world, sequences, run, tmp_path):
    for data, line in ((world, "expression"), (sequences, "sequence")):
        with pytest.raises(
            InputError, match=f"is a dataset of the line '{line}', the recipe char-gru takes 'language'"
        ):
            train("char-gru", data, tmp_path / "no")
        with pytest.raises(InputError, match=f"is a dataset of the line '{line}', the run takes 'language'"):
            evaluate(run, data)
    with pytest.raises(InputError, match="of the line 'language', the recipe deepchrome takes 'expression'"):
        train("deepchrome", text, tmp_path / "no")
    with pytest.raises(InputError, match=r"training\.select = valid_auroc is of labels: a text has none"):
        train("char-gru", text, tmp_path / "no", set={"training.select": "valid_auroc"})
    with pytest.raises(InputError, match="shorter than a window of 5,000"):
        train("char-gru", text, tmp_path / "no", set={"input.length": 5000}, device="cpu")
    assert list(tmp_path.iterdir()) == []


def test_a_run_reads_any_other_text(run, letters, tmp_path):
    (tmp_path / "other.fa").write_text(f">new\n{letters['one'][:700]}NNNN{letters['three'][:300]}\n")
    data = prepare_language([tmp_path / "other.fa"], tmp_path / "data", length=50)
    metrics = evaluate(run, open_dataset(data.path))
    assert (metrics["n"], metrics["letters"]) == (len(data), 999)
