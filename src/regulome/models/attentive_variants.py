"""The rows beside AttentiveChrome in its paper's tables: with and without each of its parts.

The paper gives no sizes for them; ours are AttentiveChrome's where there is a counterpart, DeepChrome's elsewhere.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from regulome.models.attentivechrome import PAPER, MarkLSTMs, start_small
from regulome.models.deepchrome import check_positions
from regulome.models.encoders import ContextAttention, RecurrentEncoder
from regulome.models.hyperparameters import Task, check_count, check_task
from regulome.models.registry import register


class JointLSTM(nn.Module):
    """One bidirectional LSTM over the bins, reading all marks of a bin at once.

    Args:
        marks: Number of histone marks.
        bins: Number of bins of a window; the parameters do not depend on it.
        task: "classification" or "regression".
        hidden: Hidden units per direction.
        attention: Attention over the bins; else the last states of both directions.
    """

    #: Most of its work is in the recurrence; see :func:`regulome.models.recurrent.threads_for`.
    own_threads = True

    def __init__(self, marks: int, bins: int, *, task: Task, hidden: int, attention: bool) -> None:
        super().__init__()
        check_count("bins", bins)
        check_task(task)
        self.encoder = RecurrentEncoder(check_count("marks", marks), check_count("hidden", hidden), attention=attention)
        self.output = nn.Linear(2 * hidden, 1)
        start_small(self)

    def forward(self, x: Tensor) -> Tensor:
        """Map marks float32 [batch, mark, bin] to the logit of "high", or the value, [batch, 1]."""
        vector, _ = self.encoder(x.transpose(1, 2))
        answer: Tensor = self.output(vector)
        return answer


@register("lstm", title="LSTM", paper=PAPER)
class LSTM(JointLSTM):
    """LSTM: one LSTM over all marks, its last states, Linear.

    Args:
        marks: Number of histone marks.
        bins: Number of bins of a window.
        task: "classification" or "regression".
        hidden: Hidden units per direction.
    """

    def __init__(self, marks: int, bins: int, *, task: Task = "classification", hidden: int = 32) -> None:
        super().__init__(marks, bins, task=task, hidden=hidden, attention=False)


@register("lstm-attention", title="LSTM-Attn", paper=PAPER)
class LSTMAttention(JointLSTM):
    """LSTM-Attn: one LSTM over all marks, attention over its states, Linear.

    Args:
        marks: Number of histone marks.
        bins: Number of bins of a window.
        task: "classification" or "regression".
        hidden: Hidden units per direction.
    """

    def __init__(self, marks: int, bins: int, *, task: Task = "classification", hidden: int = 32) -> None:
        super().__init__(marks, bins, task=task, hidden=hidden, attention=True)

    def attention(self, x: Tensor) -> dict[str, Tensor]:
        """Return "bins", the attention [batch, 1, bin] that marks [batch, mark, bin] get; it sums to 1 over bins."""
        return {"bins": self.encoder(x.transpose(1, 2))[1][:, None]}


@register("lstm-alpha", title="LSTM-α", paper=PAPER)
class LSTMAlpha(MarkLSTMs):
    """LSTM-α: AttentiveChrome without attention over marks: the mark LSTM's last states go to the Linear.

    Args:
        marks: See :class:`~regulome.models.attentivechrome.MarkLSTMs`, like all others.
        bins: Number of bins.
        task: "classification" or "regression".
        hidden: Hidden units per direction.
        layers: Layers of each LSTM.
        dropout: Share dropped between layers.
    """

    def __init__(
        self,
        marks: int,
        bins: int,
        *,
        task: Task = "classification",
        hidden: int = 32,
        layers: int = 1,
        dropout: float = 0.5,
    ) -> None:
        super().__init__(marks, bins, task=task, hidden=hidden, layers=layers, dropout=dropout, mark_attention=False)


@register("cnn-attention", title="CNN-Attn", paper=PAPER)
class CNNAttention(nn.Module):
    """CNN-Attn: a convolution over all marks, attention over its positions instead of pooling, Linear.

    Args:
        marks: Number of histone marks.
        bins: Number of bins of a window.
        task: "classification" or "regression".
        filters: Number of convolution filters.
        kernel: Width of a filter, in bins.

    Raises:
        InputError: A value is out of range, or ``bins`` < ``kernel``.
    """

    def __init__(
        self, marks: int, bins: int, *, task: Task = "classification", filters: int = 50, kernel: int = 10
    ) -> None:
        super().__init__()
        check_positions(bins, kernel)
        check_task(task)
        self.convolution = nn.Conv1d(check_count("marks", marks), check_count("filters", filters), kernel)
        self.relu = nn.ReLU()
        self.bin_attention = ContextAttention(filters)
        self.output = nn.Linear(filters, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map marks float32 [batch, mark, bin] to the logit of "high", or the value, [batch, 1]."""
        answer: Tensor = self.output(self._attended(x)[0])
        return answer

    def attention(self, x: Tensor) -> dict[str, Tensor]:
        """Return "bins", attention [batch, 1, bins − kernel + 1]; position p covers the bins p … p + kernel − 1."""
        return {"bins": self._attended(x)[1][:, None]}

    def _attended(self, x: Tensor) -> tuple[Tensor, Tensor]:
        vector, weights = self.bin_attention(self.relu(self.convolution(x)).transpose(1, 2))
        return vector, weights


