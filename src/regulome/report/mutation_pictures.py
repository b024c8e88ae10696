"""The pictures of a saturation mutagenesis, a file for each feature and stretch."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path

import numpy as np

from regulome.errors import InputError
from regulome.explain.mutation_folder import Mutagenesis, open_mutagenesis
from regulome.progress import progress
from regulome.report.figures.mutations import mutation_figure
from regulome.report.figures.style import save_figure
from regulome.training.feature_choice import choose_features

logger = logging.getLogger(__name__)

#: Features that are drawn when none is named, those with the largest effects first.
FEATURES = 12
#: Bases of a figure; longer stretches get several.
BASES = 1000


def mutation_figures(
    found: Mutagenesis | str | PathLike[str],
    *,
    features: Sequence[str] | str | None = None,
    formats: Iterable[str] = ("png", "pdf"),
    out: str | PathLike[str] | None = None,
    overwrite: bool = True,
) -> list[Path]:
    """Draw the effects of all substitutions: letters as tall as they matter above a heat map.

    The figures of a feature share their colour scale.

    Args:
        found: What :func:`regulome.explain.mutate` left, or its folder.
        features: Names or patterns of the features to draw; None draws the 12 with the largest effects, strongest
            first.
        formats: "png", "pdf", "svg", one or several.
        out: The folder for the figures; None takes ``figures`` inside the mutagenesis.
        overwrite: Replace figures that are there.

    Returns:
        The files, named after feature and stretch.

    Raises:
        InputError: No such feature or format, or a figure exists and may not be replaced.
    """
    found = found if isinstance(found, Mutagenesis) else open_mutagenesis(found)
    endings = [ending.lower().lstrip(".") for ending in formats]
    for ending in endings:
        if ending not in ("png", "pdf", "svg"):
            raise InputError(f"unknown format {ending!r}", cure="choose from png, pdf and svg")
    effects, codes = found.array("effects"), found.array("codes")
    unit = str(found.manifest["arrays"]["effects"]["unit"])
    chosen = _strongest(found) if features is None else choose_features(found.features, features)
    folder = found.path / "figures" if out is None else Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    names = _file_names([found.features[feature] for feature in chosen])
    parts = [(part, begin) for part in found.parts for begin in range(0, part.end - part.start, BASES)]
    files = []
    with progress("drawing", len(chosen) * len(parts), "figures") as advance:
        for feature, name in zip(chosen, names, strict=True):
            limit = float(np.abs(effects[feature]).max())
            for part, begin in parts:
                columns = slice(part.offset + begin, min(part.offset + begin + BASES, part.columns.stop))
                first, last = part.start + begin, part.start + begin + columns.stop - columns.start
                label = found.features[feature]
                figure = mutation_figure(
                    np.asarray(codes[columns]),
                    np.asarray(effects[feature, :, columns], np.float64),
                    start=first,
                    title=f"{label}, {part.chrom}:{first + 1:,}-{last:,}",
                    unit=unit,
                    chrom=part.chrom,
                    limit=limit,
                )
                stem = f"{name}.{_plain(part.chrom)}_{first + 1}-{last}"
                files += [save_figure(figure, folder / f"{stem}.{ending}", overwrite=overwrite) for ending in endings]
                advance(1)
    return files


def _strongest(found: Mutagenesis) -> list[int]:
    """Features by their largest effect, at most :data:`FEATURES`."""
    effects = found.array("effects")
    largest = np.array([float(np.abs(one).max()) for one in effects])
    if len(largest) > FEATURES:
        logger.info("the %d features with the largest effects are drawn, of %d", FEATURES, len(largest))
    return [int(feature) for feature in np.argsort(-largest, kind="stable")[:FEATURES]]


def _file_names(names: Sequence[str]) -> list[str]:
    """Make names of features fit for files, and different."""
    plain: list[str] = []
    for name in names:
        stem, number = _plain(name), 2
        while stem.casefold() in {one.casefold() for one in plain}:
            stem, number = f"{_plain(name)}-{number}", number + 1
        plain.append(stem)
    return plain


def _plain(name: str) -> str:
    return re.sub(r"[^\w.+-]+", "-", name).strip("-.")[:80] or "feature"
