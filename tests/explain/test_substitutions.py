import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.explain.chain_networks import Codes, Misfit, Recurrent, Tricky, letters, network, stages, warm
from torch import Tensor, nn

from regulome.errors import InputError
from regulome.explain.substitutions import SubstitutionScorer
from regulome.models import create
from regulome.models.one_hot import OneHot
from regulome.models.preprocess import Predictor
from regulome.training.scorer import Scorer


def predictor(model: nn.Module) -> Predictor:
    return Predictor(OneHot(float(getattr(model, "unknown", 0.0))), model)


def scorer_of(*models: nn.Module, length: int, targets: int = 3, **settings: object) -> Scorer:
    names = [f"t{i}" for i in range(targets)]
    members = [predictor(model) for model in models]
    return Scorer(members, length=length, target_names=names, **settings)  # type: ignore[arg-type]


def some(length: int, windows: int, changes: int, seed: int = 0) -> tuple[Codes, NDArray[np.int64], Codes]:
    """Windows, and substitutions of some of them in no order; some put the letter that stands there."""
    rng = np.random.default_rng(seed)
    codes = np.stack([letters(length, seed + i) for i in range(windows)])
    return codes, rng.integers(0, windows, changes), rng.integers(0, 4, changes).astype(np.uint8)


def agree(scorer: Scorer, codes: Codes, position: int, which: NDArray[np.int64], new: Codes, reused: bool) -> None:
    """Compare with the truth: every changed window, written out and scored by itself."""
    changed = codes[which]
    changed[:, position] = new
    by_itself = scorer.log_odds if scorer.task == "classification" else scorer.probabilities
    substitutions = SubstitutionScorer(scorer)
    found = substitutions(codes, position, which, new)
    assert (found is not None) is reused
    assert substitutions.possible is reused
    if found is not None:
        np.testing.assert_allclose(found[0], by_itself(codes), atol=1e-5)
        np.testing.assert_allclose(found[1], by_itself(changed), atol=1e-5)


@settings(max_examples=80, deadline=None)
@given(
    found=stages(),
    length=st.integers(1, 40),
    end=st.sampled_from(["dense", "linear", "maximum", "mean"]),
    batch=st.sampled_from([1, 3, 64]),
    place=st.floats(0, 1, exclude_max=True),
    seed=st.integers(0, 100),
)
def test_scoring_both_together_is_exact(
    found: list[tuple[int, ...]], length: int, end: str, batch: int, place: float, seed: int
) -> None:
    torch.manual_seed(seed)
    model = network(found, length, end)
    if model is not None:
        scorer = scorer_of(model, length=length, batch_size=batch)
        agree(scorer, *_at(int(place * length), some(length, 5, 12, seed)), reused=True)


def _at(position: int, parts: tuple[Codes, NDArray[np.int64], Codes]) -> tuple[Codes, int, NDArray[np.int64], Codes]:
    return parts[0], position, parts[1], parts[2]


PUBLISHED: dict[str, tuple[int, dict[str, object], bool]] = {
    "deepsea": (190, {"filters": [5, 6, 7], "hidden": 9}, True),
    "danq": (70, {"filters": 6, "kernel": 7, "pool": 4, "units": 5, "hidden": 8}, True),
    "basset": (200, {"filters": [5, 6, 7], "hidden": [8, 9]}, True),
    "demo-cnn": (41, {"filters": [5, 6, 7]}, True),
    "demo-rnn": (21, {"hidden": 4}, False),
    "deepbind": (31, {}, False),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_networks(name: str) -> None:
    length, sizes, reused = PUBLISHED[name]
    torch.manual_seed(3)
    model = warm(create(name, length=length, targets=3, **sizes))
    for position in (0, 3, length // 2, length - 1):
        agree(scorer_of(model, length=length), *_at(position, some(length, 6, 9)), reused=reused)


@pytest.mark.parametrize(("kind", "reused"), [(Recurrent, True), (Tricky, False), (Misfit, False)])
def test_a_network_that_does_more_than_its_layers_say_is_noticed(kind: type[nn.Module], reused: bool) -> None:
    torch.manual_seed(1)
    agree(scorer_of(kind(), length=31, targets=2), *_at(15, some(31, 4, 6)), reused=reused)


class Late(nn.Module):
    """Looks at the changed letter beside the convolutions, so that it is its substitutions that go another way."""

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(nn.Conv1d(4, 8, 5), nn.ReLU())
        self.head = nn.Sequential(nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(8, 2))

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.head(self.convolutions(x)) + x[:, :1, 15])


def test_the_substitution_is_compared_too() -> None:
    codes = np.zeros((2, 31), np.uint8)
    codes[:, 15] = 1
    scorer = scorer_of(Late(), length=31, targets=2, both_strands=False)
    assert SubstitutionScorer(scorer)(codes, 15, np.arange(2), np.zeros(2, np.uint8)) is None


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("both_strands", [True, False])
def test_members_and_strands_are_averaged_as_the_scorer_does(task: str, both_strands: bool) -> None:
    torch.manual_seed(4)
    members = [network([(5, 0, 1, 0, 2, 2, True)], 21, "dense") for _ in range(3)]
    scorer = scorer_of(*(m for m in members if m), length=21, task=task, both_strands=both_strands, batch_size=4)
    modes = [module.train(i % 2 == 0).training for model in scorer.models for i, module in enumerate(model.modules())]
    agree(scorer, *_at(10, some(21, 10, 30)), reused=True)
    assert modes == [module.training for model in scorer.models for module in model.modules()]


def test_windows_without_substitutions_are_scored_too() -> None:
    model = network([(3, 1, 1, 0, 0, 1, False)], 9, "linear")
    assert model is not None
    agree(scorer_of(model, length=9, batch_size=2), *_at(4, some(9, 7, 1)), reused=True)
    agree(scorer_of(model, length=9, batch_size=2), *_at(4, some(9, 7, 0)), reused=True)


def test_damaged_weights_are_left_to_the_scorer_to_tell() -> None:
    model = nn.Sequential(nn.Conv1d(4, 2, 3), nn.Flatten(), nn.Linear(14, 3))
    nn.init.constant_(model[2].weight, float("nan"))
    scorer = scorer_of(model, length=9)
    assert SubstitutionScorer(scorer)(*_at(4, some(9, 2, 2))) is None
    with pytest.raises(InputError, match="not a finite number"):
        scorer.log_odds(some(9, 2, 2)[0])
