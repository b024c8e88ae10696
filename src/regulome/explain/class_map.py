"""Class maps: the input that a trained network likes best for a class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from regulome.errors import InputError
from regulome.explain.as_found import network_name, untouched
from regulome.progress import progress

#: Order of the classes in every array: the index is the label.
CLASSES = ("low", "high")


@dataclass(frozen=True)
class ClassMaps:
    """The preferred inputs of both classes; the first axis is the label, 0 = low, 1 = high.

    Attributes:
        maps: The published form: clamped to [0, 1] and divided by the maximum, float32 [2, ...].
        optimum: The best restart before clamping, signed, float32 [2, ...].
        mean: Mean over the restarts, before clamping, float32 [2, ...]. Pooling makes a network blind to small shifts,
            so that each restart puts its peaks a little elsewhere; the mean shows what they share.
        losses: Final objective of each restart, float32 [2, restarts].
        agreement: Mean correlation between the restarts' optima, float32 [2]; 1 for a single restart. Low agreement
            says that the network has several preferred inputs and that the map shows only one of them.
    """

    maps: NDArray[np.float32]
    optimum: NDArray[np.float32]
    mean: NDArray[np.float32]
    losses: NDArray[np.float32]
    agreement: NDArray[np.float32]


def class_maps(
    model: nn.Module,
    shape: tuple[int, ...],
    *,
    task: Literal["classification", "regression"] = "classification",
    penalty: float = 0.009,
    learning_rate: float = 0.1,
    steps: int = 1000,
    restarts: int = 8,
    settle: int = 1,
    seed: int = 0,
) -> ClassMaps:
    """Find by optimisation the inputs that a network takes for the clearest "low" and "high".

    Memory and device: works where the model is on one batch of 2 × ``restarts`` inputs. The model is left as found:
    mode, device, ``requires_grad``, hooks, random generators (dropout is off).

    From uniform random X in [0, 1], minimises NLL(class | X) + penalty · ‖X‖² with RMSprop (smoothing 0.99); every
    restart is optimised on its own, and the one with the smallest objective is the map. For a model with one logit z of
    "high" the NLL of high is softplus(−z), that of low softplus(z). A regression model has no classes: "high" then
    minimises −value, "low" +value, with the same penalty.

    X lives in the space of the model's inputs. That is the published protocol for a network trained on raw counts. A
    network behind log1p or standardisation should be given here without that first step, because an X around [0, 1] is
    nearly nothing in counts; the penalty then draws every value towards the mark's mean.

    RMSprop at the published rate of 0.1 keeps swinging by about ± 0.1 around the optimum, so that differences of that
    size between bins mean nothing. ``settle`` takes the mean of X over the last steps instead, which swings less.

    Args:
        model: Any differentiable model, [batch, *shape] → [batch, 1].
        shape: Shape of one input, (marks, bins).
        task: What the output means.
        penalty: λ, the weight of ‖X‖².
        learning_rate: Of RMSprop.
        steps: Number of optimisation steps.
        restarts: Number of random starts per class.
        settle: The result is the mean of X over this many last steps; 1, the last step alone, is as published.
        seed: Of the starts.

    Returns:
        Maps of both classes. A class whose optimum is nowhere above zero has an all-zero map.

    Raises:
        InputError: The model cannot be differentiated, or an argument is out of its range.

    Source: DeepChrome (Singh et al. 2016), section 3.3; λ = 0.009, rate 0.1 and 1,000 steps as published.
    """
    if steps < 1 or restarts < 1:
        raise InputError(f"expected at least one step and one restart, but got {steps} and {restarts}")
    if not 1 <= settle <= steps:
        raise InputError(f"expected settle between 1 and {steps}, the number of steps, but got {settle}")
    if penalty < 0 or learning_rate <= 0:
        raise InputError(f"expected penalty ≥ 0 and learning rate > 0, but got {penalty} and {learning_rate}")
    with untouched(model) as device, torch.inference_mode(False), torch.enable_grad():
        start = torch.rand((2 * restarts, *shape), generator=torch.Generator().manual_seed(seed))
        dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)
        x = start.to(device, dtype).requires_grad_()
        if not model(x[:1]).requires_grad:
            raise InputError(
                f"{network_name(model)} has no gradient with respect to its inputs",
                cure="explain a network or a linear model",
            )
        sign = torch.tensor([1.0, -1.0], device=device, dtype=dtype).repeat_interleave(restarts)
        optimizer = torch.optim.RMSprop([x], lr=learning_rate, alpha=0.99)
        total = torch.zeros_like(x, requires_grad=False)
        with progress("class maps", steps, "steps") as advance:
            for step in range(steps):
                optimizer.zero_grad()
                objective = _objective(model, x, sign, task, penalty)
                objective.sum().backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                if step >= steps - settle:
                    total += x.detach()
                advance(1)
        end = total / settle
        with torch.no_grad():
            losses = _objective(model, end, sign, task, penalty).view(2, restarts)
        found = end.view(2, restarts, *shape)
        best = found[torch.arange(2), losses.argmin(dim=1).cpu()]
        clamped = best.clamp(0, 1)
        peak = clamped.flatten(1).amax(dim=1).view(2, *[1] * len(shape))
        maps = torch.where(peak > 0, clamped / peak.clamp_min(torch.finfo(dtype).tiny), clamped)
        mean = _array(found.mean(dim=1))
        return ClassMaps(_array(maps), _array(best), mean, _array(losses), _agreement(_array(found.flatten(2))))


def _objective(model: nn.Module, x: Tensor, sign: Tensor, task: str, penalty: float) -> Tensor:
    """NLL of the wanted class plus the penalty, for each start, [2 * restarts]; ``sign`` is +1 for low."""
    towards = sign * model(x)[:, 0]
    nll = F.softplus(towards) if task == "classification" else towards
    return nll + penalty * x.square().flatten(1).sum(dim=1)


def _agreement(found: NDArray[np.float32]) -> NDArray[np.float32]:
    restarts = found.shape[1]
    if restarts == 1:
        return np.ones(2, np.float32)
    centred = found - found.mean(axis=2, keepdims=True)
    unit = centred / np.maximum(np.linalg.norm(centred, axis=2, keepdims=True), 1e-12)
    total = np.square(unit.sum(axis=1)).sum(axis=1)
    agreement: NDArray[np.float32] = ((total - restarts) / (restarts * (restarts - 1))).astype(np.float32)
    return agreement


def _array(tensor: Tensor) -> NDArray[np.float32]:
    return tensor.float().cpu().numpy()
