"""Parts of a batch side by side, against the same in one piece."""

import pytest
import torch
from torch import nn

from regulome.models import create
from regulome.models.batch_parts import Part, in_parts
from regulome.models.regions import RegionBatch

SIZES = {"width": 8, "head": 8, "embedding": [2, 8], "pairwise": [1, 2, 8], "regulation": [2, 2, 8, 8]}


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def batch(genes):
    near = torch.arange(genes) % 4
    bins = torch.stack([torch.full((genes + int(near.sum()),), n) for n in (4, 8)])
    bins[:, genes:] -= 2
    first = (torch.tensor([[4], [8]]) - bins + 1) // 2
    features = tuple(torch.rand(int(row.sum()), 3) for row in bins)
    gene = torch.arange(genes).repeat_interleave(near)
    return RegionBatch(features, first, bins, gene, torch.rand(len(gene)))


def test_gradients_are_those_of_one_piece_and_the_same_on_any_number_of_threads(threads):
    torch.manual_seed(0)
    shared, other = nn.Linear(5, 3), nn.Linear(3, 2)
    x = torch.randn(3, 4, 5)
    parameters = [*shared.parameters(), *other.parameters()]
    modules = [shared, other]
    found = []
    for number in (1, 2, 3):
        threads(number)
        parts = [Part(lambda rows=rows: other(shared(rows).relu()), modules) for rows in x]
        loss = torch.cat(in_parts(parts)).square().sum()
        found.append([loss, *torch.autograd.grad(loss, parameters)])
        assert torch.get_num_threads() == number
    assert all(torch.equal(a, b) for some in found for a, b in zip(some, found[0], strict=True))
    plain = other(shared(x).relu()).square().sum()
    torch.testing.assert_close(found[0], [plain, *torch.autograd.grad(plain, parameters)])


def test_an_error_in_a_part_comes_out(threads):
    threads(2)
    with pytest.raises(ZeroDivisionError):
        in_parts([Part(lambda: torch.ones(1), []), Part(lambda: torch.ones(1) * (1 // 0), [])])


@pytest.mark.parametrize("genes", [2, 130])
def test_a_large_batch_of_genes_equals_its_genes(genes, threads):
    threads(2)
    torch.manual_seed(genes)
    whole = batch(genes)
    network = create("chromoformer", marks=3, resolutions=[200, 100], window=800, **SIZES)
    answers = network(whole)
    answers.sum().backward()
    gradients = [p.grad.clone() for p in network.parameters()]
    network.zero_grad()
    parts = [whole.part(begin, min(begin + 40, genes)) for begin in range(0, genes, 40)]
    singly = torch.cat([network(part) for part in parts])
    torch.testing.assert_close(answers, singly, atol=1e-5, rtol=1e-5)
    singly.sum().backward()
    torch.testing.assert_close(gradients, [p.grad for p in network.parameters()], atol=1e-3, rtol=1e-3)
    with torch.inference_mode():
        torch.testing.assert_close(network(whole), answers, atol=1e-6, rtol=1e-6)
