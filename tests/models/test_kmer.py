from itertools import product
from typing import ClassVar

import pytest
import torch
from tests.models.tester import SequenceTester, dna

from regulome import models
from regulome.errors import InputError
from regulome.genome.kmers import count_kmers


class TestKmerLogisticRegression(SequenceTester):
    name = "kmer-logistic-regression"
    parameters = 1365 * 919
    small: ClassVar[dict[str, object]] = {"k_max": 3}
    differentiable = False
    learns_at = 20
    steps = 400
    score = 0.8


def one_hot(text: str) -> torch.Tensor:
    table = torch.cat((torch.eye(4), torch.zeros(1, 4)))
    return table[["ACGTN".index(letter) for letter in text]].T[None]


def test_counts_of_a_word() -> None:
    counts = models.create("kmer-logistic-regression", length=6, targets=1, k_max=3).counts(one_hot("ACANAC"))[0]
    names = ["".join(word) for k in (1, 2, 3) for word in product("ACGT", repeat=k)]
    found = {name: int(count) for name, count in zip(names, counts, strict=True) if count}
    assert found == {"A": 3, "C": 2, "AC": 2, "CA": 1, "ACA": 1}


@pytest.mark.parametrize("unknown", [0.0, 0.25])
@pytest.mark.parametrize("k_min", [1, 3])
def test_counts_are_those_of_the_table(unknown: float, k_min: int) -> None:
    random = torch.Generator().manual_seed(0)
    codes = torch.randint(0, 5, (7, 60), generator=random)
    codes[:, 30:] %= 4
    table = torch.cat((torch.eye(4), torch.full((1, 4), unknown)))
    network = models.create("kmer-logistic-regression", length=60, targets=1, k_max=5, k_min=k_min)
    truth = count_kmers(codes.to(torch.uint8).numpy(), 5, k_min).toarray()
    assert torch.equal(network.counts(table[codes].transpose(1, 2)), torch.from_numpy(truth))


def test_poured_weights_answer() -> None:
    network = models.create("kmer-logistic-regression", length=9, targets=2, k_max=1)
    weights, intercepts = torch.tensor([[1.0, 0, 0, 2], [0, 0, 3, 0]]), torch.tensor([0.5, -1])
    mean, std = torch.tensor([1.0, 0, 1, 0]), torch.tensor([1.0, 1, 2, 4])
    network.pour(weights, intercepts, mean=mean, std=std)
    expected = torch.tensor([[0.5 + (3 - 1) + 2 * 2 / 4, -1 + 3 * (4 - 1) / 2]])
    torch.testing.assert_close(network(one_hot("AAAGGGGTT")), expected)


def test_values_out_of_range() -> None:
    with pytest.raises(InputError, match="`k_max` to be at most 10, but got 11"):
        models.create("kmer-logistic-regression", length=9, targets=2, k_max=11)
    with pytest.raises(InputError, match="`k_max` to be an integer of at least 3"):
        models.create("kmer-logistic-regression", length=9, targets=2, k_max=2, k_min=3)
    network = models.create("kmer-logistic-regression", length=9, targets=2, k_max=1)
    with pytest.raises(InputError, match=r"expected coefficients of shape \[2, 4\], but got \[2, 5\]"):
        network.pour(torch.zeros(2, 5), torch.zeros(2), mean=torch.zeros(4), std=torch.ones(4))


def test_shorter_than_the_longest_word() -> None:
    network = models.create("kmer-logistic-regression", length=2, targets=1)
    assert network.counts(dna(3, 2, seed=0)).sum(dim=1).tolist() == [3, 3, 3]
