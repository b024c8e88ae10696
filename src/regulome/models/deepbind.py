"""DeepBind: motif detectors on both strands, thresholds, pooling over the whole sequence, a small network."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from regulome.errors import InputError
from regulome.models.hyperparameters import check_choice, check_count, check_number
from regulome.models.registry import Paper, register

PAPER = Paper(
    "Alipanahi B, Delong A, Weirauch MT, Frey BJ",
    "Predicting the sequence specificities of DNA- and RNA-binding proteins by deep learning",
    "Nature Biotechnology 33(8):831-838",
    2015,
    "10.1038/nbt.3300",
)


class Detectors(nn.Module):
    """Motif detectors: scores of every position at which a detector touches the sequence, on one strand or both.

    Beyond the ends, a quarter of each letter is read. The other strand is scored by the detectors' reverse
    complements, which gives the reverse complement's scores in the opposite order of positions: pooling over all
    positions does not see the order.

    Args:
        number: Number of detectors.
        length: Their length.
        both_strands: Score the reverse complement too.
    """

    def __init__(self, number: int, length: int, *, both_strands: bool) -> None:
        super().__init__()
        self.both_strands = both_strands
        #: [detector, 4, length]; starts as in a convolution.
        self.weight = nn.Parameter(nn.Conv1d(4, number, length, bias=False).weight.detach())
        #: Added to the scores, not subtracted, as in the published files.
        self.thresholds = nn.Parameter(torch.zeros(number))

    def forward(self, x: Tensor) -> Tensor:
        """Map one-hot [batch, 4, base] to scores [batch, strand · detector, base + length − 1]."""
        weight: Tensor = self.weight
        thresholds: Tensor = self.thresholds
        if self.both_strands:
            # Letters stand in the order A C G T, in which a letter's complement is found from the other end.
            weight, thresholds = torch.cat((weight, weight.flip(1, 2))), torch.cat((thresholds, thresholds))
        reach = self.weight.shape[2] - 1
        return nn.functional.conv1d(nn.functional.pad(x, (reach, reach), value=0.25), weight, thresholds)


@register(
    "deepbind", title="DeepBind", paper=PAPER, line="sequence", inputs="sequence", sizes={"length": 101, "targets": 1}
)
class DeepBind(nn.Module):
    """Rectified motif scores, pooled over the sequence, and one Linear or two; the better strand's answer counts.

    Both strands are scored with the same weights in one pass. By default 1,569 parameters: 16 detectors of 24 letters,
    16 thresholds, one Linear (Alipanahi et al. 2015; their four of six published ENCODE models have this form, the
    other two a hidden layer of 32).

    Args:
        length: Bases of a window.
        targets: Number of targets; of each the larger of both strands' answers counts.
        detectors: Number of motif detectors.
        detector_length: Their length, about 1.5 times that of a motif.
        pooling: "max", or "max-and-mean": both are features.
        hidden: Units of a hidden layer; 0 means none.
        dropout: Share of what goes into the last Linear (hidden units, or pooled scores) that is dropped.
        both_strands: Score the reverse complement too; False for RNA.
        detector_std: Standard deviation of the detectors' first values; 0 draws them as torch does.
        weight_std: Likewise for the weights of the Linear layers, whose biases then start at 0.

    Raises:
        InputError: A value is out of range.
    """

    #: What an unknown letter is in all four channels.
    unknown: ClassVar[float] = 0.25

    def __init__(
        self,
        length: int,
        targets: int,
        *,
        detectors: int = 16,
        detector_length: int = 24,
        pooling: str = "max",
        hidden: int = 0,
        dropout: float = 0.0,
        both_strands: bool = True,
        detector_std: float = 0.0,
        weight_std: float = 0.0,
    ) -> None:
        super().__init__()
        self.length = check_count("length", length)
        check_count("targets", targets)
        check_count("detectors", detectors)
        check_count("detector_length", detector_length)
        check_choice("pooling", pooling, ("max", "max-and-mean"))
        check_count("hidden", hidden, minimum=0)
        check_number("dropout", dropout, low=0, high=1)
        self.strands = 2 if both_strands else 1
        self.detectors = Detectors(detectors, detector_length, both_strands=both_strands)
        self.relu = nn.ReLU()
        positions = length + detector_length - 1
        self.max = nn.MaxPool1d(positions)
        self.mean = nn.AvgPool1d(positions) if pooling == "max-and-mean" else None
        features = detectors * (1 if self.mean is None else 2)
        self.hidden = nn.Linear(features, hidden) if hidden else None
        self.hidden_relu = nn.ReLU() if hidden else None
        self.dropout = nn.Dropout(dropout)
        self.answer = nn.Linear(hidden or features, targets)
        self._start(
            check_number("detector_std", detector_std, low=0),
            check_number("weight_std", weight_std, low=0),
        )

    @torch.no_grad()
    def _start(self, detector_std: float, weight_std: float) -> None:
        if detector_std:
            nn.init.normal_(self.detectors.weight, std=detector_std)
        for linear in (self.hidden, self.answer):
            if weight_std and linear is not None:
                nn.init.normal_(linear.weight, std=weight_std)
                nn.init.zeros_(linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map one-hot float32 [batch, 4, length] to logits or values [batch, targets].

        Raises:
            InputError: The windows have another length: pooling is over the whole window.
        """
        if x.shape[2] != self.length:
            raise InputError(f"expected windows of {self.length} bases, but got {x.shape[2]}")
        scores = self.relu(self.detectors(x))
        pooled = [self.max(scores)] if self.mean is None else [self.max(scores), self.mean(scores)]
        # [batch, strand, detector] of each kind of pooling, side by side.
        features = torch.cat([part.reshape(len(x), self.strands, -1) for part in pooled], dim=2)
        if self.hidden is not None and self.hidden_relu is not None:
            features = self.hidden_relu(self.hidden(features))
        return torch.as_tensor(self.answer(self.dropout(features)).amax(dim=1))
