"""AttentiveChrome: an LSTM for each mark, attention over bins, an LSTM over marks, attention over marks."""

from __future__ import annotations

from torch import Tensor, nn

from regulome.models.encoders import RecurrentEncoder, encode_many
from regulome.models.hyperparameters import Task, check_count, check_number, check_task
from regulome.models.registry import Paper, register

PAPER = Paper(
    "Singh R, Lanchantin J, Sekhon A, Qi Y",
    "Attend and Predict: Understanding Gene Regulation by Selective Attention on Chromatin",
    "Advances in Neural Information Processing Systems 30",
    2017,
)


class MarkLSTMs(nn.Module):
    """What AttentiveChrome and LSTM-α share: an attended LSTM for each mark, and an LSTM over the mark vectors.

    Parameters have the names and shapes of the published checkpoints and start uniform in ±0.1.

    Args:
        marks: Number of histone marks (or other tracks).
        bins: Number of bins of a window; the parameters do not depend on it.
        task: "classification" or "regression".
        hidden: Hidden units per direction of the bin LSTMs; the mark LSTM has half of it.
        layers: Layers of each LSTM.
        dropout: Share dropped between LSTM layers: nothing while ``layers`` is 1, as published.
        mark_attention: Attention over marks; else the last states of the mark LSTM's two directions.

    Raises:
        InputError: A value is out of range.
    """

    #: Most of its work is in the recurrence; see :func:`regulome.models.recurrent.threads_for`.
    own_threads = True

    def __init__(
        self,
        marks: int,
        bins: int,
        *,
        task: Task,
        hidden: int,
        layers: int,
        dropout: float,
        mark_attention: bool,
    ) -> None:
        super().__init__()
        check_count("bins", bins)
        check_task(task)
        check_count("hidden", hidden, minimum=2)
        check_count("layers", layers)
        check_number("dropout", dropout, low=0, high=1)
        self.rnn_hms = nn.ModuleList(
            RecurrentEncoder(1, hidden, layers=layers, dropout=dropout, attention=True)
            for _ in range(check_count("marks", marks))
        )
        self.hm_level_rnn_1 = RecurrentEncoder(
            2 * hidden, hidden // 2, layers=layers, dropout=dropout, attention=mark_attention
        )
        self.fdiff1_1 = nn.Linear(2 * (hidden // 2), 1)
        start_small(self)

    def forward(self, x: Tensor) -> Tensor:
        """Map marks float32 [batch, mark, bin] to the logit of "high", or the value, [batch, 1]."""
        vectors, _ = encode_many(self.rnn_hms, x[:, :, :, None])
        answer: Tensor = self.fdiff1_1(self.hm_level_rnn_1(vectors)[0])
        return answer

    def attention(self, x: Tensor) -> dict[str, Tensor]:
        """Return the attention maps of marks [batch, mark, bin].

        Returns:
            "bins": alpha [batch, mark, bin], which sums to 1 over bins; where there is attention over marks also
            "marks": beta [batch, mark], which sums to 1.
        """
        vectors, alpha = encode_many(self.rnn_hms, x[:, :, :, None])
        _, beta = self.hm_level_rnn_1(vectors)
        return {name: weights for name, weights in (("bins", alpha), ("marks", beta)) if weights is not None}


@register("attentivechrome", title="AttentiveChrome (LSTM-α,β)", paper=PAPER)
class AttentiveChrome(MarkLSTMs):
    """Two levels of LSTM and attention: which bins matter for a mark, which marks for a gene (Singh et al. 2017).

    Each mark has its own bidirectional LSTM over its bins; attention alpha sums its states to a mark vector. A
    bidirectional LSTM runs over the mark vectors, in mark order; attention beta sums its states to a gene vector, from
    which one Linear makes the answer: 55,681 parameters at 5 marks, for any number of bins.

    Args:
        marks: See :class:`MarkLSTMs`, like all others.
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
        super().__init__(marks, bins, task=task, hidden=hidden, layers=layers, dropout=dropout, mark_attention=True)


def start_small(network: nn.Module) -> None:
    """Draw every parameter uniformly from ±0.1, as the authors of AttentiveChrome do."""
    for parameter in network.parameters():
        nn.init.uniform_(parameter, -0.1, 0.1)
