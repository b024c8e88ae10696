import numpy as np
import torch
from torch import nn

from regulome.recipes import load_recipe
from regulome.training.build import build_predictor, raise_forget_bias


def test_scaling_is_fitted_on_the_training_rows_only(world):
    rows = np.arange(0, 300, 3)
    predictor = build_predictor(load_recipe("deepchrome"), world, fit_on=rows)
    x = np.log1p(np.array(world.inputs["marks"], np.float64)[rows])
    np.testing.assert_allclose(predictor.preprocess.mean, x.mean(axis=(0, 2)), rtol=1e-6)
    np.testing.assert_allclose(predictor.preprocess.std, x.std(axis=(0, 2)), rtol=1e-6)


def test_an_lstm_with_open_forget_gates_remembers():
    lstm = nn.LSTM(1, 4, num_layers=2, bidirectional=True)
    before = {name: parameter.detach().clone() for name, parameter in lstm.named_parameters()}
    raise_forget_bias(nn.Sequential(nn.Linear(1, 1), lstm), 30.0)
    for name, parameter in lstm.named_parameters():
        expected = before[name]
        if name.startswith("bias_hh"):
            expected = expected + torch.tensor([0.0, 30.0, 0.0, 0.0]).repeat_interleave(4)
        torch.testing.assert_close(parameter.detach(), expected)
    with torch.no_grad():
        _, (_, cell) = lstm(torch.zeros(50, 1, 1), (torch.zeros(4, 1, 4), 100.0 + torch.zeros(4, 1, 4)))
    assert (cell > 40).all()


def test_the_recipe_decides(world):
    rows = np.arange(100)
    plain = load_recipe("lstm", {"training.forget_bias": 0.0})
    torch.manual_seed(0)
    first = build_predictor(plain, world, fit_on=rows).state_dict()
    torch.manual_seed(0)
    second = build_predictor(load_recipe("lstm", {"training.forget_bias": 1.0}), world, fit_on=rows).state_dict()
    differ = [name for name in first if not torch.equal(first[name], second[name])]
    assert differ
    assert all("bias_hh" in name for name in differ)
