import torch
from torch import nn

from regulome.genome.letters import reverse_complement as of_arrays
from regulome.models import OneHot, Predictor, create
from regulome.training.strands import predict_batch, reverse_complement


def test_it_is_the_genomes_reverse_complement():
    codes = torch.randint(0, 5, (6, 31), dtype=torch.uint8)
    found = reverse_complement(codes)
    assert found.dtype == torch.uint8
    assert found.tolist() == of_arrays(codes.numpy()).tolist()
    torch.testing.assert_close(OneHot()(found), OneHot()(codes).flip(1, 2))


def test_probabilities_are_averaged_not_logits():
    torch.manual_seed(0)
    model = Predictor(OneHot(), create("demo-cnn", length=31, targets=3, filters=[4, 4, 4])).eval()
    codes = torch.randint(0, 5, (6, 31), dtype=torch.uint8)
    with torch.no_grad():
        here, there = (torch.sigmoid(model(x)) for x in (codes, reverse_complement(codes)))
        torch.testing.assert_close(predict_batch(model, codes, "classification", both_strands=True), (here + there) / 2)
        torch.testing.assert_close(predict_batch(model, codes, "classification"), here)
    values = nn.Flatten()
    assert predict_batch(values, torch.ones(2, 1, 3), "regression").tolist() == [[1.0] * 3] * 2
