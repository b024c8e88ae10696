"""``regulome explain``: from a run and its examples to a folder of maps and tables."""

from __future__ import annotations

import inspect
import json
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

import regulome
from regulome.datasets.batches import Batches
from regulome.datasets.dataset import Dataset, open_dataset
from regulome.datasets.ordered_batches import OrderedBatches
from regulome.datasets.region_views import RegionView
from regulome.datasets.views import View
from regulome.errors import InputError
from regulome.explain.attention import positions
from regulome.explain.average import Average
from regulome.explain.explanation import FORMAT, SCHEMA, Explanation, open_explanation, summarize
from regulome.explain.genes import gene_table
from regulome.explain.groups import high_genes, sample
from regulome.explain.methods import METHODS, Work
from regulome.explain.region_explanation import explain_regions
from regulome.recipes.schema import InputSection
from regulome.storage import check_target, new_folder
from regulome.training.device import choose_device
from regulome.training.lines import line_seeing
from regulome.training.prediction import match_marks, select_rows
from regulome.training.runs import Run, RunInfo, open_run


def explain(
    method: str,
    run: Run | str | PathLike[str],
    dataset: Dataset | str | PathLike[str] | None = None,
    *,
    split: str = "test",
    out: str | PathLike[str],
    limit: int | None = None,
    batch_size: int = 256,
    device: str = "auto",
    seed: int = 0,
    overwrite: bool = False,
    **parameters: float,
) -> Explanation:
    """Explain a run's predictions and leave a folder.

    Memory and device: the models work on ``device``; examples come batch by batch and arrays go straight to disk, so
    that the memory in use does not grow with the number of genes.

    Args:
        method: "attention" (alpha.npy [n, M, T'], beta.npy [n, M]; of networks on promoters and pCREs, which no other
            method explains, embedding, pairwise and regulation weights of each resolution), "class-map" (class_map.npy
            [2, M, T]: index 0 is low, 1 is high) or "gradient" (gradient.npy and gradient_x_input.npy [n, M, T]).
        run: A run or its folder. Of an ensemble the mean over its members is explained.
        dataset: A dataset or its folder; the run's own when not given.
        split: "train", "valid", "test" or "all": which examples. A class map needs none.
        out: The folder to write; it appears when it is complete.
        limit: At most so many examples, drawn half from high and half from low genes.
        batch_size: Examples at a time.
        device: "auto", "cpu", "cuda" or "cuda:N".
        seed: Of the draw and of the starts of class maps.
        overwrite: Replace ``out``.
        parameters: Of the method. class-map: ``penalty``, ``learning_rate``, ``steps``, ``restarts``; gradient:
            ``output``.

    Returns:
        The explanation: ``explanation.json`` (what, of what, with which parameters; marks; bin positions in bp from the
        TSS), the arrays, ``summary.tsv`` (quantity, mark, bin, from, to, group, value) and, where there are genes,
        ``genes.tsv`` (each gene with its strongest mark and bin, in the order of the arrays); where there are pCREs,
        ``contacts.tsv``.

    Raises:
        InputError: Unknown method or parameter, a run that does not read marks, a model that the method cannot explain,
            no examples, other marks or bins than the model's, or ``out`` exists.
    """
    _check(method, parameters)
    check_target(out, overwrite=overwrite)
    run = run if isinstance(run, Run) else open_run(run)
    if run.info.line != "expression":
        raise InputError(
            f"{method} explains runs on histone marks, this run reads DNA",
            file=run.path,
            cure="look inside it with `regulome mutate`, `regulome profile` or `regulome variants`",
        )
    data = run.dataset() if dataset is None else dataset if isinstance(dataset, Dataset) else open_dataset(dataset)
    view = match_marks(run.info, data)
    if isinstance(view, RegionView) and method != "attention":
        raise InputError(
            f"{method} explains networks on the bins around a start site, {run.info.model} reads distal regions too",
            file=run.path,
            cure="look at its attention, or ask it with `regulome perturb`",
        )
    rows = np.empty(0, np.int64) if method == "class-map" else select_rows(run, data, split)[0]
    labelled = data.task != "unlabelled"
    high, rule = np.zeros(len(rows), bool), "no labels: means over all genes only"
    if labelled:
        high, rule = high_genes(data.targets[rows, int(parameters.get("output", 0))], data.task)
    if limit is not None and limit < len(rows):
        kept = sample(high, limit, seed)
        rows, high = rows[kept], high[kept]
    orient = bool(run.recipe.input.orient)
    members = list[nn.Module](run.models(choose_device(device)))
    batches = (batch.inputs for batch in _batches(data, rows, view, batch_size=batch_size, orient=orient))
    shape = (len(run.info.marks), run.info.bins)
    with new_folder(out, overwrite=overwrite) as folder:
        work = Work(Average(members), members, batches, high, labelled, shape, run.info.task, folder, seed)
        if isinstance(view, RegionView):
            explain_regions(work, data, rows, view)
        else:
            METHODS[method](work, **parameters)
            _write_tables(work, data, rows, run.info, orient=orient)
        manifest = {
            "format": FORMAT,
            "schema": SCHEMA,
            "method": method,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "regulome": regulome.__version__,
            "parameters": _resolved(method, parameters) | {"seed": seed, "limit": limit},
            "run": {"path": str(Path(run.path).resolve()), "model": run.recipe.model.name, "members": len(members)},
            "dataset": {"path": str(Path(data.path).resolve()), "checksum": data.checksum},
            "split": split,
            "examples": len(rows),
            "groups": {"high": int(high.sum()), "low": int((~high).sum()), "rule": rule},
            "task": run.info.task,
            "marks": run.info.marks,
            "orient": orient,
            "axis": "5' to 3' of the gene" if orient else "along the + strand, whatever the gene's strand",
            "arrays": {
                name: {"file": f"{name}.npy", "axes": axes, "shape": list(np.load(folder / f"{name}.npy", "r").shape)}
                for name, axes in work.arrays.items()
            },
            **work.notes,
        }
        (folder / "explanation.json").write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")
    return open_explanation(out)


