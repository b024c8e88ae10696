from pathlib import Path

import numpy as np
import pytest
import torch
from tests.catalog.test_sequence_weights import deepsea, run_deepsea
from tests.training.sequence_world import make_sequences

from regulome import models
from regulome.catalog import evaluate, predict
from regulome.datasets import window_codes
from regulome.errors import InputError


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.save(deepsea(positions=1), tmp_path / "deepsea.pth")
    return tmp_path / "deepsea.pth"


def test_predict_and_evaluate(weights: Path, tmp_path: Path) -> None:
    dataset = make_sequences(tmp_path / "d", n=100, length=170, targets=3)
    table = predict(weights, dataset, "all", device="cpu")
    codes = torch.from_numpy(window_codes(dataset, np.arange(100)))
    agct = torch.stack([(codes == "ACGT".index(letter)).float() for letter in "AGCT"], dim=1)
    expected = run_deepsea(deepsea(positions=1), agct[:, :, None])
    np.testing.assert_allclose(table.select(dataset.target_names), expected, rtol=1e-4, atol=1e-6)
    found = evaluate(weights, dataset, split="all", device="cpu")
    assert found["n"] == 100


def test_datasets_that_do_not_fit(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="gives 3 outputs, the dataset has 2 features"):
        predict(weights, make_sequences(tmp_path / "two", n=50, length=170, targets=2))
    with pytest.raises(InputError, match="its weights do not fit a deepsea with length 300"):
        predict(weights, make_sequences(tmp_path / "long", n=50, length=300, targets=3), "all")
    on_marks = tmp_path / "attentivechrome.pt"
    torch.save(models.create("attentivechrome", marks=3, bins=20, hidden=4).state_dict(), on_marks)
    with pytest.raises(InputError, match="attentivechrome takes marks, the dataset is of the line 'sequence'"):
        predict(on_marks, tmp_path / "two", "all")
