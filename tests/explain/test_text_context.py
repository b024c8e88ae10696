from pathlib import Path

import numpy as np
import pytest
import torch
from tests.explain.small_text import periodic_text, text_dataset
from torch import Tensor, nn

from regulome.explain.text_context import context_curve


class _Waits(nn.Module):
    """Knows nothing before it has read so many letters, and all of a text that repeats A C G T then."""

    def __init__(self, patience: int) -> None:
        super().__init__()
        self.patience = patience

    def forward(self, codes: Tensor, state: tuple[Tensor, ...] | None) -> tuple[Tensor, tuple[Tensor, ...]]:
        before = codes.new_zeros((len(codes), 1), dtype=torch.int64) if state is None else state[0]
        read = before + torch.arange(1, codes.shape[1] + 1)
        logits = nn.functional.one_hot((codes.long() + 1) % 4, 4) * 60.0 * (read >= self.patience)[..., None]
        return logits, (read[:, -1:],)


def test_the_curve_falls_where_the_model_begins_to_know(tmp_path: Path) -> None:
    periodic = periodic_text(tmp_path)
    rows = np.flatnonzero((periodic.regions["split"] == "test").to_numpy())
    curve = context_curve([_Waits(8)], periodic, rows, longest=64, stretches=20)
    assert curve["from"].to_list() == [1, 2, 3, 5, 9, 17, 33]
    assert curve["to"].to_list() == [1, 2, 4, 8, 16, 32, 64]
    # Of the letters with 5 to 8 before them three cost 2 bits, and one nothing.
    assert curve["bits"].to_list() == pytest.approx([2, 2, 2, 1.5, 0, 0, 0])
    assert curve["perplexity"].to_list() == pytest.approx([4, 4, 4, 2**1.5, 1, 1, 1])
    assert curve["letters"].to_list() == [20, 20, 40, 80, 160, 320, 640]
    assert curve["low"].to_list() == pytest.approx(curve["high"].to_list())


def test_a_short_text_has_a_short_curve(tmp_path: Path) -> None:
    data = text_dataset(tmp_path, {"a": "ACGT" * 30}, block=20, held_out=0.2, validation=0.0)
    rows = np.flatnonzero((data.regions["split"] == "test").to_numpy())
    assert context_curve([_Waits(1)], data, rows)["to"].to_list() == [1, 2, 4, 8, 16]
