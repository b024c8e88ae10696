"""DanQ: one convolution finds motifs, a bidirectional LSTM reads how they follow each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from regulome.errors import InputError
from regulome.models.bidirectional import Gates, KerasLSTM
from regulome.models.hyperparameters import check_count
from regulome.models.registry import Paper, register
from regulome.models.windows import check_shares, count_positions

PAPER = Paper(
    "Quang D, Xie X",
    "DanQ: a hybrid convolutional and recurrent deep neural network for quantifying the function of DNA sequences",
    "Nucleic Acids Research 44(11):e107",
    2016,
    "10.1093/nar/gkw226",
)


@register("danq", title="DanQ", paper=PAPER, line="sequence", inputs="sequence", sizes={"length": 1000, "targets": 919})
class DanQ(nn.Module):
    """Convolution, bidirectional LSTM over its pooled positions, one hidden layer (Quang & Xie 2016).

    Conv1d 4 → filters without padding · ReLU · MaxPool1d · Dropout · LSTM in both directions · Dropout · flatten ·
    Linear → hidden · ReLU · Linear → targets. The LSTM has one bias as in Keras (torch's second one is no parameter):
    46,926,479 parameters at 1,000 bases and 919 targets. The flattened states are ordered (position, unit), as Keras'
    are. Weights start as in Keras: Glorot-uniform, orthogonal between states, biases 0, the forget gates' 1.

    Args:
        length: Bases of a window.
        targets: Number of chromatin features.
        filters: Filters of the convolution.
        kernel: Width of a filter, in bases.
        pool: Width and stride of the max-pooling.
        units: Units of the LSTM, per direction.
        hidden: Width of the hidden layer.
        dropout: Shares that training drops: of the pooled positions, and of the LSTM's states.
        gates: Of the LSTM: "sigmoid", or "hard-sigmoid" as the published weights need it (slower).

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
        filters: int = 320,
        kernel: int = 26,
        pool: int = 13,
        units: int = 320,
        hidden: int = 925,
        dropout: Sequence[float] = (0.2, 0.5),
        gates: Gates = "sigmoid",
    ) -> None:
        super().__init__()
        stage = (check_count("kernel", kernel), check_count("pool", pool))
        positions = count_positions(length, [stage])
        shares = check_shares("dropout", dropout, 2)
        self.convolutions = nn.Sequential(
            nn.Conv1d(4, check_count("filters", filters), kernel),
            nn.ReLU(),
            nn.MaxPool1d(pool),
            nn.Dropout(shares[0]),
        )
        self.lstm = KerasLSTM(filters, check_count("units", units), gates=gates)
        self.head = nn.Sequential(
            nn.Dropout(shares[1]),
            nn.Flatten(),
            nn.Linear(positions * 2 * units, check_count("hidden", hidden)),
            nn.ReLU(),
            nn.Linear(hidden, check_count("targets", targets)),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv1d | nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map one-hot letters float32 [batch, 4, length] to logits [batch, targets]."""
        return torch.as_tensor(self.head(self.lstm(self.convolutions(x).transpose(1, 2))))


@register(
    "danq-jaspar",
    title="DanQ-JASPAR",
    paper=PAPER,
    line="sequence",
    inputs="sequence",
    sizes={"length": 1000, "targets": 919},
)
class DanQJaspar(DanQ):
    """DanQ with 1,024 longer filters, about half of which start as known motifs (Quang & Xie 2016).

    67,892,175 parameters at 1,000 bases and 919 targets. The network itself reads no file: before its training
    begins, the matrices of the file ``motifs`` are handed to :meth:`start_from`; a trained network needs the file no
    more.

    Args:
        length: Bases of a window.
        targets: Number of chromatin features.
        filters: See :class:`DanQ`, like all that follow.
        kernel: Width of a filter, in bases.
        pool: Width and stride of the max-pooling.
        units: Units of the LSTM, per direction.
        hidden: Width of the hidden layer.
        dropout: Shares that training drops.
        gates: "sigmoid" or "hard-sigmoid".
        motifs: File of motifs (MEME, or JASPAR's own format) with which filters start; empty for none.
    """

    def __init__(
        self,
        length: int,
        targets: int,
        *,
        filters: int = 1024,
        kernel: int = 30,
        pool: int = 15,
        units: int = 512,
        hidden: int = 925,
        dropout: Sequence[float] = (0.2, 0.5),
        gates: Gates = "sigmoid",
        motifs: str = "",
    ) -> None:
        super().__init__(
            length,
            targets,
            filters=filters,
            kernel=kernel,
            pool=pool,
            units=units,
            hidden=hidden,
            dropout=dropout,
            gates=gates,
        )
        self.motifs = motifs

    @torch.no_grad()
    def start_from(self, matrices: Sequence[Tensor]) -> int:
        """Let the first filters be motifs, one each: probabilities − 0.25 somewhere in the filter, as published.

        The place is random, at least 3 bases from the filter's ends where the motif leaves so much room; around it the
        filter keeps its random weights. Its bias is drawn from [−1, 0]. Of a motif wider than the filter the most
        informative stretch is taken. Random numbers are torch's.

        Args:
            matrices: Probabilities of A, C, G and T [position, 4] of each motif, at most as many as filters.

        Returns:
            How many filters are motifs now.

        Raises:
            InputError: There are more motifs than filters.
        """
        convolution = self.convolutions[0]
        assert isinstance(convolution, nn.Conv1d)
        assert convolution.bias is not None
        filters, _, kernel = convolution.weight.shape
        if len(matrices) > filters:
            raise InputError(
                f"{len(matrices)} motifs are too many for {filters} filters",
                cure="give fewer motifs or set more filters",
            )
        for filter_, matrix in enumerate(matrices):
            motif = _most_informative(torch.as_tensor(matrix).to(convolution.weight), kernel)
            room = kernel - len(motif)
            low, high = (3, room - 3) if room >= 6 else (0, room)
            start = int(torch.randint(low, high + 1, ()))
            convolution.weight[filter_, :, start : start + len(motif)] = motif.T - 0.25
            convolution.bias[filter_] = -torch.rand(())
        return len(matrices)


def _most_informative(motif: Tensor, width: int) -> Tensor:
    """Cut a motif [position, 4] to the ``width`` neighbours that say most."""
    if len(motif) <= width:
        return motif
    bits = (2 + (motif * motif.clamp(min=1e-9).log2()).sum(dim=1)).unfold(0, width, 1).sum(dim=1)
    start = int(bits.argmax())
    return motif[start : start + width]
