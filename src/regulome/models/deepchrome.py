"""DeepChrome and the two smaller networks of its paper, from binned histone marks to gene expression."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from regulome.errors import InputError
from regulome.models.hyperparameters import Task, check_count, check_counts, check_number, check_task
from regulome.models.registry import Paper, register

PAPER = Paper(
    "Singh R, Lanchantin J, Robins G, Qi Y",
    "DeepChrome: deep-learning for predicting gene expression from histone modifications",
    "Bioinformatics 32(17):i639-i648",
    2016,
    "10.1093/bioinformatics/btw427",
)


class TwoClassHead(nn.Module):
    """The last layer of DeepChrome's networks, with one number out.

    Classification keeps the published layer of two outputs z0 ("low") and z1 ("high") and returns z1 − z0. That is the
    logit of "high": the published negative log-likelihood of log-softmax(z) equals binary cross-entropy with this
    logit, and their gradients are equal too. Regression has one output.

    Args:
        features: Number of inputs.
        task: "classification" or "regression".
    """

    def __init__(self, features: int, task: Task) -> None:
        super().__init__()
        self.linear = nn.Linear(features, 2 if check_task(task) == "classification" else 1)

    def forward(self, features: Tensor) -> Tensor:
        """Map [batch, features] to the logit of "high", or the value, [batch, 1]."""
        z = self.linear(features)
        if z.shape[1] == 1:
            return torch.as_tensor(z)
        return torch.as_tensor(z[:, 1:] - z[:, :1])


@register("deepchrome", title="DeepChrome", paper=PAPER)
class DeepChrome(nn.Module):
    """A convolution over all marks, max-pooling and a perceptron (Singh et al. 2016, section 2.2).

    Conv1d(marks → filters) · ReLU · MaxPool1d · flatten · Dropout, then for each width of ``hidden`` Linear · ReLU,
    then the output: 644,177 parameters at 5 marks × 100 bins. Weights and biases start uniform in ±1/√fan-in, which is
    Torch7's default and also that of ``nn.Conv1d`` and ``nn.Linear``.

    The flattened features are ordered (filter, position); Torch7's were (position, filter):
    :func:`from_position_major` reorders the columns of an imported first Linear.

    Args:
        marks: Number of histone marks (or other tracks).
        bins: Number of bins of a window.
        task: "classification" or "regression".
        filters: Number of convolution filters.
        kernel: Width of a filter, in bins.
        pool: Width and stride of the max-pooling, in positions.
        hidden: Widths of the hidden layers.
        dropout: Share of the flattened features that training drops.

    Raises:
        InputError: A value is out of range, or ``bins`` leaves nothing after convolution and pooling.
    """

    def __init__(
        self,
        marks: int,
        bins: int,
        *,
        task: Task = "classification",
        filters: int = 50,
        kernel: int = 10,
        pool: int = 5,
        hidden: Sequence[int] = (625, 125),
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        check_count("marks", marks)
        check_count("pool", pool)
        positions = check_positions(bins, kernel, pool)
        self.convolution = nn.Sequential(
            nn.Conv1d(marks, check_count("filters", filters), kernel), nn.ReLU(), nn.MaxPool1d(pool), nn.Flatten()
        )
        self.dropout = nn.Dropout(check_number("dropout", dropout, low=0, high=1))
        widths = (filters * positions, *check_counts("hidden", hidden))
        layers: list[nn.Module] = []
        for width, following in pairwise(widths):
            layers += [nn.Linear(width, following), nn.ReLU()]
        self.hidden = nn.Sequential(*layers)
        self.output = TwoClassHead(widths[-1], task)

    def forward(self, x: Tensor) -> Tensor:
        """Map marks float32 [batch, mark, bin] to the logit of "high" (z1 − z0), or the value, [batch, 1]."""
        return torch.as_tensor(self.output(self.hidden(self.dropout(self.convolution(x)))))


@register("deepchrome-linear", title="DeepChrome's linear model", paper=PAPER)
class DeepChromeLinear(nn.Module):
    """One linear layer over all bins of all marks, the smallest network beside DeepChrome.

    Args:
        marks: Number of histone marks.
        bins: Number of bins of a window.
        task: "classification" or "regression".
    """

    def __init__(self, marks: int, bins: int, *, task: Task = "classification") -> None:
        super().__init__()
        self.flatten = nn.Flatten()
        self.output = TwoClassHead(check_count("marks", marks) * check_count("bins", bins), task)

    def forward(self, x: Tensor) -> Tensor:
        """Map marks float32 [batch, mark, bin] to the logit of "high" (z1 − z0), or the value, [batch, 1]."""
        return torch.as_tensor(self.output(self.flatten(x)))


@register("deepchrome-mlp", title="DeepChrome's multilayer perceptron", paper=PAPER)
class DeepChromeMLP(nn.Module):
    """One hidden layer with tanh over all bins of all marks.

    Args:
        marks: Number of histone marks.
        bins: Number of bins of a window.
        task: "classification" or "regression".
        hidden: Width of the hidden layer.
    """

    def __init__(self, marks: int, bins: int, *, task: Task = "classification", hidden: int = 250) -> None:
        super().__init__()
        features = check_count("marks", marks) * check_count("bins", bins)
        self.hidden = nn.Sequential(nn.Flatten(), nn.Linear(features, check_count("hidden", hidden)), nn.Tanh())
        self.output = TwoClassHead(hidden, task)

    def forward(self, x: Tensor) -> Tensor:
        """Map marks float32 [batch, mark, bin] to the logit of "high" (z1 − z0), or the value, [batch, 1]."""
        return torch.as_tensor(self.output(self.hidden(x)))


def check_positions(bins: int, kernel: int, pool: int = 1) -> int:
    """Return how many positions ``bins`` leave after an unpadded convolution and pooling.

    Raises:
        InputError: None is left.
    """
    least = check_count("kernel", kernel) + pool - 1
    if check_count("bins", bins) < least:
        what = f"kernel {kernel}" + (f" and pool {pool}" if pool > 1 else "")
        raise InputError(f"{bins} bins are too few for {what}: at least {least} are needed")
    return (bins - kernel + 1) // pool


def from_position_major(weight: Tensor, filters: int) -> Tensor:
    """Reorder the columns of a Linear that follows a flatten from (position, filter) to (filter, position).

    Args:
        weight: [out, positions · filters], as Torch7 has it.
        filters: Number of filters.

    Returns:
        [out, filters · positions], as :class:`DeepChrome` has it.
    """
    return weight.reshape(len(weight), -1, filters).transpose(1, 2).flatten(1)
