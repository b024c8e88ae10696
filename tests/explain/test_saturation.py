import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.explain.chain_networks import Codes, Misfit, Recurrent, Tricky, letters, network, stages, warm
from torch import nn

from regulome.errors import InputError
from regulome.explain.saturation import Saturator, saturate
from regulome.models import create
from regulome.models.one_hot import OneHot
from regulome.models.preprocess import Predictor


def every_mutant(model: nn.Module, codes: Codes, unknown: float = 0.0) -> NDArray[np.float32]:
    """The truth: every mutated sequence, written out and given to the model."""
    table = np.vstack([np.eye(4, dtype=np.float32), np.full((1, 4), unknown, np.float32)])
    mutants = np.repeat(codes[None], 4 * len(codes), 0).reshape(len(codes), 4, len(codes))
    for position in range(len(codes)):
        for letter in range(4):
            mutants[position, letter, position] = letter
    one_hot = torch.from_numpy(table[mutants.reshape(-1, len(codes))].transpose(0, 2, 1).copy())
    model.eval()
    with torch.no_grad():
        return model(one_hot).reshape(len(codes), 4, -1).numpy()


def expected(model: nn.Module, codes: Codes, unknown: float = 0.0) -> NDArray[np.float32]:
    """Every mutant, and in the place of the window's own letters the window itself; all equal up to rounding."""
    found = every_mutant(model, codes, unknown)
    table = torch.cat([torch.eye(4), torch.full((1, 4), unknown)])
    with torch.no_grad():
        reference = model(table[torch.from_numpy(codes.astype(np.int64))].T[None])[0].numpy()
    for position, code in enumerate(codes):
        if code == 4:
            continue
        np.testing.assert_allclose(found[position, code], reference, atol=1e-5)
    return found


@settings(max_examples=150, deadline=None)
@given(
    found=stages(),
    length=st.integers(1, 40),
    end=st.sampled_from(["dense", "linear", "maximum", "mean"]),
    batch=st.sampled_from([1, 7, 64]),
    seed=st.integers(0, 100),
)
def test_reusing_what_a_substitution_cannot_change_is_exact(
    found: list[tuple[int, ...]], length: int, end: str, batch: int, seed: int
) -> None:
    torch.manual_seed(seed)
    model = network(found, length, end)
    if model is None:
        return
    codes = letters(length, seed)
    answer = saturate(model, codes, batch_size=batch)
    assert answer.reused
    np.testing.assert_allclose(answer.mutants, expected(model, codes), atol=1e-5)


