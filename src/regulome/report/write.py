"""``regulome report``: one page on one run, or on several side by side."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

from regulome.datasets.dataset import Dataset, open_dataset
from regulome.errors import InputError
from regulome.explain.explanation import Explanation, open_explanation
from regulome.explain.recovery import read_truth
from regulome.progress import progress
from regulome.report.looking import looking_sections, recovery_section
from regulome.report.material import Material, gather, labels
from regulome.report.page import render
from regulome.report.performance import performance_sections
from regulome.report.provenance import data_sections, provenance_section, summary_section
from regulome.report.wording import amount, sentence
from regulome.storage import check_target, new_file
from regulome.training.runs import Run, open_run


def report(
    runs: Run | str | PathLike[str] | Sequence[Run | str | PathLike[str]],
    out: str | PathLike[str] = "report.html",
    *,
    dataset: Dataset | str | PathLike[str] | None = None,
    truth: str | PathLike[str] | None = None,
    explanations: Sequence[Explanation | str | PathLike[str]] = (),
    device: str = "auto",
    limit: int = 2000,
    overwrite: bool = False,
) -> Path:
    """Write a self-contained HTML page on runs.

    The page says what was trained on what, how well it predicts and how sure that is, what it looks at, and how to do
    it again; it explains each number and what to do when it is bad. It needs no network and no script. Several runs
    are compared on the same test examples. Attention, class maps and gradients of runs on marks that are not given are
    computed here; runs of many outputs are shown feature by feature; models of a text are asked how far they look back,
    and what they write is set beside the text.

    Memory and device: models work on ``device``; explanations are streamed over at most ``limit`` test genes through
    a temporary folder.

    Args:
        runs: A run or several, or their folders; the first is named first everywhere.
        out: The file to write; it appears when it is complete.
        dataset: The dataset of the runs, where it is not at the recorded place.
        truth: ``truth.json`` of the simulated world that the dataset came from: explanations are scored against it.
        explanations: Explanations that exist already, or their folders.
        device: "auto", "cpu", "cuda" or "cuda:N".
        limit: Number of test genes to explain, at most, half of them high.
        overwrite: Replace ``out``.

    Returns:
        The file.

    Raises:
        InputError: No run, a run without predictions of test examples, runs of different tasks or lines, or ``out``
            exists.
    """
    wanted: Sequence[Run | str | PathLike[str]] = [runs] if isinstance(runs, (Run, str, PathLike)) else runs
    opened = [run if isinstance(run, Run) else open_run(run) for run in wanted]
    if not opened:
        raise InputError("no run to report on", cure="name at least one run folder")
    _check_lines(opened, truth)
    tasks = {run.info.task for run in opened}
    if len(tasks) > 1:
        raise InputError("classification and regression runs do not fit on one page", cure="write a report for each")
    check_target(out, overwrite=overwrite)
    planted = None if truth is None else read_truth(truth)
    data = open_dataset(dataset) if isinstance(dataset, (str, PathLike)) else dataset
    given = [one if isinstance(one, Explanation) else open_explanation(one) for one in explanations]
    with tempfile.TemporaryDirectory(prefix="regulome-report-") as folder:
        materials = []
        with progress("explaining", len(opened), "runs") as advance:
            for run, label in zip(opened, labels(opened), strict=True):
                materials.append(
                    gather(run, label, Path(folder), dataset=data, given=given, device=device, limit=limit)
                )
                advance(1)
        sections = [
            summary_section(materials),
            *performance_sections(materials),
            *looking_sections(materials, planted),
            *recovery_section(materials, planted),
            *data_sections(materials),
            provenance_section(materials),
        ]
        names = [material.label for material in materials]
        title = names[0] if len(names) == 1 else f"{len(names)} runs side by side"
        page = render(title, _subtitle(names, materials[0]), sections)
    with new_file(out, overwrite=overwrite) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return Path(out)


def _check_lines(runs: Sequence[Run], truth: str | PathLike[str] | None) -> None:
    first = runs[0].info
    for run in runs[1:]:
        if run.info.line != first.line:
            raise InputError(
                f"is a run of the line {run.info.line!r}, the first of {first.line!r}: they do not fit on one page",
                file=run.path,
                cure="write a report for each line",
            )
        if (len(run.info.target_names) > 1) != (len(first.target_names) > 1):
            raise InputError(
                f"predicts {amount(len(run.info.target_names), 'output')}, the first run "
                f"{len(first.target_names):,}: they do not fit on one page",
                file=run.path,
                cure="write a report for each",
            )
    if truth is not None and first.line != "expression":
        raise InputError(
            "--truth scores explanations of marks; a page on runs that read DNA has none",
            file=truth,
            cure="leave it out",
        )


def _subtitle(names: Sequence[str], first: Material) -> str:
    return f"{first.title}: {first.words.subject}" if len(names) == 1 else sentence(list(names))
