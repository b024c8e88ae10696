"""The three networks of the Deep Motif Dashboard: convolutions, an LSTM in both directions, and one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn

from regulome.models.bidirectional import read_both_ways
from regulome.models.hyperparameters import check_count, check_counts, check_number
from regulome.models.registry import Paper, register
from regulome.models.windows import check_series, count_positions

PAPER = Paper(
    "Lanchantin J, Singh R, Wang B, Qi Y",
    "Deep Motif Dashboard: visualizing and understanding genomic sequences using deep neural networks",
    "Pacific Symposium on Biocomputing 22:254-265",
    2017,
    "10.1142/9789813207813_0025",
)

#: The paper's: DeepBind's windows of 101 bases, bound or not.
SIZES = {"length": 101, "targets": 1}


class PairedOutputs(nn.Module):
    """The published last layer, which gives two numbers, with one number out for each target.

    The layer gives z0 ("not bound") and z1 ("bound"); out comes z1 − z0. That is the logit of "bound": the published
    negative log-likelihood of log-softmax(z) equals binary cross-entropy with this logit.

    Args:
        features: Number of inputs.
        targets: Number of targets.
    """

    def __init__(self, features: int, targets: int) -> None:
        super().__init__()
        self.linear = nn.Linear(features, 2 * check_count("targets", targets))

    def forward(self, features: Tensor) -> Tensor:
        """Map [batch, features] to logits [batch, targets]."""
        pairs: Tensor = self.linear(features).view(len(features), -1, 2)
        return pairs[:, :, 1] - pairs[:, :, 0]


@register("demo-cnn", title="DeMo CNN", paper=PAPER, line="sequence", inputs="sequence", sizes=SIZES)
class DemoCNN(nn.Module):
    """Three convolutions, and the maximum over positions (Lanchantin et al. 2017, section 2.1).

    Per convolution: Conv1d without padding · ReLU · MaxPool1d (not after the last) · Dropout; then the maximum over all
    positions and the output: 136,322 parameters with one target, for windows of any length.

    Args:
        length: Bases of a window.
        targets: Number of targets.
        filters: Filters of each convolution.
        kernels: Width of each convolution's filters, in bases or positions.
        pool: Width and stride of the max-pooling.
        dropout: Share that training drops after each convolution.

    Raises:
        InputError: A value is out of range, or the window is too short.
    """

    #: What an unknown letter is in all four channels.
    unknown: ClassVar[float] = 0.0

    def __init__(
        self,
        length: int,
        targets: int,
        *,
        filters: Sequence[int] = (128, 128, 128),
        kernels: Sequence[int] = (9, 5, 3),
        pool: int = 2,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        channels = (4, *check_counts("filters", filters))
        kernels = check_series("kernels", kernels, like=filters, of="filters")
        check_number("dropout", dropout, low=0, high=1)
        pools = [check_count("pool", pool)] * (len(kernels) - 1) + [1]
        count_positions(length, list(zip(kernels, pools, strict=True)))
        layers: list[nn.Module] = []
        for (before, after), kernel, width in zip(pairwise(channels), kernels, pools, strict=True):
            layers += [nn.Conv1d(before, after, kernel), nn.ReLU()]
            layers += [nn.MaxPool1d(width)] if width > 1 else []
            layers += [nn.Dropout(dropout)]
        self.convolutions = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.AdaptiveMaxPool1d(1), nn.Flatten(), PairedOutputs(channels[-1], targets))

    def forward(self, x: Tensor) -> Tensor:
        """Map one-hot letters float32 [batch, 4, length] to logits (z1 − z0) [batch, targets]."""
        return torch.as_tensor(self.head(self.convolutions(x)))


class MeanOfStates(nn.Module):
    """What the two recurrent networks share: an LSTM forward, one backward, the mean of their states, the output.

    Weights start normal with variance 1/(inputs + hidden), biases 0, the forget gates' 1, as published. Of torch's two
    bias vectors both are parameters, and they add up.

    Args:
        inputs: Numbers per position.
        targets: Number of targets.
        hidden: Hidden units per direction.
        dropout: Share of the states that training drops.
    """

    #: What an unknown letter is in all four channels.
    unknown: ClassVar[float] = 0.0
    #: Most of its work is in the recurrence; see :func:`regulome.models.recurrent.threads_for`.
    own_threads = True

    def __init__(self, inputs: int, targets: int, *, hidden: int, dropout: float) -> None:
        super().__init__()
        self.lstm = nn.LSTM(inputs, check_count("hidden", hidden), batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(check_number("dropout", dropout, low=0, high=1))
        self.output = PairedOutputs(2 * hidden, targets)
        for name, parameter in self.lstm.named_parameters():
            if name.startswith("weight"):
                nn.init.normal_(parameter, std=(inputs + hidden) ** -0.5)
            else:
                nn.init.zeros_(parameter)
            if name.startswith("bias_hh"):
                nn.init.ones_(parameter[hidden : 2 * hidden])

    def read(self, x: Tensor) -> Tensor:
        """Give what the LSTMs read, [batch, position, inputs], of one-hot letters [batch, 4, length]."""
        return x.transpose(1, 2)

    def states(self, x: Tensor) -> Tensor:
        """Map one-hot letters [batch, 4, length] to the states of both directions [batch, position, 2·hidden]."""
        return read_both_ways(self.lstm, self.read(x))

    def forward(self, x: Tensor) -> Tensor:
        """Map one-hot letters float32 [batch, 4, length] to logits (z1 − z0) [batch, targets]."""
        return torch.as_tensor(self.output(self.dropout(self.states(x)).mean(dim=1)))


@register("demo-rnn", title="DeMo RNN", paper=PAPER, line="sequence", inputs="sequence", sizes=SIZES)
class DemoRNN(MeanOfStates):
    """An LSTM that reads left to right and one right to left, their states averaged (Lanchantin et al. 2017).

    9,858 parameters with one target, for windows of any length.

    Args:
        length: Bases of a window.
        targets: Number of targets.
        hidden: Hidden units per direction.
        dropout: Share of the states that training drops.

    Raises:
        InputError: A value is out of range.
    """

    def __init__(self, length: int, targets: int, *, hidden: int = 32, dropout: float = 0.5) -> None:
        check_count("length", length)
        super().__init__(4, targets, hidden=hidden, dropout=dropout)


@register("demo-cnn-rnn", title="DeMo CNN-RNN", paper=PAPER, line="sequence", inputs="sequence", sizes=SIZES)
class DemoCNNRNN(MeanOfStates):
    """A convolution finds motifs, an LSTM in both directions reads them (Lanchantin et al. 2017, section 2.3).

    Conv1d, padded with zeros to keep all positions · ReLU, then as :class:`DemoRNN`: 46,338 parameters with one
    target, for windows of any length.

    Args:
        length: Bases of a window.
        targets: Number of targets.
        filters: Filters of the convolution.
        kernel: Width of a filter, in bases.
        hidden: Hidden units per direction.
        dropout: Share of the states that training drops.

    Raises:
        InputError: A value is out of range.
    """

    def __init__(
        self,
        length: int,
        targets: int,
        *,
        filters: int = 128,
        kernel: int = 9,
        hidden: int = 32,
        dropout: float = 0.5,
    ) -> None:
        check_count("length", length)
        super().__init__(check_count("filters", filters), targets, hidden=hidden, dropout=dropout)
        # An even kernel leaves one position more, as published; nothing depends on their number.
        padding = check_count("kernel", kernel) // 2
        self.convolutions = nn.Sequential(nn.Conv1d(4, filters, kernel, padding=padding), nn.ReLU())

    def read(self, x: Tensor) -> Tensor:
        """Give what the convolution finds, [batch, position, filters]."""
        return torch.as_tensor(self.convolutions(x)).transpose(1, 2)