def small_deepsea(length: int = 120) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv1d(4, 12, 8), nn.Threshold(1e-6, 0), nn.MaxPool1d(4), nn.Dropout(0.2)),
        *(nn.Conv1d(12, 16, 8), nn.Threshold(1e-6, 0), nn.MaxPool1d(4), nn.Dropout(0.2)),
        *(nn.Conv1d(16, 20, 3), nn.Threshold(1e-6, 0), nn.Dropout(0.5), nn.Flatten()),
        *(nn.Linear(20 * (((length - 7) // 4 - 7) // 4 - 2), 30), nn.ReLU(), nn.Linear(30, 7)),
    )


@pytest.mark.parametrize(("kind", "reused"), [(Recurrent, True), (Tricky, False), (nn.Sequential, False)])
def test_other_networks_are_exact_too(kind: type[nn.Module], reused: bool) -> None:
    torch.manual_seed(1)
    model = kind() if kind is not nn.Sequential else nn.Sequential(nn.Flatten(), nn.Linear(4 * 31, 2))
    codes = letters(31)
    answer = saturate(model, codes, batch_size=20)
    assert answer.reused is reused
    np.testing.assert_allclose(answer.mutants, expected(model, codes), atol=1e-5)


@pytest.mark.parametrize("batch", [5, 200])
@pytest.mark.parametrize(("settings", "reused"), [({}, True), ({"gates": "hard-sigmoid"}, False)])
def test_an_lstm_goes_on_from_the_states_beside_the_change(settings: dict[str, str], reused: bool, batch: int) -> None:
    torch.manual_seed(2)
    model = create("danq", length=70, targets=3, filters=6, kernel=7, pool=4, units=5, hidden=8, **settings)
    codes = letters(70)
    answer = saturate(model, codes, batch_size=batch)
    assert answer.reused is reused
    np.testing.assert_allclose(answer.mutants, expected(model, codes), atol=1e-5)


SMALL: dict[str, tuple[int, dict[str, object], bool]] = {
    "deepsea": (190, {"filters": [5, 6, 7], "hidden": 9}, True),
    "basset": (200, {"filters": [5, 6, 7], "hidden": [8, 9]}, True),
    "demo-cnn": (41, {"filters": [5, 6, 7]}, True),
    "demo-cnn-rnn": (21, {"filters": 5, "hidden": 4}, False),
    "demo-rnn": (21, {"hidden": 4}, False),
    "deepbind": (31, {}, False),
    "bigru": (31, {}, False),
}


@pytest.mark.parametrize("name", SMALL)
def test_the_published_networks(name: str) -> None:
    length, sizes, reused = SMALL[name]
    torch.manual_seed(3)
    model = warm(create(name, length=length, targets=3, **sizes))
    codes, unknown = letters(length, 7), float(getattr(model, "unknown", 0.0))
    answer = saturate(model, codes)
    assert answer.reused is reused
    np.testing.assert_allclose(answer.mutants, expected(model, codes, unknown), atol=1e-5)


def test_attributes_that_do_not_fit_are_no_chain() -> None:
    model = Misfit()
    model.head = nn.Sequential(nn.Linear(9, 2), nn.ReLU(), nn.Linear(8, 2))
    assert not saturate(model, letters(31)).reused


def test_layers_that_no_step_is_known_for_end_the_chain() -> None:
    layers = [
        nn.Conv1d(4, 6, 3),
        nn.Conv1d(6, 6, 3, stride=2),
        nn.MaxPool1d(2, padding=1),
        nn.Flatten(),
        nn.Linear(48, 2),
    ]
    model = nn.Sequential(*layers)
    answer = saturate(model, letters(33))
    assert answer.reused
    np.testing.assert_allclose(answer.mutants, expected(model, letters(33)), atol=1e-5)


@pytest.mark.parametrize("reuse", [True, False])
def test_reuse_is_only_a_matter_of_time(reuse: bool) -> None:
    model, codes = small_deepsea(), letters(120)
    answer = saturate(model, codes, reuse=reuse)
    assert answer.reused is reuse
    np.testing.assert_allclose(answer.mutants, expected(model, codes), atol=1e-5)
    some = saturate(model, codes, reuse=reuse, positions=[0, 57, 119], outputs=[6, 2])
    np.testing.assert_allclose(some.mutants, answer.mutants[[0, 57, 119]][:, :, [6, 2]], atol=1e-6)
    np.testing.assert_allclose(some.reference, answer.reference[[6, 2]], atol=1e-6)


def test_a_letter_of_the_window_itself_changes_nothing() -> None:
    codes = letters(120)
    answer = saturate(small_deepsea(), codes)
    known = np.flatnonzero(codes < 4)
    np.testing.assert_array_equal(
        answer.mutants[known, codes[known]], np.broadcast_to(answer.reference, (len(known), 7))
    )


def test_one_saturator_takes_window_after_window_and_their_unknown_letters_as_the_model_does() -> None:
    network = small_deepsea()
    saturator = Saturator(Predictor(OneHot(0.25), network))
    for seed in range(3):
        codes = letters(120, seed)
        np.testing.assert_allclose(saturator(codes).mutants, expected(network, codes, 0.25), atol=1e-5)


def test_the_model_is_left_as_it_was() -> None:
    model = warm(nn.Sequential(nn.Conv1d(4, 6, 3), nn.BatchNorm1d(6), nn.ReLU(), nn.Flatten(), nn.Linear(108, 2)))
    model[1].eval()
    model[0].weight.requires_grad_(False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.random.get_rng_state()
    saturate(model.train(), letters(20))
    assert [layer.training for layer in model] == [True] * 5
    assert [p.requires_grad for p in model.parameters()] == [False] + [True] * 5
    assert torch.equal(torch.random.get_rng_state(), state)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


@pytest.mark.parametrize(
    ("codes", "options", "message"),
    [
        (np.zeros((2, 20), np.uint8), {}, "one window"),
        (np.zeros(0, np.uint8), {}, "one window"),
        (np.full(20, 5, np.uint8), {}, "one window"),
        (np.zeros(20, np.uint8), {"positions": [3, 3]}, "increasing"),
        (np.zeros(20, np.uint8), {"positions": [20]}, "from 0 to 19"),
        (np.zeros(20, np.uint8), {"batch_size": 0}, "at least 1"),
    ],
)
def test_impossible_requests_are_told(codes: Codes, options: dict[str, object], message: str) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(80, 1))
    with pytest.raises(InputError, match=message):
        saturate(model, codes, **options)


def test_an_answer_that_is_no_number_is_told() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(80, 1))
    nn.init.constant_(model[1].weight, torch.nan)
    with pytest.raises(InputError, match="not a finite number"):
        saturate(model, letters(20))
