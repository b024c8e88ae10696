"""Networks that begin with a chain of convolutions, and some that only seem to."""

from collections.abc import Sequence

import numpy as np
import torch
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

Codes = NDArray[np.uint8]


def letters(length: int, seed: int = 0, unknown: float = 0.1) -> Codes:
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, length)
    return np.where(rng.random(length) < unknown, 4, codes).astype(np.uint8)


def warm(model: nn.Module) -> nn.Module:
    """Give batch normalisation something to normalise by."""
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm1d):
            nn.init.uniform_(layer.running_mean, -0.5, 0.5)
            nn.init.uniform_(layer.running_var, 0.5, 2)
            nn.init.uniform_(layer.weight, -1, 1)
            nn.init.uniform_(layer.bias, -0.5, 0.5)
    return model


ACTIVATIONS = (nn.ReLU, lambda: nn.Threshold(1e-6, 0), lambda: nn.ReLU(inplace=True), nn.Tanh, nn.GELU)


@st.composite
def stages(draw: st.DrawFn) -> list[tuple[int, ...]]:
    """Kernel, padding, dilation, activation, pool, stride, whether normalised: for each of one to three stages."""
    stage = st.tuples(
        st.integers(1, 6),
        st.integers(0, 4),
        st.integers(1, 2),
        st.integers(0, 4),
        st.integers(0, 4),
        st.integers(1, 4),
        st.booleans(),
    )
    return draw(st.lists(stage, min_size=1, max_size=3))


def network(found: Sequence[tuple[int, ...]], length: int, end: str) -> nn.Module | None:
    layers: list[nn.Module] = []
    channels = 4
    for kernel, padding, dilation, activation, pool, stride, normalised in found:
        layers.append(nn.Conv1d(channels, 6, kernel, padding=padding, dilation=dilation, bias=not normalised))
        channels = 6
        layers += [nn.BatchNorm1d(6)] if normalised else []
        layers += [ACTIVATIONS[activation]()]
        layers += [nn.MaxPool1d(pool, stride)] if pool else []
        layers += [nn.Dropout(0.3)]
    trunk = nn.Sequential(*layers).eval()
    try:
        with torch.no_grad():
            positions = trunk(torch.zeros(1, 4, length)).shape[2]
    except RuntimeError:  # too short a window
        return None
    heads = {
        "dense": [nn.Flatten(), nn.Linear(6 * positions, 5), nn.ReLU(), nn.BatchNorm1d(5), nn.Linear(5, 3)],
        "linear": [nn.Flatten(), nn.Linear(6 * positions, 3)],
        "maximum": [nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(6, 3)],
        "mean": [nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(6, 3)],
    }
    return warm(nn.Sequential(trunk, *heads[end]))


class Recurrent(nn.Module):
    """Convolutions and an LSTM that reads them."""

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(nn.Conv1d(4, 8, 5), nn.ReLU(), nn.MaxPool1d(3))
        self.lstm = nn.LSTM(8, 6, batch_first=True, bidirectional=True)
        self.head = nn.Linear(12, 2)

    def after_convolutions(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.head(self.lstm(x.transpose(1, 2))[0].mean(dim=1)))

    def forward(self, x: Tensor) -> Tensor:
        return self.after_convolutions(self.convolutions(x))


class Tricky(nn.Module):
    """Has the attributes of a chain, but does more in its forward."""

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(nn.Conv1d(4, 8, 5), nn.ReLU())
        self.head = nn.Sequential(nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(8, 2))

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.head(self.convolutions(x)) + x.mean(dim=(1, 2))[:, None])


class Misfit(Tricky):
    """The layers of its attributes do not even fit together."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.head[2](self.convolutions(x).mean(dim=2)))
