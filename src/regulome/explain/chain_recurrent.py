"""An LSTM behind a chain of layers: what it has read before a change need not be read again."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from regulome.explain.chain import Patch, Strip
from regulome.explain.chain_ends import End


class RecurrentEnd(End):
    """An LSTM in both directions, all states flattened (position, unit), Linear, then anything.

    The direction that reads forwards is as it was up to the first changed position, the other one from the last changed
    position on; each goes on from its state there. The Linear is multiplied with the states that changed only.

    Memory: a copy of the Linear's weights, each direction's together.
    """

    def __init__(self, lstm: nn.LSTM, linear: nn.Linear, rest: nn.Module, positions: int) -> None:
        self.linear, self.rest, self.units = linear, rest, lstm.hidden_size
        names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
        self.ways = [[getattr(lstm, name + way).detach() for name in names] for way in ("", "_reverse")]
        by_way = linear.weight.detach().view(linear.out_features, positions, 2, self.units)
        self.weights = [by_way[:, :, way].reshape(linear.out_features, -1) for way in range(2)]

    def start(self, reference: Tensor) -> Tensor:
        """Read the reference in both directions and keep every state."""
        self.reference = reference
        self.inputs = [reference @ into.T + one + other for into, _, one, other in self.ways]
        zero = reference.new_zeros(1, self.units)
        steps = range(len(reference))
        self.states = [self._read(0, steps, zero, zero), self._read(1, steps[::-1], zero, zero)]
        found = torch.cat([h for h, _ in self.states], dim=2)
        self.hidden = self.linear(found.flatten(1))
        return self.rest(self.hidden.clone())  # type: ignore[no-any-return]

    def outputs(self, patch: Patch) -> Tensor:
        """Read on from the reference's states beside the changes."""
        n, width, channels = patch.values.shape
        length = len(self.reference)
        first = min(max(int(patch.starts.min()), 0), length)
        last = max(min(int(patch.starts.max()) + width, length), first)
        places = patch.places()
        inside = ((places >= 0) & (places < length)).flatten()
        rows = (torch.arange(n)[:, None] * (last - first) + places - first).flatten()[inside]
        change = patch.values.new_zeros(n * (last - first), channels)
        change[rows.to(change.device)] = patch.change(self.reference).flatten(0, 1)[inside.to(change.device)]
        hidden = self.hidden.repeat(n, 1)
        for way, steps in enumerate((range(first, length), range(last - 1, -1, -1))):
            if not len(steps):
                continue
            before = steps[0] - steps.step
            h, c = (
                one[:, before].expand(n, -1) if 0 <= before < length else one.new_zeros(n, self.units)
                for one in self.states[way]
            )
            added = (change @ self.ways[way][0].T).view(n, last - first, 4 * self.units)
            found, _ = self._read(way, steps, h, c, added, first)
            here = slice(min(steps), max(steps) + 1)
            found = (found - self.states[way][0][:, here]).flatten(1)
            hidden += found @ self.weights[way][:, here.start * self.units : here.stop * self.units].T
        return self.rest(hidden)  # type: ignore[no-any-return]

    def strip(self, strip: Strip, reference: Tensor) -> tuple[Tensor, Tensor]:
        """Read the windows, and the changed ones from the windows' states beside the changes on."""
        which, windows = strip.which, reference.transpose(1, 2)
        changed = windows.index_select(0, which)
        changed[:, strip.start : strip.stop] = strip.values
        hidden = windows.new_zeros(len(windows), self.linear.out_features)
        if self.linear.bias is not None:
            hidden = hidden + self.linear.bias
        change = hidden.new_zeros(len(which), hidden.shape[1])
        length, units = windows.shape[1], self.units
        for way, (same, other) in enumerate(
            ((slice(strip.start), slice(strip.start, length)), (slice(strip.stop, length), slice(strip.stop)))
        ):
            h = c = hidden.new_zeros(1, len(windows), units)
            states = hidden.new_zeros(len(windows), length, units)
            if windows[:, same].shape[1]:
                states[:, same], h, c = self._run(way, windows[:, same], h, c)
            if windows[:, other].shape[1]:
                inputs = torch.cat([windows[:, other], changed[:, other]])
                h, c = (torch.cat([one, one.index_select(1, which)], dim=1) for one in (h, c))
                found, _, _ = self._run(way, inputs, h, c)
                states[:, other] = found[: len(windows)]
                moved = found[len(windows) :] - states[:, other].index_select(0, which)
                weight = self.weights[way].view(-1, length, units)[:, other].flatten(1)
                change.addmm_(moved.flatten(1), weight.T)
            hidden = torch.addmm(hidden, states.flatten(1), self.weights[way].T)
        outputs = self.rest(torch.cat([hidden, hidden.index_select(0, which) + change]))
        return outputs[: len(windows)], outputs[len(windows) :]

    def _run(self, way: int, inputs: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Read [n, positions, channels] from states [1, n, units] on: all states, by position, and the last."""
        inputs = inputs.flip(1) if way else inputs
        states, h, c = torch.lstm(inputs, (h, c), self.ways[way], True, 1, 0.0, False, False, True)
        return states.flip(1) if way else states, h, c

    def _read(
        self, way: int, steps: Sequence[int], h: Tensor, c: Tensor, added: Tensor | None = None, first: int = 0
    ) -> tuple[Tensor, Tensor]:
        """States and cells [n, steps, units] in the order of positions; ``added`` to the inputs from ``first`` on."""
        recurrent = self.ways[way][1].T
        states, cells = [], []
        for step in steps:
            gates = torch.addmm(self.inputs[way][step], h, recurrent)
            if added is not None and 0 <= step - first < added.shape[1]:
                gates += added[:, step - first]
            i, f, g, o = gates.chunk(4, dim=1)
            c = torch.addcmul(f.sigmoid() * c, i.sigmoid(), g.tanh())
            h = o.sigmoid() * c.tanh()
            states.append(h)
            cells.append(c)
        if way:
            states.reverse()
            cells.reverse()
        return torch.stack(states, dim=1), torch.stack(cells, dim=1)


def recurrent_end(layers: Sequence[nn.Module], positions: int) -> RecurrentEnd | None:
    """Make the end for an LSTM and what follows it; None where it is not of the form that is known."""
    lstm = layers[0]
    rest = [layer for layer in layers[1:] if not isinstance(layer, nn.Dropout)]
    if not isinstance(lstm, nn.LSTM) or len(rest) < 2:
        return None
    flatten, linear = rest[:2]
    plain = (lstm.num_layers, lstm.bidirectional, lstm.batch_first, lstm.bias, lstm.proj_size) == (
        1,
        True,
        True,
        True,
        0,
    )
    if not plain or getattr(lstm, "gates", "sigmoid") != "sigmoid":
        return None
    if type(flatten) is not nn.Flatten or (flatten.start_dim, flatten.end_dim) != (1, -1):
        return None
    if type(linear) is not nn.Linear or linear.in_features != positions * 2 * lstm.hidden_size:
        return None
    return RecurrentEnd(lstm, linear, nn.Sequential(*rest[2:]), positions)
