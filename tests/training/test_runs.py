import json
import shutil

import pytest
import torch

from regulome.errors import InputError
from regulome.recipes import load_recipe
from regulome.training import open_run, train
from regulome.training.build import new_predictor
from regulome.training.runs import RunInfo, load_weights_into, read_info, save_weights


@pytest.fixture(scope="module")
def original(world, tmp_path_factory):
    settings = {"training.epochs": 1, "model.hyperparameters.hidden": [4]}
    out = tmp_path_factory.mktemp("runs") / "run"
    options = {"test_chromosomes": ["chr1"], "valid_chromosomes": ["chr2"]}
    return train("deepchrome", world, out, device="cpu", set=settings, **options)


@pytest.fixture
def folder(original, tmp_path):
    return shutil.copytree(original.path, tmp_path / "run")


def change(folder, **changes):
    content = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(content | changes))


def test_a_run_can_be_moved_and_opened_by_path_or_as_itself(folder, original):
    run = open_run(folder)
    assert open_run(run) is run
    for name, tensor in run.models()[0].state_dict().items():
        assert torch.equal(tensor, original.models()[0].state_dict()[name])
    assert not run.models()[0].training
    assert run.dataset().checksum == run.info.dataset.checksum


def test_the_record_survives_the_trip(original):
    assert RunInfo.model_validate_json(original.info.to_json()) == original.info
    assert read_info(original.path) == original.info


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: shutil.rmtree(f), "no such run"),
        (lambda f: (f / "run.json").unlink(), "is not a run: it has no run.json"),
        (lambda f: (f / "run.json").write_text("{"), "is not JSON"),
        (lambda f: change(f, format="other"), "is not the record of a run"),
        (lambda f: change(f, schema=2), "schema version 2, this release reads version 1"),
        (lambda f: change(f, bins="many"), "bins: "),
        (lambda f: change(f, status="training"), "is not finished"),
        (lambda f: (f / "recipe.toml").unlink(), "no such file"),
    ],
)
def test_what_is_no_run_is_told(folder, damage, message):
    damage(folder)
    with pytest.raises(InputError, match=message):
        open_run(folder)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "weights.safetensors").unlink(), "no such file"),
        (lambda f: (f / "weights.safetensors").write_bytes(b"\x08nonsense"), "weights cannot be read"),
        (lambda f: change(f, marks=["A", "B"]), "another architecture"),
    ],
)
def test_bad_weights_are_told(folder, damage, message):
    damage(folder)
    with pytest.raises(InputError, match=message):
        open_run(folder).models()


def test_a_dataset_that_moved_or_changed_is_told(folder, world, tmp_path):
    change(folder, dataset={"path": str(tmp_path / "gone"), "checksum": "0"})
    with pytest.raises(InputError, match=r"gone is gone \(name the dataset where it is now\)"):
        open_run(folder).dataset()
    change(folder, dataset={"path": str(world.path), "checksum": "0"})
    with pytest.raises(InputError, match="not the one it was trained on"):
        open_run(folder).dataset()
    change(folder, dataset=None)
    with pytest.raises(InputError, match="no dataset of its own"):
        open_run(folder).dataset()


def test_imported_weights_need_no_split(folder):
    (folder / "splits.parquet").unlink()
    assert open_run(folder).splits.columns == ["id", "split"]


def test_weights_survive_the_trip(tmp_path):
    recipe = load_recipe("attentivechrome")
    predictor = new_predictor(recipe, marks=2, bins=10, task="regression")
    save_weights(tmp_path / "member-1" / "w.safetensors", predictor.state_dict())
    other = new_predictor(recipe, marks=2, bins=10, task="regression")
    load_weights_into(other, tmp_path / "member-1" / "w.safetensors")
    assert all(torch.equal(a, b) for a, b in zip(predictor.parameters(), other.parameters(), strict=True))
