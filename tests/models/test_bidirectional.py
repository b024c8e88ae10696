import copy

import pytest
import torch
from torch import Tensor, nn

from regulome.errors import InputError
from regulome.models import KerasLSTM, read_both_ways


@pytest.mark.parametrize("hidden", [5, 140])
def test_equals_torch(hidden: int) -> None:
    torch.manual_seed(0)
    lstm = nn.LSTM(6, hidden, batch_first=True, bidirectional=True).double()
    x = torch.randn(3, 9, 6, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(3, 9, 2 * hidden, dtype=torch.float64)
    gradients = []
    for states in (read_both_ways(lstm, x), lstm(x)[0]):
        gradients.append(torch.autograd.grad((states * weights).sum(), [x, *lstm.parameters()]))
        torch.testing.assert_close(states, lstm(x)[0])
    torch.testing.assert_close(gradients[0], gradients[1])


class TestKerasLSTM:
    def test_has_one_bias(self) -> None:
        lstm = KerasLSTM(3, 5)
        assert sum(p.numel() for p in lstm.parameters()) == 2 * 4 * 5 * (3 + 5 + 1)
        assert set(lstm.state_dict()) == {name for name, _ in lstm.named_parameters()}

    @pytest.mark.parametrize("hidden", [5, 140])
    def test_equals_torch_with_a_zero_bias(self, hidden: int) -> None:
        torch.manual_seed(0)
        lstm = KerasLSTM(3, hidden).double()
        other = nn.LSTM(3, hidden, batch_first=True, bidirectional=True).double()
        missing = other.load_state_dict(lstm.state_dict(), strict=False).missing_keys
        assert missing == ["bias_ih_l0", "bias_ih_l0_reverse"]
        for name in missing:
            nn.init.zeros_(getattr(other, name))
        x = torch.randn(3, 9, 3, dtype=torch.float64)
        torch.testing.assert_close(lstm(x), other(x)[0])
        with torch.no_grad():
            for parameter in lstm.parameters():
                parameter += 0.1
        moved = copy.deepcopy(lstm)
        assert torch.equal(moved(x), lstm(x))
        assert not torch.allclose(lstm(x), other(x)[0])

    def test_starts_as_in_keras(self) -> None:
        torch.manual_seed(0)
        lstm = KerasLSTM(3, 5)
        limit = (6 / (3 + 20)) ** 0.5
        assert 0.9 * limit < float(lstm.weight_ih_l0.detach().abs().max()) <= limit
        recurrent = lstm.weight_hh_l0_reverse
        torch.testing.assert_close(recurrent.T @ recurrent, torch.eye(5))
        assert lstm.bias_hh_l0.tolist() == [0.0] * 5 + [1.0] * 5 + [0.0] * 10

    def test_hard_gates(self) -> None:
        torch.manual_seed(0)
        lstm = KerasLSTM(3, 4, gates="hard-sigmoid").double()
        x = 4 * torch.randn(2, 6, 3, dtype=torch.float64)

        def read(x: Tensor, d: str) -> Tensor:
            p = dict(lstm.named_parameters())
            h = c = torch.zeros(len(x), 4, dtype=x.dtype)
            states = []
            for t in range(x.shape[1]):
                z = x[:, t] @ p[f"weight_ih_l0{d}"].T + h @ p[f"weight_hh_l0{d}"].T + p[f"bias_hh_l0{d}"]
                i, f, o = (torch.clip(0.2 * z[:, k : k + 4] + 0.5, 0, 1) for k in (0, 4, 12))
                c = f * c + i * torch.tanh(z[:, 8:12])
                h = o * torch.tanh(c)
                states.append(h)
            return torch.stack(states, 1)

        torch.testing.assert_close(lstm(x), torch.cat((read(x, ""), read(x.flip(1), "_reverse").flip(1)), 2))

    def test_unknown_gates(self) -> None:
        with pytest.raises(InputError, match="expected `gates` to be one of sigmoid, hard-sigmoid, but got 'relu'"):
            KerasLSTM(3, 4, gates="relu")
