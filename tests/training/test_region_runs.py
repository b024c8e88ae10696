"""Networks on promoters and pCREs: trained, resumed, compared, and read from published files."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from regulome.catalog import predict
from regulome.datasets import RegionBatches
from regulome.errors import InputError
from regulome.explain import explain
from regulome.models.registry import inputs_of
from regulome.recipes import list_recipes
from regulome.training import compare, evaluate, open_run, prediction_table, train
from regulome.training import fit as fit_module

from .contact_world import MARKS, SPLIT, TINY, WIDTHS, WINDOW, make_contacts


@pytest.fixture(scope="module")
def contacts(tmp_path_factory):
    return make_contacts(tmp_path_factory.mktemp("contacts") / "data")


@pytest.fixture(scope="module")
def run(contacts, tmp_path_factory):
    return train("chromoformer", contacts, tmp_path_factory.mktemp("run") / "run", **SPLIT, device="cpu", set=TINY)


def test_what_pcres_do_is_learned_and_promoters_alone_do_not_tell(contacts, run, tmp_path):
    assert run.metrics()["auroc"]["value"] > 0.9
    alone = train("logistic-regression", contacts, tmp_path / "alone", **SPLIT, device="cpu")
    assert alone.info.bins == WINDOW // 100
    assert alone.metrics()["auroc"]["value"] < 0.75
    found = compare([run.path, alone.path])
    assert found is not None
    without = train(
        "chromoformer", contacts, tmp_path / "without", **SPLIT, device="cpu", set=TINY | {"input.pcres": 0}
    )
    assert without.metrics()["auroc"]["value"] < 0.75


def test_a_run_is_opened_with_all_that_it_saw(contacts, run):
    stored = open_run(run.path)
    assert (stored.info.marks, stored.info.resolutions, stored.info.span) == (MARKS, list(WIDTHS), WINDOW)
    assert (stored.info.bins, stored.info.bin_size, stored.info.pcres) == (8, 100, -1)
    again = prediction_table(stored, contacts, split="all", batch_size=7)
    known = dict(zip(run.predictions()["id"], run.predictions()["expression"], strict=True))
    found = dict(zip(again["id"], again["expression"], strict=True))
    assert max(abs(found[name] - value) for name, value in known.items()) < 1e-5
    assert evaluate(stored, contacts)["auroc"]["value"] == pytest.approx(run.metrics()["auroc"]["value"])
    (model,) = stored.models()
    (batch,) = RegionBatches(contacts, batch_size=len(contacts))
    with torch.no_grad():
        np.testing.assert_allclose(torch.sigmoid(model(batch.inputs))[:, 0], again["expression"], atol=1e-5)


def test_a_part_of_a_dataset_is_seen_again_by_name(contacts, tmp_path):
    seen = {"input.marks": ["B", "A"], "input.resolutions": [100], "input.window": 400, "input.pcres": 2}
    settings = TINY | seen | {"training.epochs": 1, "training.precision": "bf16-mixed"}
    some = train("chromoformer", contacts, tmp_path / "some", **SPLIT, device="cpu", set=settings)
    assert (some.info.marks, some.info.resolutions, some.info.bins, some.info.pcres) == (["B", "A"], [100], 4, 2)
    (model,) = open_run(some.path).models()
    (batch,) = RegionBatches(contacts, batch_size=999, marks=["B", "A"], resolutions=[100], window=400, top=2)
    with torch.no_grad():
        expected = torch.sigmoid(model(batch.inputs))[:, 0]
    np.testing.assert_allclose(prediction_table(some, contacts, split="all")["expression"], expected, atol=1e-6)


def test_values_and_ensembles_and_a_resumed_run_is_the_same(tmp_path, monkeypatch):
    data = make_contacts(tmp_path / "data", task="regression")
    options = {"device": "cpu", "ensemble": 2, "set": TINY | {"training.epochs": 2}, **SPLIT}
    whole = train("chromoformer-regression", data, tmp_path / "whole", **options)
    assert "pearson" in whole.metrics()
    steps, original = 0, fit_module.Schedule.rate

    def rate(self, step, samples):
        nonlocal steps
        steps += 1
        if steps > 17:
            raise KeyboardInterrupt
        return original(self, step, samples)

    monkeypatch.setattr(fit_module.Schedule, "rate", rate)
    options["set"] = options["set"] | {"training.checkpoint_minutes": 0.0}
    with pytest.raises(KeyboardInterrupt):
        train("chromoformer-regression", data, tmp_path / "cut", **options)
    monkeypatch.undo()
    cut = train("chromoformer-regression", data, tmp_path / "cut", resume=True, **options)
    for member in range(2):
        first, second = (load_file(r.path / f"member-{member}" / "weights.safetensors") for r in (whole, cut))
        assert all(torch.equal(value, second[name]) for name, value in first.items())
    assert whole.predictions().equals(cut.predictions())


def test_weights_without_a_run_predict_the_same(contacts, run, tmp_path):
    (model,) = run.models()
    torch.save({"net": model.network.state_dict(), "epoch": 7}, tmp_path / "checkpoint.pt")
    found = predict(tmp_path / "checkpoint.pt", contacts, "all", device="cpu")
    np.testing.assert_allclose(
        found["expression"], prediction_table(run, contacts, split="all")["expression"], atol=1e-6
    )


def test_refused_before_any_work(contacts, run, world, tmp_path):
    with pytest.raises(InputError, match=r"has no distal regions.*regulome prepare contacts"):
        train("chromoformer", world, tmp_path / "run", **SPLIT, device="cpu")
    with pytest.raises(InputError, match=r"has no distal regions.*regulome prepare contacts"):
        prediction_table(run, world)
    for setting, message in (
        ({"input.marks": ["A", "Z"]}, "there is no mark 'Z'"),
        ({"input.resolutions": [50]}, "has no bins of 50 bp"),
        ({"input.window": 1600}, "cannot be cut out of windows of 800"),
        ({"input.bin": 200}, r"input\.bin = 200 does not go with chromoformer"),
        ({"input.scale": "standard"}, r"input\.scale = standard does not go with chromoformer"),
        ({"model.hyperparameters.resolutions": [100]}, "follows from the dataset"),
    ):
        with pytest.raises(InputError, match=message):
            train("chromoformer", contacts, tmp_path / "run", **SPLIT, device="cpu", set=TINY | setting)
    with pytest.raises(InputError, match="reads distal regions too"):
        explain("gradient", run, out=tmp_path / "maps", device="cpu")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", [r.name for r in list_recipes() if inputs_of(r.model.name) == "regions"])
def test_every_recipe_trains(name, contacts, tmp_path):
    run = train(name, contacts, tmp_path / "run", **SPLIT, device="cpu", set=TINY | {"training.epochs": 1})
    assert run.info.recipe == name
    assert run.metrics()["n"] == (run.splits["split"] == "test").sum()
