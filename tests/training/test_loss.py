import numpy as np
import pytest
import torch

from regulome.recipes.schema import TrainingSection
from regulome.training.loss import Loss, make_loss
from regulome.training.validation import validation_scores

OUTPUT, TARGET = torch.tensor([[2.0], [-1.0], [0.5]]), torch.tensor([[1.0], [0.0], [0.0]])


def entropy(target, logit):
    p = torch.sigmoid(logit)
    return -(target * p.log() + (1 - target) * (1 - p).log())


def test_binary_cross_entropy_with_smoothing():
    torch.testing.assert_close(Loss("classification")(OUTPUT, TARGET), entropy(TARGET, OUTPUT).mean())
    smoothed = Loss("classification", smoothing=0.2)(OUTPUT, TARGET)
    torch.testing.assert_close(smoothed, entropy(TARGET * 0.8 + 0.1, OUTPUT).mean())


def test_it_equals_the_published_negative_log_likelihood():
    scores = torch.randn(3, 2)
    expected = torch.nn.functional.nll_loss(scores.log_softmax(1), TARGET[:, 0].long())
    torch.testing.assert_close(Loss("classification")(scores[:, 1:] - scores[:, :1], TARGET), expected)


def test_squared_error():
    torch.testing.assert_close(Loss("regression")(OUTPUT, TARGET), ((OUTPUT - TARGET) ** 2).mean())


def test_the_next_letter_of_those_that_are_known():
    logits, codes = torch.randn(2, 3, 4), torch.tensor([[0, 3, 4], [4, 4, 2]], dtype=torch.uint8)
    p = logits.softmax(2)
    expected = -(p[0, 0, 0].log() + p[0, 1, 3].log() + p[1, 2, 2].log()) / 3
    torch.testing.assert_close(Loss("next-letter")(logits, codes), expected)
    smoothed = -(0.6 * p[0, 0].log() * torch.eye(4)[0] + 0.1 * p[0, 0].log()).sum()
    torch.testing.assert_close(Loss("next-letter", smoothing=0.4)(logits[:1, :1], codes[:1, :1]), smoothed)


def test_positive_weights(world):
    few = np.flatnonzero(world.targets[:, 0] == 1)[:10]
    many = np.flatnonzero(world.targets[:, 0] == 0)[:30]
    rows = np.concatenate([few, many])
    assert make_loss(TrainingSection(), world, rows, "cpu").positive_weight is None
    assert make_loss(TrainingSection(positive_weight=2.0), world, rows, "cpu").positive_weight.tolist() == [2.0]
    balanced = make_loss(TrainingSection(positive_weight="balanced"), world, rows, "cpu")
    assert balanced.positive_weight.tolist() == pytest.approx([3.0])
    expected = (entropy(TARGET, OUTPUT) * torch.tensor([[3.0], [1.0], [1.0]])).mean()
    torch.testing.assert_close(balanced(OUTPUT, TARGET), expected)


def test_the_score_is_a_mean_over_the_targets_that_have_one():
    truth = np.array([[0, 1, 1], [1, 1, 0], [1, 1, 1]], np.float32)
    output = np.array([[0, 1, 1], [1, 2, 2], [2, 3, 3]], np.float32)
    found = validation_scores("classification", truth, torch.from_numpy(output))
    assert found["auroc"] == pytest.approx((1 + 0.5) / 2)
    # Average precision needs positives only: 1, 1 (nothing but positives) and 1 / 3 (last but one of tied three).
    one = validation_scores("classification", truth[:, 1:2], torch.from_numpy(output[:, 1:2]))
    assert one == {"auroc": None, "auprc": pytest.approx(1.0)}
    assert validation_scores("regression", output, torch.from_numpy(-output)) == {"pearson": pytest.approx(-1)}
