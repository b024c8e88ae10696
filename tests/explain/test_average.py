import pytest
import torch

from regulome.explain import Average
from regulome.models import create


def test_outputs_are_averaged() -> None:
    members = [create("deepchrome-linear", marks=2, bins=9) for _ in range(3)]
    x = torch.rand(4, 2, 9)
    torch.testing.assert_close(Average(members)(x), sum(member(x) for member in members) / 3)


def test_attention_needs_every_member() -> None:
    attentive, plain = create("attentivechrome", marks=2, bins=30), create("deepchrome", marks=2, bins=30)
    assert hasattr(Average([attentive]), "attention")
    assert not hasattr(Average([attentive, plain]), "attention")
    with pytest.raises(AttributeError, match="nothing"):
        _ = Average([plain]).nothing
