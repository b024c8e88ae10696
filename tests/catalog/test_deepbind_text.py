from pathlib import Path

import numpy as np
import pytest
import torch

from regulome.catalog import load_weights, open_weights
from regulome.catalog.deepbind_text import read_deepbind_text
from regulome.errors import InputError

DETECTORS, LENGTH = 3, 4


def numbers(*shape: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def text(hidden: int, *, average: bool = False, both: bool = True) -> tuple[str, dict[str, np.ndarray]]:
    features = DETECTORS * (2 if average else 1)
    arrays = {
        "detectors": numbers(LENGTH, 4, DETECTORS, seed=1),
        "thresholds": numbers(DETECTORS, seed=2),
        "weights1": numbers(features, hidden or 1, seed=3),
        "biases1": numbers(hidden or 1, seed=4),
        "weights2": numbers(hidden, seed=5),
        "biases2": numbers(1 if hidden else 0, seed=6),
    }
    settings = {
        "reverse_complement": int(both),
        "num_detectors": DETECTORS,
        "detector_len": LENGTH,
        "has_avg_pooling": int(average),
        "num_hidden": hidden,
    }
    lines = ["# deepbind 0.1", *(f"{name} = {value}" for name, value in settings.items())]
    lines += [f"{name} = {','.join(f'{x:.9e}' for x in array.ravel())}" for name, array in arrays.items()]
    return "\n".join(lines) + "\n", arrays


def by_definition(arrays: dict[str, np.ndarray], letters: str, *, average: bool, both: bool) -> float:
    """The published definition, one letter after the other; N and what lies beyond the ends is a quarter of each."""
    scores = []
    strands = [letters, letters[::-1].translate(str.maketrans("ACGT", "TGCA"))]
    for strand in strands if both else strands[:1]:
        padded = "N" * (LENGTH - 1) + strand + "N" * (LENGTH - 1)
        places = len(padded) - LENGTH + 1
        found = np.zeros((places, DETECTORS))
        for place in range(places):
            for offset in range(LENGTH):
                kernel, letter = arrays["detectors"][offset], padded[place + offset]
                found[place] += kernel.mean(axis=0) if letter == "N" else kernel["ACGT".index(letter)]
        found = np.maximum(found + arrays["thresholds"], 0)
        features = found.max(axis=0)
        if average:
            features = np.stack((features, found.mean(axis=0)), axis=1).ravel()
        score = features @ arrays["weights1"] + arrays["biases1"]
        if len(arrays["weights2"]):
            score = np.maximum(score, 0) @ arrays["weights2"] + arrays["biases2"]
        scores.append(float(score[0]))
    return max(scores)


@pytest.mark.parametrize("hidden", [0, 5])
@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("both", [False, True])
def test_scores_as_published(tmp_path: Path, hidden: int, average: bool, both: bool) -> None:
    content, arrays = text(hidden, average=average, both=both)
    (tmp_path / "D00001.001.txt").write_text(content)
    predictor = open_weights(tmp_path / "D00001.001.txt", length=9)
    rows = ["ACGTTGCAA", "NNACGTANC", "GGGGGGGGG"]
    codes = torch.tensor([["ACGTN".index(letter) for letter in row] for row in rows], dtype=torch.uint8)
    expected = [by_definition(arrays, row, average=average, both=both) for row in rows]
    np.testing.assert_allclose(predictor(codes)[:, 0].detach().numpy(), expected, atol=1e-5)


def test_what_the_file_tells(tmp_path: Path) -> None:
    (tmp_path / "model.txt").write_text(text(5, average=True)[0])
    weights = load_weights(tmp_path / "model.txt")
    assert weights.model == "deepbind"
    assert weights.hyperparameters == {
        "targets": 1,
        "detectors": DETECTORS,
        "detector_length": LENGTH,
        "pooling": "max-and-mean",
        "hidden": 5,
        "both_strands": True,
    }


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("# deepbind 0.1", "# something", "does not begin with '# deepbind'"),
        ("num_detectors = 3", "num_detectors = 4", "line 7: expected 64 numbers of detectors, but got 48"),
        ("num_detectors = 3", "num_detectors = 0", "num_detectors is 0"),
        ("num_detectors = 3", "num_detectors = -3", "line 3: expected num_detectors to be a whole number"),
        ("num_hidden = 5\n", "", "has no line `num_hidden = …`"),
        ("num_hidden = 5", "num_hidden = 5\nnum_hidden = 5", "line 7: gives num_hidden a second time"),
        ("num_hidden = 5", "num_hidden 5", "line 6: expected a line `name = value`"),
        ("thresholds = ", "thresholds = x", "thresholds has a value that is no number"),
        ("biases2 = ", "biases2 = 1e999,", "line 12: expected 1 numbers of biases2, but got 2"),
        ("biases2 = ", "biases2 = inf#", "no number"),
    ],
)
def test_malformed(tmp_path: Path, old: str, new: str, message: str) -> None:
    content, _ = text(5)
    assert content.count(old) == 1
    path = tmp_path / "model.txt"
    path.write_text(content.replace(old, new))
    with pytest.raises(InputError) as caught:
        read_deepbind_text(path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_cut_anywhere_is_one_line_or_nothing(tmp_path: Path) -> None:
    content, _ = text(5)
    path = tmp_path / "model.txt"
    for size in range(0, len(content) - 30, 37):
        path.write_text(content[:size])
        with pytest.raises(InputError) as caught:
            read_deepbind_text(path)
        assert "\n" not in str(caught.value)
    path.write_bytes(b"# deepbind 0.1\n\xff\xfe")
    with pytest.raises(InputError, match="no text file of a DeepBind model"):
        read_deepbind_text(path)
    path.write_text(content.replace("thresholds = ", "thresholds = nan,", 1).replace("num_detectors = 3", "x = 1"))
    with pytest.raises(InputError):
        read_deepbind_text(path)
