"""L2 logistic regressions for many labels at once, on examples that need not be in memory together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

#: Gives all examples, some at a time, always in the same order: float32 inputs [some, inputs], labels [some, labels].
Examples = Callable[[], Iterable[tuple[Tensor, Tensor]]]

# Inputs from which the directions of little and of much variance are found; more do not make it faster.
_LOOKED_AT = 20_000
_STEPS = 100


@dataclass(frozen=True)
class Fit:
    """Coefficients [labels, inputs] and intercepts [labels], float32, and how often all examples were read."""

    coefficients: Tensor
    intercepts: Tensor
    passes: int


class LogisticRegressions:
    """One logistic regression per label, all fitted in the same passes over the examples.

    Minimises, for each label, ½ ‖w‖² + C Σ weight · log-loss, the intercept free: scikit-learn's ``LogisticRegression``
    with the same C. L-BFGS with exact line searches takes some twenty passes, because it works in coordinates in which
    the problem is nearly round: those of the inputs' principal components, each divided by the square root of the
    curvature that a label as frequent as this one gives it. Numbers are float32, sums over examples float64; the same
    examples give the same answer. A label that all examples have, or none, gets weights of 0 and an intercept that
    says so.

    Args:
        examples: The examples; inputs should be standardised.
        positive_weight: Weight of each label's positive examples [labels]; None = 1.

    Memory: two float64 matrices of inputs × inputs and some twenty of inputs × labels.
    """

    def __init__(self, examples: Examples, positive_weight: Tensor | None = None) -> None:
        self.examples, self.positive_weight = examples, positive_weight
        self.n, looked_at = 0, 0
        positives: Tensor | float = 0.0
        moments: Tensor | float = 0.0
        for x, y in examples():
            self.n += len(x)
            positives = positives + y.sum(dim=0, dtype=torch.float64)
            if looked_at < _LOOKED_AT:
                moments = moments + (x.T @ x).double()
                looked_at += len(x)
        if not isinstance(positives, Tensor) or not isinstance(moments, Tensor):
            raise ValueError("there are no examples")
        self.constant = (positives == 0) | (positives == self.n)
        weight = torch.ones_like(positives) if positive_weight is None else positive_weight.double()
        weighed = weight * positives
        share = (weighed + 0.5) / (weighed + self.n - positives + 1)
        self.start = torch.log(share / (1 - share))
        #: Curvature of the mean loss with the intercept alone.
        self.curvature = share * (1 - share) * (weighed + self.n - positives) / self.n
        variances, self.directions = torch.linalg.eigh(moments / looked_at)
        self.variances = variances.clamp(min=0)

    def fit(self, C: float, begin: Fit | None = None) -> Fit:
        """Fit all labels with one strength of the penalty.

        Args:
            C: Inverse strength.
            begin: Where to begin, for example the answer for another C.
        """
        penalty = 1 / (C * self.n)
        scale = (self.variances[:, None] * self.curvature + penalty).rsqrt()
        scale_0 = self.curvature.rsqrt()
        moving = (~self.constant).double()
        u = torch.zeros(len(self.variances) + 1, len(self.start), dtype=torch.float64)
        u[-1] = self.start / scale_0
        if begin is not None:
            u[:-1] = self.directions.T @ begin.coefficients.T.double() / scale * moving
            u[-1] = torch.where(self.constant, u[-1], begin.intercepts.double() / scale_0)
        u.requires_grad_()
        passes = [0]

        def weights() -> tuple[Tensor, Tensor]:
            return self.directions @ (u.detach()[:-1] * scale), u.detach()[-1] * scale_0

        def objective() -> float:
            passes[0] += 1
            w, b = weights()
            loss, dw, db = self._loss(w, b)
            gradient = torch.cat((self.directions.T @ dw, db[None]))
            gradient[:-1] += penalty * scale * u.detach()[:-1]
            gradient[:-1] *= scale
            gradient[-1] *= scale_0
            u.grad = gradient * moving
            return loss + 0.5 * penalty * float((w * w).sum())

        solver = torch.optim.LBFGS(
            [u],
            max_iter=_STEPS,
            max_eval=2 * _STEPS,
            history_size=20,
            tolerance_grad=1e-5,
            tolerance_change=1e-8,
            line_search_fn="strong_wolfe",
        )
        solver.step(objective)  # type: ignore[no-untyped-call]
        w, b = weights()
        return Fit(w.T.float().contiguous(), b.float(), passes[0])

    def _loss(self, w: Tensor, b: Tensor) -> tuple[float, Tensor, Tensor]:
        """Return the mean loss over the examples, summed over labels, and its gradients."""
        single, offset = w.float(), b.float()
        loss, dw, db = 0.0, torch.zeros_like(w), torch.zeros_like(b)
        for x, y in self.examples():
            z = torch.addmm(offset, x, single)
            losses = torch.nn.functional.binary_cross_entropy_with_logits(
                z, y, pos_weight=self.positive_weight, reduction="none"
            )
            losses[:, self.constant] = 0
            loss += float(losses.sum(dtype=torch.float64))
            p = torch.sigmoid(z)
            weighed = y if self.positive_weight is None else y * self.positive_weight
            dz = p * (1 - y + weighed) - weighed
            dw += (x.T @ dz).double()
            db += dz.sum(dim=0, dtype=torch.float64)
        return loss / self.n, dw / self.n, db / self.n
