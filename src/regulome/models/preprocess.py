"""What happens to the marks before a network sees them; its numbers are saved with the weights."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from regulome.errors import InputError
from regulome.models.hyperparameters import check_choice, check_count
from regulome.models.one_hot import OneHot


class Preprocess(nn.Module):
    """Transform each value, then scale each mark: (t(x) − mean) / std.

    Args:
        marks: Number of marks.
        transform: "none"; "log1p" = ln(1 + x), for counts; "arcsinh" = ln(x + √(x² + 1)), for signals of either sign.
        scale: "none"; "standard" = zero mean and unit standard deviation per mark over all training values; "max" =
            divided by the largest absolute training value of the mark (kept in ``std``, with ``mean`` 0).

    Attributes:
        mean: Buffer float32 [marks], subtracted from the transformed values.
        std: Buffer float32 [marks], divides them; 1 for a mark that never varies.

    Example:
        >>> preprocess = Preprocess(1, "none", "standard").fit([torch.tensor([[[1.0, 3.0]]])])
        >>> preprocess(torch.tensor([[[1.0, 3.0]]])).tolist()
        [[[-1.0, 1.0]]]
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        marks: int,
        transform: Literal["none", "log1p", "arcsinh"] = "none",
        scale: Literal["none", "standard", "max"] = "none",
    ) -> None:
        super().__init__()
        check_count("marks", marks)
        self.transform = check_choice("transform", transform, ("none", "log1p", "arcsinh"))
        self.scale = check_choice("scale", scale, ("none", "standard", "max"))
        self.register_buffer("mean", torch.zeros(marks))
        self.register_buffer("std", torch.ones(marks))

    def forward(self, x: Tensor) -> Tensor:
        """Map raw marks [batch, mark, bin] to what the network takes, float32 of the same shape."""
        return self.scaled(self.transformed(x.to(self.mean.dtype)))

    def transformed(self, x: Tensor) -> Tensor:
        """Map raw values of any shape to t(x)."""
        if self.transform == "log1p":
            return torch.log1p(x)
        return torch.asinh(x) if self.transform == "arcsinh" else x

    def scaled(self, x: Tensor) -> Tensor:
        """Map transformed marks [batch, mark, bin] to what the network takes."""
        if self.scale == "none":
            return x
        return (x - self.mean[:, None]) / self.std[:, None]

    def fit(self, batches: Iterable[Tensor]) -> Preprocess:
        """Learn ``mean`` and ``std`` from the training examples, one batch at a time, in float64.

        Args:
            batches: Raw marks, each [batch, mark, bin]. They are read to the end whatever ``scale`` is, because values
                that the transform cannot take are refused here.

        Returns:
            The module itself.

        Raises:
            InputError: There is no example, a value is not finite, or log1p met a value of −1 or below.
        """
        marks = len(self.mean)
        count = 0
        mean, squares, largest = (torch.zeros(marks, dtype=torch.float64) for _ in range(3))
        for batch in batches:
            if batch.ndim != 3 or batch.shape[1] != marks:
                raise InputError(f"expected batches [batch, {marks} marks, bins], but got {list(batch.shape)}")
            if not batch.numel():
                continue
            x = self.transformed(batch.detach().to("cpu", torch.float64))
            if not bool(torch.isfinite(x).all()):
                raise InputError(
                    f"the inputs have values that transform {self.transform!r} cannot take",
                    cure="input.transform = arcsinh takes any finite value; NaN and infinity are never taken",
                )
            # Chan, Golub and LeVeque's merge of two sets' means and sums of squares: exact where Σx² − n·mean² is not.
            n = x.shape[0] * x.shape[2]
            here = x.mean(dim=(0, 2))
            step = here - mean
            squares += (x - here[:, None]).square().sum(dim=(0, 2)) + step.square() * count * n / (count + n)
            mean += step * n / (count + n)
            count += n
            largest = torch.maximum(largest, x.abs().amax(dim=(0, 2)))
        if count == 0:
            raise InputError("there is no training example to fit the input scaling on")
        if self.scale == "standard":
            self._set(mean, (squares / count).sqrt())
        elif self.scale == "max":
            self._set(torch.zeros_like(mean), largest)
        return self

    def extra_repr(self) -> str:
        """Show the settings in ``print(module)``."""
        return f"transform={self.transform!r}, scale={self.scale!r}"

    def _set(self, mean: Tensor, std: Tensor) -> None:
        # A constant mark has a spread of rounding errors at most; dividing by that would blow them up.
        constant = std <= 1e-12 * mean.abs().clamp(min=1)
        self.mean.copy_(mean)
        self.std.copy_(std.masked_fill(constant, 1))


class Predictor(nn.Sequential):
    """A network together with its preprocessing: raw marks, or letters' codes, in; logit or value out.

    Where the network has attention, so has the predictor: ``hasattr(predictor, "attention")`` tells.

    Args:
        preprocess: Fitted preprocessing of marks; for sequences what makes them one-hot; for texts nothing.
        network: The network.
    """

    def __init__(self, preprocess: Preprocess | OneHot | nn.Identity, network: nn.Module) -> None:
        super().__init__()
        self.preprocess = preprocess
        self.network = network

    def __getattr__(self, name: str) -> Any:
        """Pass ``attention`` on to the network, if it has it."""
        if name != "attention":
            return super().__getattr__(name)
        modules = self.__dict__["_modules"]
        attend = getattr(modules["network"], name)
        return lambda x: attend(modules["preprocess"](x))
