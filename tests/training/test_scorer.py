from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from regulome.errors import InputError
from regulome.training.runs import Run
from regulome.training.scorer import Scorer


class Letters(nn.Module):
    """Logit k = Σ over positions of weight[k, letter, position]; unknown letters count nothing."""

    def __init__(self, weight):
        super().__init__()
        self.weight = nn.Parameter(torch.as_tensor(weight, dtype=torch.float32))
        self.dropout = nn.Dropout(0.5)

    def forward(self, codes):
        assert codes.dtype == torch.uint8
        onehot = nn.functional.one_hot(codes.long(), 5)[:, :, :4].float().transpose(1, 2)
        return self.dropout(torch.einsum("blp,klp->bk", onehot, self.weight))


def logits_of(weight, codes):
    result = np.zeros((len(codes), len(weight)))
    for i, row in enumerate(codes):
        for position, letter in enumerate(row):
            if letter < 4:
                result[i] += weight[:, letter, position]
    return result


def turned(codes):
    return np.array([[{0: 3, 1: 2, 2: 1, 3: 0, 4: 4}[letter] for letter in row[::-1]] for row in codes], np.uint8)


@pytest.fixture
def parts():
    rng = np.random.default_rng(3)
    weights = [rng.normal(size=(3, 4, 20)) for _ in range(2)]
    return weights, rng.integers(0, 5, (11, 20)).astype(np.uint8)


def make(weights, **settings):
    models = [Letters(weight) for weight in weights]
    return models, Scorer(models, length=20, target_names=["a", "b", "c"], batch_size=4, **settings)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


@pytest.mark.parametrize("both_strands", [True, False])
def test_members_and_strands_are_averaged(parts, both_strands):
    weights, codes = parts
    outputs = [logits_of(w, c) for w in weights for c in ([codes, turned(codes)] if both_strands else [codes])]
    _, scorer = make(weights, both_strands=both_strands)
    mean = np.mean(sigmoid(np.array(outputs)), 0)
    np.testing.assert_allclose(scorer.probabilities(codes), mean, rtol=1e-5)
    np.testing.assert_allclose(scorer.logits(codes), np.mean(outputs, 0), atol=1e-5)
    np.testing.assert_allclose(scorer.log_odds(codes), np.log(mean / (1 - mean)), atol=2e-5)
    _, values = make(weights, both_strands=both_strands, task="regression")
    np.testing.assert_allclose(values.probabilities(codes), np.mean(outputs, 0), atol=1e-5)
    with pytest.raises(InputError, match="have no odds"):
        values.log_odds(codes)


def test_log_odds_of_certainty():
    codes = np.zeros((1, 20), np.uint8)
    for weight, both_strands, odds in ((3, True, 60), (-3, True, -60), (5, False, 100), (5, True, 80), (-9, True, -80)):
        _, scorer = make([np.full((3, 4, 20), float(weight))], both_strands=both_strands)
        assert scorer.probabilities(codes)[0, 0] == pytest.approx(float(weight > 0))
        np.testing.assert_allclose(scorer.log_odds(codes), odds, rtol=1e-5)


def test_models_are_left_as_found(parts):
    weights, codes = parts
    models, scorer = make(weights)
    models[0].train()
    models[1].eval()
    models[1].dropout.train()
    before = torch.random.get_rng_state()
    once, twice = scorer.probabilities(codes), scorer.probabilities(codes)
    np.testing.assert_array_equal(once, twice)
    assert [m.training for model in models for m in model.modules()] == [True, True, False, True]
    assert torch.equal(before, torch.random.get_rng_state())
    assert scorer.models == models
    assert all(parameter.requires_grad for model in models for parameter in model.parameters())


def test_a_model_elsewhere_is_copied(parts):
    model = Letters(parts[0][0])
    scorer = Scorer([model], length=20, target_names=["a"], device="meta")
    assert scorer.models[0].weight.device.type == "meta"
    assert model.weight.device.type == "cpu"


def test_nothing_and_wrong_things(parts):
    weights, codes = parts
    _, scorer = make(weights)
    assert scorer.probabilities(codes[:0]).shape == (0, 3)
    with pytest.raises(InputError, match="expected windows of 20 bp, as the run takes, but got 19 bp"):
        scorer.logits(codes[:, 1:])
    with pytest.raises(InputError, match="not a finite number"):
        make([np.full((3, 4, 20), np.nan)])[1].logits(codes)
    with pytest.raises(InputError, match="unknown task"):
        make(weights, task="counts")
    with pytest.raises(InputError, match="batch_size"):
        Scorer([nn.Identity()], length=1, target_names=["a"], batch_size=0)
    with pytest.raises(InputError, match="needs a model"):
        Scorer([], length=20, target_names=["a"])


class TinyRun(Run):
    """A run whose members are given."""

    def models(self, device="cpu"):
        return [Letters(np.ones((2, 4, 20)))]


@pytest.mark.parametrize("given", [None, True, False])
def test_from_run(given, tmp_path):
    info = SimpleNamespace(line="sequence", length=20, target_names=["a", "b"], task="classification")
    recipe = SimpleNamespace(input=SimpleNamespace(both_strands=True))
    scorer = Scorer.from_run(TinyRun(tmp_path, info, recipe), device="cpu", both_strands=given)
    assert scorer.both_strands == (given is not False)
    assert scorer.length == 20
    assert scorer.target_names == ["a", "b"]
    info.line = "expression"
    with pytest.raises(InputError, match="does not read DNA"):
        Scorer.from_run(TinyRun(tmp_path, info, recipe))
