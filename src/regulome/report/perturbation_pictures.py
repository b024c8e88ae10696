"""The pictures of an in-silico perturbation."""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike
from pathlib import Path

import polars as pl
from matplotlib.figure import Figure

from regulome.errors import InputError
from regulome.explain.perturbation_folder import Perturbation, open_perturbation
from regulome.report.figures.perturbation import distance_figure, dose_figure, enrichment_figure
from regulome.report.figures.style import save_figure

_DONE = {"scale": "scaled", "remove": "removed", "swap": "swapped", "cut": "cut off"}


def perturbation_figures(
    found: Perturbation | str | PathLike[str],
    *,
    formats: Iterable[str] = ("png", "svg"),
    out: str | PathLike[str] | None = None,
    overwrite: bool = True,
) -> list[Path]:
    """Draw the mean change against what is left of the signal and against the distance to the TSS, and enrichment.

    Args:
        found: What :func:`regulome.explain.perturb` left, or its folder.
        formats: "png", "pdf", "svg", one or several.
        out: The folder for the figures; None takes ``figures`` inside the perturbation.
        overwrite: Replace figures that are there.

    Returns:
        The files: ``change-by-factor`` where there are several factors, ``effect-by-distance`` where there are several
        places, ``enrichment`` where there were loci.

    Raises:
        InputError: Unknown format, or a figure exists and may not be replaced.
    """
    found = found if isinstance(found, Perturbation) else open_perturbation(found)
    endings = [ending.lower().lstrip(".") for ending in formats]
    for ending in endings:
        if ending not in ("png", "pdf", "svg"):
            raise InputError(f"unknown format {ending!r}", cure="choose from png, pdf and svg")
    folder = found.path / "figures" if out is None else Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    return [
        save_figure(figure, folder / f"{name}.{ending}", overwrite=overwrite)
        for name, figure in _figures(found).items()
        for ending in endings
    ]


def _figures(found: Perturbation) -> dict[str, Figure]:
    profile, info = found.profile(), found.manifest
    present = set(profile["group"])
    groups = [group for group in ("high", "low") if group in present] or ["all"]
    probability = info["task"] == "classification"
    unit = f"mean change of the predicted {'probability' if probability else 'expression'}"
    distal = info["region"] == "pcre"
    distal_subject = "pCREs" if info["action"] == "cut" else "signal of pCREs"
    subject = {"promoter": "promoter", "pcre": distal_subject}.get(info["region"], info["region"])
    if info["region"] == "distal":
        subject = f"chunks of {(profile['to'] - profile['from']).to_numpy().max():,.0f} bp"
    figures = {}
    if len(found.factors) > 1:
        figures["change-by-factor"] = dose_figure(
            _over_places(profile, together=distal), groups, unit=unit, what=f"{subject} {_DONE[info['action']]}"
        )
    single = profile.filter(pl.col("factor") == min(found.factors))
    if single["place"].n_unique() > 1:
        left = min(found.factors)
        gone = "" if left == 0 else f" to {left:g}"
        figures["effect-by-distance"] = distance_figure(
            single,
            groups,
            unit=unit,
            what=f"{subject} {_DONE[info['action'] if left or info['action'] != 'scale' else 'remove']}{gone}",
            axis="distance of the pCRE" if distal else "kb from the TSS, 5′ → 3′ of the gene",
            classes=distal,
        )
    table = found.enrichment()
    if table is not None:
        figures["enrichment"] = enrichment_figure(table)
    return figures


def _over_places(profile: pl.DataFrame, *, together: bool) -> pl.DataFrame:
    """Mean over the places of a gene, each counted by its genes; of pCREs what all of them together do."""
    if together:
        return profile.filter(pl.col("place") == "all")
    if profile["place"].n_unique() == 1:
        return profile
    weight = pl.col("n") / pl.col("n").sum()
    # Effects in neighbouring chunks are not independent: no interval is given for their mean.
    mean = (pl.col("difference") * weight).sum()
    nothing = pl.lit(None, pl.Float64)
    table = profile.group_by("mark", "factor", "group", maintain_order=True).agg(difference=mean)
    return table.with_columns(low=nothing, high=nothing)
