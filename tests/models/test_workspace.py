import torch

from regulome.models import workspace
from regulome.models.workspace import Workspace


def test_memory_is_used_again_only_after_its_owner_is_gone() -> None:
    like = torch.zeros(1)
    first = Workspace(like, [(3, 5), (), (7,)])
    assert [tuple(tensor.shape) for tensor in first.tensors] == [(3, 5), (), (7,)]
    for number, tensor in enumerate(first.tensors):
        tensor.fill_(number)
    assert [float(tensor.max()) for tensor in first.tensors] == [0, 1, 2]
    second = Workspace(like, [(3, 5), (), (7,)])
    address = first.tensors[0].data_ptr()
    assert second.tensors[0].data_ptr() != address
    del first, tensor
    third = Workspace(like, [(2, 5)])
    assert third.tensors[0].data_ptr() == address
    assert Workspace(like.double(), [(3, 5)]).tensors[0].dtype == torch.float64


def test_little_is_kept() -> None:
    like = torch.zeros(1)
    many = [Workspace(like, [(100 + n,)]) for n in range(9)]
    del many
    assert len(workspace._free) <= 2
    before = set(workspace._free)
    huge = Workspace(like, [(2**27,)])
    del huge
    assert set(workspace._free) == before


def test_inference_mode_leaves_nothing_behind() -> None:
    with torch.inference_mode():
        inside = Workspace(torch.zeros(1), [(77_777,)])
        del inside
    assert not any(block.is_inference() for block in workspace._free.values())
