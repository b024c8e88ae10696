import torch

from regulome.models.workspace import Workspace


def test_a_block_from_inference_mode_can_be_written_to_afterwards() -> None:
    with torch.inference_mode():
        like = torch.zeros(1, dtype=torch.float64)
        held = Workspace(like, [(7, 11)])
        held.tensors[0].fill_(1)
        del held
    again = Workspace(torch.zeros(1, dtype=torch.float64), [(7, 11)])
    again.tensors[0].fill_(2)
    assert again.tensors[0].sum().item() == 154
