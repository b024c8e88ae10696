"""LSTMs that read a window in both directions: the fast recurrence where it is one, and the LSTM that Keras has."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from regulome.models.hyperparameters import check_choice
from regulome.models.recurrent import lstm_many, stack_weights

Gates = Literal["sigmoid", "hard-sigmoid"]

#: Up to this width the compiled recurrence is faster on a CPU than torch's own.
_COMPILED_UP_TO = 128


def read_both_ways(lstm: nn.LSTM, x: Tensor) -> Tensor:
    """Run a bidirectional LSTM of one layer from zero states.

    Args:
        lstm: The LSTM, which holds the parameters.
        x: [batch, step, inputs].

    Returns:
        States [batch, step, 2·hidden]: first of the direction that reads forwards, then of the one that reads
        backwards, both in the order of the inputs. On a CPU there are no second derivatives where ``hidden`` is at most
        128; see :mod:`regulome.models.recurrent`.
    """
    if x.device.type != "cpu" or lstm.hidden_size > _COMPILED_UP_TO:
        states: Tensor = lstm(x)[0]
        return states
    return lstm_many(x[:, None], stack_weights([lstm]), lstm.hidden_size).permute(2, 1, 0, 3).flatten(2)


class KerasLSTM(nn.LSTM):
    """A bidirectional LSTM of one layer as Keras makes it: with one bias, and a choice of gates.

    torch's LSTM adds two bias vectors, of which one is superfluous. Here ``bias_ih`` is no parameter but zero, and no
    part of the state dict. Weights start as in Keras: Glorot-uniform from the inputs, orthogonal between the states,
    biases 0, and 1 for the forget gate.

    Args:
        inputs: Numbers per step.
        hidden: Hidden units per direction.
        gates: "sigmoid"; or "hard-sigmoid", min(max(0.2·z + 0.5, 0), 1), which Keras took until version 2.3: a loop
            over the steps in torch, several times slower.
    """

    def __init__(self, inputs: int, hidden: int, *, gates: Gates = "sigmoid") -> None:
        super().__init__(inputs, hidden, batch_first=True, bidirectional=True)
        self.gates = check_choice("gates", gates, ("sigmoid", "hard-sigmoid"))
        for direction in ("", "_reverse"):
            name = f"bias_ih_l0{direction}"
            zeros = torch.zeros_like(self._parameters.pop(name))  # type: ignore[arg-type]
            self.register_buffer(name, zeros.detach(), persistent=False)
            # Tells the LSTM's own list of its weights too.
            setattr(self, name, self._buffers[name])
            nn.init.xavier_uniform_(getattr(self, f"weight_ih_l0{direction}"))
            nn.init.orthogonal_(getattr(self, f"weight_hh_l0{direction}"))
            with torch.no_grad():
                getattr(self, f"bias_hh_l0{direction}").zero_()[hidden : 2 * hidden] = 1

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """Map [batch, step, inputs] to states [batch, step, 2·hidden], as :func:`read_both_ways`."""
        if self.gates == "hard-sigmoid":
            return self._hard(x)
        if x.device.type != "cpu" or self.hidden_size > _COMPILED_UP_TO:
            states: Tensor = super().forward(x)[0]
            return states
        return read_both_ways(self, x)

    def _hard(self, x: Tensor) -> Tensor:
        own = dict(self.named_parameters())
        to_gates, recurrent, bias = (
            torch.stack((own[f"{kind}_l0"], own[f"{kind}_l0_reverse"]))
            for kind in ("weight_ih", "weight_hh", "bias_hh")
        )
        both = torch.stack((x, x.flip(1))).flatten(1, 2)
        inputs = (both @ to_gates.mT + bias[:, None]).view(2, *x.shape[:2], -1)
        h = c = x.new_zeros(2, len(x), self.hidden_size)
        states = []
        for t in range(x.shape[1]):
            i, f, g, o = (inputs[:, :, t] + h @ recurrent.mT).chunk(4, dim=2)
            i, f, o = ((0.2 * gate + 0.5).clamp(0, 1) for gate in (i, f, o))
            c = f * c + i * g.tanh()
            h = o * c.tanh()
            states.append(h)
        forwards, backwards = torch.stack(states, dim=2)
        return torch.cat((forwards, backwards.flip(1)), dim=2)
