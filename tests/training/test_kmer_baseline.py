"""The k-mer baseline on a dataset, against scikit-learn's counts and logistic regression."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from tests.training.sequence_world import make_sequences

from regulome.datasets import Dataset
from regulome.datasets.sequence_batches import SequenceBatches
from regulome.errors import InputError
from regulome.models.preprocess import Predictor
from regulome.recipes.schema import Recipe
from regulome.training import kmer_baseline
from regulome.training.build import new_predictor
from regulome.training.fit import FitJob
from regulome.training.kmer_baseline import fit_kmer


def make_job(dataset: Dataset, **changes: Any) -> FitJob:
    sections: dict[str, Any] = {
        "model": {"name": "kmer-logistic-regression", "hyperparameters": {"k_max": 3}},
        "training": {"method": "full-batch"},
        "baseline": {"costs": [0.1, 0.001]},
        **changes,
    }
    recipe = Recipe.model_validate({"name": "k", "system": "k-mers", "line": "sequence", **sections})
    rows = np.arange(len(dataset))
    return FitJob(recipe, dataset, rows[rows % 3 > 0], rows[rows % 3 == 0], seed=0, member=0, checkpoint=Path("none"))


def predictor_of(job: FitJob, weights: dict[str, torch.Tensor]) -> Predictor:
    predictor = new_predictor(
        job.recipe, task="classification", length=job.dataset.length, targets=len(job.dataset.target_names)
    )
    predictor.load_state_dict(weights)
    return predictor.eval()


def read(dataset: Dataset) -> tuple[torch.Tensor, np.ndarray]:
    (batch,) = SequenceBatches(dataset, batch_size=len(dataset))
    return batch.inputs, batch.targets.numpy()


@pytest.mark.parametrize("held", [True, False])
def test_equals_scikit_learn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: bool) -> None:
    dataset = make_sequences(tmp_path / "data", n=400, targets=3)
    monkeypatch.setattr(kmer_baseline, "_BLOCK", 100)
    monkeypatch.setattr(kmer_baseline, "fits", lambda *_: held)
    job = make_job(dataset, baseline={"costs": [0.01]})
    fitted, chosen = fit_kmer(job)
    assert chosen == {"C": 0.01}
    codes, labels = read(dataset)
    with torch.no_grad():
        ours = predictor_of(job, fitted["weights"])(codes).numpy()
    texts = ["".join("ACGTN"[code] for code in row) for row in codes.numpy()]
    words = CountVectorizer(analyzer="char", ngram_range=(1, 3), lowercase=False).fit_transform(texts).toarray()
    names = CountVectorizer(analyzer="char", ngram_range=(1, 3), lowercase=False).fit(texts).get_feature_names_out()
    words = words[:, ["N" not in name for name in names]]
    scaler = StandardScaler().fit(words[job.train])
    for target, column in enumerate(labels.T):
        model = LogisticRegression(C=0.01, tol=1e-8, max_iter=2000)
        model.fit(scaler.transform(words[job.train]), column[job.train])
        np.testing.assert_allclose(ours[:, target], model.decision_function(scaler.transform(words)), atol=2e-3)


def test_the_best_strength_is_kept(tmp_path: Path) -> None:
    job = make_job(make_sequences(tmp_path / "data", n=400, targets=2))
    fitted, chosen = fit_kmer(job)
    history = fitted["history"]
    assert [row["epoch"] for row in history] == [1, 2]
    best = max(history, key=lambda row: row["valid_auroc"])
    assert chosen == {"C": [0.001, 0.1][int(best["epoch"]) - 1]}
    codes, labels = read(job.dataset)
    with torch.no_grad():
        logits = predictor_of(job, fitted["weights"])(codes[job.valid])
    loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, torch.from_numpy(labels[job.valid]))
    assert float(loss) == pytest.approx(best["valid_loss"], abs=1e-5)


def test_validation_averages_both_strands_where_predictions_do(tmp_path: Path) -> None:
    job = make_job(make_sequences(tmp_path / "data", n=300), baseline={"costs": [0.1]}, input={"both_strands": True})
    fitted, _ = fit_kmer(job)
    codes, labels = read(job.dataset)
    codes = codes[job.valid]
    turned = torch.where(codes < 4, 3 - codes, codes).flip(1)
    predictor = predictor_of(job, fitted["weights"])
    with torch.no_grad():
        mean = (torch.sigmoid(predictor(codes)) + torch.sigmoid(predictor(turned))) / 2
    loss = torch.nn.functional.binary_cross_entropy(mean, torch.from_numpy(labels[job.valid]))
    assert float(loss) == pytest.approx(fitted["history"][0]["valid_loss"], abs=1e-5)


def test_given_strength_and_both_strands(tmp_path: Path) -> None:
    job = make_job(
        make_sequences(tmp_path / "data", n=200),
        model={"name": "kmer-logistic-regression", "hyperparameters": {"k_max": 2, "C": 0.5}},
        input={"reverse_complement": "both"},
    )
    fitted, chosen = fit_kmer(job)
    assert chosen == {"C": 0.5}
    # A base and its complement are as frequent when both strands are read.
    mean = fitted["weights"]["network.mean"]
    torch.testing.assert_close(mean[:4], mean[:4].flip(0))


def test_what_it_cannot_fit(tmp_path: Path) -> None:
    values = make_sequences(tmp_path / "values", n=60, task="regression")
    with pytest.raises(InputError, match="takes labels, not values"):
        fit_kmer(make_job(values))
    labels = make_sequences(tmp_path / "labels", n=60)
    with pytest.raises(InputError, match="full-batch cannot fit deepbind"):
        fit_kmer(make_job(labels, model={"name": "deepbind"}))
