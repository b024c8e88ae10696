"""What a model shall predict of a gene's expression: a label or a number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from regulome.errors import InputError

#: The targets, in words.
TARGETS = {
    "median": "1 if the value is at or above the median of the sample, else 0 (DeepChrome)",
    "quantile:Q": "1 if the value is at or above the Q-quantile of the sample, else 0; 0 < Q < 1",
    "log2": "log2(value + 1)",
    "zscore": "(value - mean) / standard deviation, both over the sample (ChromExpress)",
    "minmax": "(value - minimum) / (maximum - minimum), both over the sample (ChromExpress)",
    "raw": "the value as it is in the table",
}


@dataclass(frozen=True)
class Target:
    """Targets of genes.

    Attributes:
        values: float32 [n]; 0 or 1 for a classification.
        task: What kind of task this is.
        name: The target as it was asked for.
        record: The rule in words, with the numbers that it took from the sample.
    """

    values: npt.NDArray[np.float32]
    task: Literal["classification", "regression"]
    name: str
    record: dict[str, Any]


def make_target(values: npt.ArrayLike, target: str = "median", *, reference: npt.ArrayLike | None = None) -> Target:
    """Make targets of expression values.

    Median, quantile, mean, deviation, minimum and maximum are those of ``reference``: give it the whole table of the
    sample when ``values`` are only the genes of a dataset, because the published labels compare with the whole table.
    z-score and min-max are taken of the raw values, as ChromExpress does.

    Args:
        values: float [n], the expression of the genes of the dataset.
        target: ``median``, ``quantile:Q`` (for example ``quantile:0.25``), ``log2``, ``zscore``, ``minmax`` or ``raw``.
        reference: float [m], the values of all genes of the sample; default ``values``.

    Raises:
        InputError: There is no such target, there are no values or some are not finite, all labels would be equal, or
            the values are all the same where the target divides by their spread.

    Example:
        >>> make_target([0.0, 1.0, 5.0], "median").values
        array([0., 1., 1.], dtype=float32)
    """
    x = np.asarray(values, dtype=np.float64)
    whole = x if reference is None else np.asarray(reference, dtype=np.float64)
    if x.size == 0 or whole.size == 0:
        raise InputError("there are no expression values to make targets of", cure="check the gene ids of both files")
    if not (np.isfinite(x).all() and np.isfinite(whole).all()):
        raise InputError("some expression values are not finite", cure="mend the expression table")
    record: dict[str, Any] = {"target": target, "n_reference": int(whole.size)}
    quantile = _quantile(target)
    if quantile is not None:
        threshold = float(np.quantile(whole, quantile))
        name = "median" if target == "median" else f"{quantile:g}-quantile"
        record |= {"quantile": quantile, "threshold": threshold}
        record["rule"] = f"1 if the value is at or above the {name} of the sample ({threshold:g}), else 0"
        labels = x >= threshold
        record["n_high"] = int(labels.sum())
        record["n_low"] = int(labels.size - labels.sum())
        if labels.all() or not labels.any():
            which = "at or above" if labels.all() else "below"
            raise InputError(
                f"all {labels.size:,} genes are {which} the sample's {name} ({threshold:g}), so all labels are equal",
                cure="choose another quantile, for example --target quantile:0.75, or a regression target such as log2",
            )
        return Target(labels.astype(np.float32), "classification", target, record)
    if target == "log2":
        if x.min() < 0:
            raise InputError("log2(value + 1) needs values ≥ 0", cure="choose --target raw")
        result = np.log2(x + 1.0)
        record["rule"] = "log2(value + 1)"
    elif target == "zscore":
        mean, deviation = float(whole.mean()), float(whole.std())
        _refuse_constant(deviation, whole)
        result = (x - mean) / deviation
        record |= {"mean": mean, "standard_deviation": deviation}
        record["rule"] = f"(value - {mean:g}) / {deviation:g}: mean and standard deviation of the sample's raw values"
    elif target == "minmax":
        low, high = float(whole.min()), float(whole.max())
        _refuse_constant(high - low, whole)
        result = (x - low) / (high - low)
        record |= {"minimum": low, "maximum": high}
        record["rule"] = f"(value - {low:g}) / ({high:g} - {low:g}): minimum and maximum of the sample's raw values"
    else:
        result = x
        record["rule"] = "the value as it is in the table"
    return Target(result.astype(np.float32), "regression", target, record)


def _quantile(target: str) -> float | None:
    """Return the quantile of a classification target; None for a regression target."""
    if target == "median":
        return 0.5
    if target in TARGETS and not target.startswith("quantile"):
        return None
    kind, _, number = target.partition(":")
    if kind != "quantile":
        raise InputError(f"no target {target!r}", cure=f"one of {', '.join(TARGETS)}")
    try:
        quantile = float(number)
    except ValueError:
        quantile = -1.0
    if not 0.0 < quantile < 1.0:
        raise InputError(f"{number!r} in target {target!r} is not between 0 and 1", cure="for example quantile:0.25")
    return quantile


def _refuse_constant(spread: float, whole: npt.NDArray[np.float64]) -> None:
    if not spread > 0:
        raise InputError(
            f"all {whole.size:,} values of the sample are equal, so they cannot be scaled", cure="check --sample"
        )
