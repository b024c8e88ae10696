import pytest
import torch
from torch import nn

from regulome.errors import InputError
from regulome.recipes.schema import TrainingSection
from regulome.training.regularization import Regularization


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv1d(4, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 5), nn.ReLU(), nn.Linear(5, 2))


def test_the_weights_into_each_unit_of_the_last_hidden_layer_are_limited():
    net = network()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    limit = before["3.weight"].norm(dim=1).median().item()
    Regularization(TrainingSection(max_norm=limit), net).limit()
    norms = before["3.weight"].norm(dim=1)
    expected = before["3.weight"] * torch.where(norms > limit, limit / norms, 1.0)[:, None]
    torch.testing.assert_close(net[3].weight.detach(), expected)
    assert all(torch.equal(net.state_dict()[name], before[name]) for name in before if name != "3.weight")


def test_all_layers_can_be_limited_and_a_network_can_name_its_hidden_layer():
    net = network()
    Regularization(TrainingSection(max_norm=0.1, max_norm_layers="all"), net).limit()
    for layer in (net[0], net[3], net[5]):
        torch.testing.assert_close(layer.weight.flatten(1).norm(dim=1), torch.full((len(layer.weight),), 0.1))
    net = network()
    net.last_hidden = "0"
    Regularization(TrainingSection(max_norm=0.1), net).limit()
    assert net[0].weight.flatten(1).norm(dim=1).max() < 0.1001
    assert net[3].weight.norm(dim=1).min() > 0.1


def test_the_penalty_is_that_of_the_last_hidden_activations():
    net, x = network(), torch.randn(7, 4, 10)
    penalty = Regularization(TrainingSection(l1=0.5), net)
    output = net(x)
    loss = penalty(output.mean())
    hidden = net[:5](x)
    torch.testing.assert_close(loss, output.mean() + 0.5 * hidden.abs().sum(dim=1).mean())
    loss.backward()
    assert net[0].weight.grad is not None
    net.eval()
    output = net(x)
    torch.testing.assert_close(penalty(output.mean()), output.mean())


def test_without_either_nothing_happens_and_a_hidden_layer_is_needed():
    loss = torch.tensor(1.0)
    plain = Regularization(TrainingSection(), nn.Linear(2, 1))
    plain.limit()
    assert plain(loss) is loss
    with pytest.raises(InputError, match="no hidden layer"):
        Regularization(TrainingSection(l1=1.0), nn.Linear(2, 1))
