"""The questions that every language network has to answer; a new one joins with a few lines.

class TestCharGRU(LanguageTester):
    name = "char-gru"
    parameters = 161_924
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from regulome import models
from regulome.errors import InputError

REPEAT = torch.tensor(["ACGT".index(letter) for letter in "AGCTTGAGGC"], dtype=torch.uint8)


class LanguageTester:
    name: ClassVar[str]
    #: The count at the defaults.
    parameters: ClassVar[int]
    #: Hyperparameters of a small version, with which everything but the parameters' count is asked.
    small: ClassVar[dict[str, Any]] = {"hidden": 16, "embedding": 5}
    steps: ClassVar[int] = 80

    def create(self, **hyperparameters: Any) -> nn.Module:
        torch.manual_seed(0)
        return models.create(self.name, **{**self.small, **hyperparameters})

    def test_parameter_count(self) -> None:
        listed = {info.name: info for info in models.list_models()}[self.name]
        assert listed.parameters == self.parameters
        assert (listed.line, listed.inputs, listed.sizes) == ("language", "text", {})

    def test_four_logits_per_letter_and_a_state_with_the_batch_first(self) -> None:
        network = self.create().eval()
        logits, state = network(text(3, 11))
        assert logits.shape == (3, 11, 4)
        assert logits.dtype == torch.float32
        assert {len(part) for part in state} == {3}
        again = [network(text(3, 11).to(kind))[0] for kind in (torch.int64, torch.int32)]
        assert all(torch.equal(logits, other) for other in again)

    @pytest.mark.parametrize("mode", ["eval", "train"])
    def test_row_does_not_depend_on_others(self, mode: str) -> None:
        network = self.create()
        network.train(mode == "train")
        codes = text(6, 20)
        _, state = network(text(6, 9, seed=2))
        together, after = network(codes, state)
        for row in range(6):
            alone, own = network(codes[row : row + 1], tuple(part[row : row + 1] for part in state))
            close(alone[0], together[row])
            for part, whole in zip(own, after, strict=True):
                close(part[0], whole[row])
        order = torch.tensor([4, 0, 5, 2, 1, 3])
        close(network(codes[order], tuple(part[order] for part in state))[0], together[order])

    def test_no_later_letter_matters(self) -> None:
        network = self.create().eval()
        codes, other = text(4, 30), text(4, 30, seed=2)
        logits, _ = network(codes)
        for at in (1, 13, 29):
            mixed = torch.cat((codes[:, :at], other[:, at:]), dim=1)
            changed, _ = network(mixed)
            close(changed[:, :at], logits[:, :at])
            assert not torch.allclose(changed[:, at:], logits[:, at:])

    @pytest.mark.parametrize("cuts", [(1,), (7, 8, 16), tuple(range(1, 40))])
    def test_pieces_with_carried_state_are_the_whole(self, cuts: tuple[int, ...]) -> None:
        network = self.create().eval()
        codes = text(3, 40)
        whole, last = network(codes)
        state, pieces = None, []
        for begin, end in zip((0, *cuts), (*cuts, 40), strict=True):
            logits, state = network(codes[:, begin:end], state)
            state = tuple(part.detach() for part in state)
            pieces.append(logits)
        close(torch.cat(pieces, dim=1), whole)
        for part, expected in zip(state or (), last, strict=True):
            close(part, expected)

    def test_texts_at_different_places_side_by_side(self) -> None:
        network = self.create().eval()
        codes = text(3, 20)
        states = [network(codes[row : row + 1, :begin])[1] for row, begin in enumerate((3, 10, 6))]
        state = tuple(torch.cat(parts) for parts in zip(*states, strict=True))
        ahead = torch.stack([codes[0, 3:13], codes[1, 10:20], codes[2, 6:16]])
        logits, _ = network(ahead, state)
        whole, _ = network(codes)
        close(logits, torch.stack([whole[0, 3:13], whole[1, 10:20], whole[2, 6:16]]))

    def test_initial_state_is_what_none_means(self) -> None:
        network = self.create().eval()
        codes = text(3, 12)
        start = network.initial_state(3, torch.device("cpu"))
        assert {len(part) for part in start} == {3}
        copies = [part.clone() for part in start]
        assert torch.equal(network(codes)[0], network(codes, start)[0])
        assert all(torch.equal(part, copy) for part, copy in zip(start, copies, strict=True))

    @pytest.mark.parametrize("mapping", ["embedding", "one-hot", "integer"])
    def test_every_mapping(self, mapping: str) -> None:
        network = self.create(mapping=mapping).eval()
        codes = torch.full((2, 6), 2, dtype=torch.uint8)
        seen = [network(torch.where(torch.arange(6) == 3, letter, codes))[0][0, 3] for letter in range(5)]
        # No two of the five look the same, and where no letter is known there is still an answer.
        assert torch.pdist(torch.stack(seen)).min() > 1e-4
        assert torch.isfinite(torch.stack(seen)).all()

    def test_float64(self) -> None:
        network = self.create().eval()
        codes = text(3, 25)
        single, _ = network(codes)
        double, state = network.double()(codes)
        assert double.dtype == torch.float64
        assert state[0].dtype == torch.float64
        assert network.initial_state(2, None)[0].dtype == torch.float64
        torch.testing.assert_close(single.double(), double, atol=2e-6, rtol=1e-5)

    def test_gradients_reach_every_parameter(self) -> None:
        network = self.create(layers=3)
        logits, _ = network(text(4, 30))
        nn.functional.cross_entropy(logits.flatten(0, 1), text(4, 30, seed=2).flatten().long()).backward()
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None, name
            assert torch.isfinite(parameter.grad).all(), name
            assert (parameter.grad != 0).any(), name

    def test_gradients_flow_through_the_state_unless_detached(self) -> None:
        network = self.create()
        _, state = network(text(2, 5))
        assert state[0].requires_grad
        parts = tuple(part.detach() for part in state)
        parts[0].requires_grad_()
        network(text(2, 5, seed=2), parts)[0].sum().backward()
        assert (parts[0].grad != 0).any()

    def test_same_every_time_and_in_both_modes(self) -> None:
        network = self.create()
        codes = text(3, 15)
        training, _ = network(codes)
        before = {name: part.clone() for name, part in network.state_dict().items()}
        network.eval()
        first, _ = network(codes)
        assert torch.equal(first, network(codes)[0])
        close(first, training)
        assert all(torch.equal(part, before[name]) for name, part in network.state_dict().items())
        assert torch.equal(codes, text(3, 15))
        assert torch.equal(self.create().eval()(codes)[0], first)

    @pytest.mark.parametrize("layers", [1, 3])
    def test_dropout_acts_in_training_only(self, layers: int) -> None:
        network = self.create(dropout=0.5, layers=layers)
        codes = text(3, 15)
        assert not torch.allclose(network(codes)[0], network(codes)[0])
        network.eval()
        close(network(codes)[0], self.create(layers=layers).eval()(codes)[0])

    def test_save_and_load(self, tmp_path: Path) -> None:
        network = self.create().eval()
        save_file(network.state_dict(), tmp_path / "weights.safetensors")
        other = models.create(self.name, **self.small).eval()
        other.load_state_dict(load_file(tmp_path / "weights.safetensors"))
        assert torch.equal(other(text(3, 9))[0], network(text(3, 9))[0])

    def test_guesses_at_first(self) -> None:
        torch.manual_seed(0)
        network = models.create(self.name)
        codes = text(8, 200)
        assert loss(network, codes) == pytest.approx(math.log(4), abs=0.02)

    def test_learns_a_repeat(self) -> None:
        network = self.create(hidden=32)
        # All ten beginnings of the repeat.
        codes = torch.stack([REPEAT.roll(-start) for start in range(10)]).repeat(1, 30)
        optimizer = torch.optim.Adam(network.parameters(), 0.02)
        for _ in range(self.steps):
            optimizer.zero_grad()
            logits, _ = network(codes[:, :30])
            nn.functional.cross_entropy(logits.flatten(0, 1), codes[:, 1:31].flatten().long()).backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
        network.eval()
        _, state = network(codes[:, :200])
        # It still knows where it is after six times as many letters as it ever saw.
        assert loss(network, codes[:, 200:], state) < 0.05

    @pytest.mark.parametrize(
        ("wrong", "match"),
        [
            ({"layers": 0}, "`layers` to be an integer of at least 1"),
            ({"hidden": 0}, "`hidden` to be an integer of at least 1"),
            ({"mapping": "words"}, "`mapping` to be one of embedding, one-hot, integer"),
            ({"embedding": 0}, "`embedding` to be an integer of at least 1"),
            ({"dropout": 1.0}, r"`dropout` to be a number in \[0, 1\)"),
        ],
    )
    def test_values_out_of_range(self, wrong: dict[str, Any], match: str) -> None:
        with pytest.raises(InputError, match=match):
            self.create(**wrong)

    def test_wrong_inputs(self) -> None:
        network = self.create()
        for codes in (torch.zeros(2, 5), torch.zeros(5, dtype=torch.uint8), torch.zeros(2, 0, dtype=torch.uint8)):
            with pytest.raises(InputError, match=r"expected codes of letters \[batch, letter\]"):
                network(codes)
        with pytest.raises(InputError, match="expected a state of"):
            network(text(2, 5), network.initial_state(3, None))


def text(n: int, length: int, *, seed: int = 1) -> Tensor:
    """Random codes uint8 [n, length]."""
    return torch.randint(0, 4, (n, length), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def loss(network: nn.Module, codes: Tensor, state: tuple[Tensor, ...] | None = None) -> float:
    """Mean cross-entropy of each letter after the first."""
    with torch.no_grad():
        logits, _ = network(codes[:, :-1], state)
    return float(nn.functional.cross_entropy(logits.flatten(0, 1), codes[:, 1:].flatten().long()))


def close(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, atol=2e-6, rtol=1e-5)
