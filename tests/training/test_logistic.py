"""Against scikit-learn, which fits one label at a time."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from regulome.training.logistic import LogisticRegressions


def world(n: int = 500, inputs: int = 20, labels: int = 4) -> tuple[Tensor, Tensor]:
    """Inputs that depend on each other as k-mer counts do, and labels of different frequency."""
    random = torch.Generator().manual_seed(0)
    x = torch.randn(n, inputs, generator=random)
    x[:, inputs // 2 :] = x[:, : inputs // 2] @ torch.randn(inputs // 2, inputs - inputs // 2, generator=random) / 3
    x = (x - x.mean(dim=0)) / x.std(dim=0, correction=0)
    logits = x @ torch.randn(inputs, labels, generator=random) / 2 + torch.linspace(-4, 0, labels)
    return x, (torch.rand(n, labels, generator=random) < torch.sigmoid(logits)).float()


def in_blocks(x: Tensor, y: Tensor, size: int = 64) -> LogisticRegressions:
    def examples() -> Iterator[tuple[Tensor, Tensor]]:
        # A block may be written over by who reads it.
        yield from zip((part.clone() for part in x.split(size)), y.split(size), strict=True)

    return LogisticRegressions(examples)


def reference(x: Tensor, y: Tensor, cost: float, weight: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    models = [
        LogisticRegression(C=cost, tol=1e-10, max_iter=5000, class_weight={0: 1.0, 1: weight}).fit(
            x.double().numpy(), column.numpy()
        )
        for column in y.T
    ]
    return np.concatenate([model.coef_ for model in models]), np.concatenate([model.intercept_ for model in models])


@pytest.mark.parametrize("cost", [1e-3, 0.1, 10.0])
def test_equals_scikit_learn(cost: float) -> None:
    x, y = world()
    ours = in_blocks(x, y).fit(cost)
    coefficients, intercepts = reference(x, y, cost)
    np.testing.assert_allclose(ours.coefficients, coefficients, atol=1e-3)
    np.testing.assert_allclose(ours.intercepts, intercepts, atol=1e-3)
    assert ours.passes < 60


def test_positive_weight_equals_class_weight() -> None:
    x, y = world()
    solver = LogisticRegressions(lambda: [(x, y)], torch.full((4,), 3.0))
    ours = solver.fit(0.1)
    coefficients, intercepts = reference(x, y, 0.1, weight=3.0)
    np.testing.assert_allclose(ours.coefficients, coefficients, atol=1e-3)
    np.testing.assert_allclose(ours.intercepts, intercepts, atol=1e-3)


def test_another_beginning_gives_the_same() -> None:
    x, y = world()
    solver = in_blocks(x, y)
    fresh, continued = solver.fit(1.0), solver.fit(1.0, solver.fit(0.1))
    torch.testing.assert_close(continued.coefficients, fresh.coefficients, atol=1e-3, rtol=0)


def test_same_examples_same_answer() -> None:
    x, y = world()
    first, second = in_blocks(x, y).fit(0.1), in_blocks(x, y).fit(0.1)
    assert torch.equal(first.coefficients, second.coefficients)
    assert torch.equal(first.intercepts, second.intercepts)


def test_labels_that_never_or_always_hold() -> None:
    x, y = world()
    y[:, 0], y[:, 1] = 0, 1
    ours = in_blocks(x, y).fit(0.1)
    assert not ours.coefficients[:2].any()
    np.testing.assert_allclose(torch.sigmoid(ours.intercepts[:2]), [0.5 / 501, 500.5 / 501], atol=1e-6)
    coefficients, _ = reference(x, y[:, 2:], 0.1)
    np.testing.assert_allclose(ours.coefficients[2:], coefficients, atol=1e-3)


def test_inputs_that_say_the_same_twice() -> None:
    x, y = world()
    twice = torch.cat((x, x, torch.zeros(len(x), 1)), dim=1)
    ours = in_blocks(twice, y).fit(0.1)
    coefficients, _ = reference(twice, y, 0.1)
    np.testing.assert_allclose(ours.coefficients, coefficients, atol=1e-3)


def test_no_examples() -> None:
    with pytest.raises(ValueError, match="no examples"):
        LogisticRegressions(list)