def _check(method: str, parameters: dict[str, float]) -> None:
    if method not in METHODS:
        raise InputError(f"there is no method {method!r}", cure=f"there are {', '.join(METHODS)}")
    known = _resolved(method, {})
    for name in parameters:
        if name not in known:
            raise InputError(
                f"{method} has no parameter {name!r}", cure=f"it has {', '.join(known)}" if known else "it has none"
            )


def _resolved(method: str, parameters: dict[str, float]) -> dict[str, Any]:
    defaults = inspect.signature(METHODS[method]).parameters.values()
    return {p.name: parameters.get(p.name, p.default) for p in defaults if p.kind is p.KEYWORD_ONLY}


def _batches(
    data: Dataset, rows: NDArray[np.int64], view: View | RegionView | None, *, batch_size: int, orient: bool
) -> OrderedBatches:
    if isinstance(view, RegionView):
        inputs = InputSection(orient=orient, **view.settings())
        return line_seeing(data.line, view).batches(data, rows, inputs, batch_size=batch_size)
    return Batches(data, rows, batch_size=batch_size, orient=orient, view=view)


def _write_tables(work: Work, data: Dataset, rows: NDArray[np.int64], info: RunInfo, *, orient: bool) -> None:
    """Write ``summary.tsv`` and, where genes were explained, ``genes.tsv``; note where the bins of the maps lie."""
    starts, ends = _places(work, info)
    summarize(work.means, info.marks, starts, ends).write_csv(work.folder / "summary.tsv", separator="\t")
    if work.top:
        genes = gene_table(data, rows, info.marks, work.high, work.top, starts, ends, orient=orient)
        genes.write_csv(work.folder / "genes.tsv", separator="\t")
    work.notes["bins"] = {"from": starts.tolist(), "to": ends.tolist(), "unit": "bp from the TSS"}


def _places(work: Work, info: RunInfo) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where the bins of the maps begin and end, in bp from the TSS, which is the middle of the window."""
    width = max(groups[next(iter(groups))].shape[-1] for name, groups in work.means.items() if name != "beta")
    starts = (positions(width, info.bins) - info.bins / 2) * info.bin_size
    return starts, starts + info.bin_size
