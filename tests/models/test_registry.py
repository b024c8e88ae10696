import pytest
import torch
from torch import nn

from regulome import models
from regulome.errors import InputError
from regulome.models import Paper, register


def test_list_describes_every_model() -> None:
    infos = models.list()
    assert infos == models.list_models()
    names = [info.name for info in infos]
    assert len(set(names)) == len(names)
    assert {"deepchrome", "attentivechrome", "logistic-regression"} <= set(names)
    for info in infos:
        assert info.paper.year > 1900
        assert info.paper.authors
        lines = {"marks": "expression", "regions": "expression", "sequence": "sequence", "text": "language"}
        assert info.line == lines[info.inputs]
        sizes = {"marks": {"marks", "bins"}, "regions": {"marks"}, "sequence": {"length", "targets"}, "text": set()}
        assert set(info.sizes) == sizes[info.inputs]
        assert info.inputs != "marks" or info.defaults["task"] == "classification"
        with torch.device("meta"):
            network = models.create(info.name, **info.sizes)
        assert info.parameters == sum(p.numel() for p in network.parameters())
        assert info.inputs != "sequence" or 0 <= network.unknown < 1


def test_listing_draws_no_random_number() -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    models.list_models()
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize(
    ("name", "hyperparameters", "message"),
    [
        ("atentivchrome", {}, r"there is no model 'atentivchrome' \(did you mean attentivechrome"),
        ("xyz", {}, r"there is no model 'xyz' \(there are deepchrome, "),
        ("deepchrome", {"bin": 3}, r"deepchrome has no hyperparameter 'bin' \(did you mean bins\?\)"),
        ("deepchrome", {"marks": 3}, "deepchrome needs a value for bins"),
    ],
)
def test_unknown_names(name: str, hyperparameters: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        models.create(name, **hyperparameters)


def test_a_name_is_given_once() -> None:
    paper = Paper("A B", "T", "V", 2000, "10.1/x")
    assert str(paper) == "A B. T. V (2000). doi:10.1/x"
    with pytest.raises(ValueError, match="two networks are called 'deepchrome'"):

        @register("deepchrome", title="another", paper=paper)
        class Another(nn.Module):
            pass