@register("cnn-alpha-beta", title="CNN-α,β", paper=PAPER)
class CNNAlphaBeta(nn.Module):
    """CNN-α,β: AttentiveChrome with a convolution for each mark in the place of the bin LSTM.

    Args:
        marks: Number of histone marks.
        bins: Number of bins of a window.
        task: "classification" or "regression".
        filters: Number of convolution filters of each mark.
        kernel: Width of a filter, in bins.
        hidden: Hidden units per direction of the LSTM over marks.

    Raises:
        InputError: A value is out of range, or ``bins`` < ``kernel``.
    """

    def __init__(
        self,
        marks: int,
        bins: int,
        *,
        task: Task = "classification",
        filters: int = 64,
        kernel: int = 10,
        hidden: int = 16,
    ) -> None:
        super().__init__()
        check_positions(bins, kernel)
        check_task(task)
        self.marks = check_count("marks", marks)
        self.convolution = nn.Conv1d(marks, marks * check_count("filters", filters), kernel, groups=marks)
        self.relu = nn.ReLU()
        self.bin_context_vectors = nn.Parameter(torch.empty(marks, filters, 1).uniform_(-0.1, 0.1))
        self.softmax = nn.Softmax(dim=2)
        self.hm_level_rnn_1 = RecurrentEncoder(filters, check_count("hidden", hidden), attention=True)
        self.fdiff1_1 = nn.Linear(2 * hidden, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map marks float32 [batch, mark, bin] to the logit of "high", or the value, [batch, 1]."""
        answer: Tensor = self.fdiff1_1(self._attended(x)[0])
        return answer

    def attention(self, x: Tensor) -> dict[str, Tensor]:
        """Return the attention maps of marks [batch, mark, bin].

        Returns:
            "bins" [batch, mark, bins − kernel + 1], where position p covers the bins p … p + kernel − 1; "marks"
            [batch, mark]. Both sum to 1 over their last axis.
        """
        _, alpha, beta = self._attended(x)
        return {"bins": alpha, "marks": beta}

    def _attended(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        found = self.relu(self.convolution(x)).reshape(len(x), self.marks, self.bin_context_vectors.shape[1], -1)
        alpha = self.softmax((found * self.bin_context_vectors).sum(dim=2))
        gene, beta = self.hm_level_rnn_1((found @ alpha[:, :, :, None]).squeeze(3))
        return gene, alpha, beta
