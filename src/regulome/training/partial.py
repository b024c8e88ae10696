"""The folder of a run while it is trained: begun, taken up again, member by member."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from regulome import storage
from regulome.errors import InputError, RegulomeError
from regulome.recipes.load import load_recipe, to_toml
from regulome.recipes.schema import Recipe
from regulome.records import flat
from regulome.training import runs
from regulome.training.fit import Fitted
from regulome.training.plan import Plan

logger = logging.getLogger(__name__)

#: The point to resume from, inside the folder.
CHECKPOINT = "checkpoint.pt"
_HISTORY_SCHEMA = {
    "member": pl.Int64,
    "epoch": pl.Int64,
    "step": pl.Int64,
    **dict.fromkeys(runs.HISTORY_NUMBERS, pl.Float64),
}


def begin(out: Path, plan: Plan, *, resume: bool, overwrite: bool) -> Path:
    """Return the folder to work in, new or taken up again."""
    folder = runs.partial_folder(out)
    if folder.exists() and not resume and not overwrite:
        raise InputError(
            "holds an unfinished run", file=folder, cure="finish it with --resume, or start anew with --overwrite"
        )
    if folder.exists() and resume and (folder / runs.INFO).exists():
        check_same(folder, plan)
        return folder
    if resume:
        logger.info("nothing to resume: starting anew")
    if folder.exists():
        shutil.rmtree(folder)
    # The record is written last: a folder with a record has everything else that a resumed run compares.
    folder.mkdir()
    (folder / runs.RECIPE).write_text(to_toml(plan.recipe), "utf-8")
    plan.splits.write_parquet(folder / runs.SPLITS)
    write_text(folder / runs.INFO, plan.info.to_json())
    return folder


def check_same(folder: Path, plan: Plan) -> None:
    """Refuse to resume a run of something else.

    Raises:
        InputError: Recipe, dataset, split, members or devices differ.
    """
    info = runs.read_info(folder)
    before = load_recipe(folder / runs.RECIPE)
    differs = None
    if before != plan.recipe:
        differs = "recipe " + _difference(before, plan.recipe)
    elif info.dataset is None or plan.info.dataset is None or info.dataset.checksum != plan.info.dataset.checksum:
        differs = "dataset"
    elif not pl.read_parquet(folder / runs.SPLITS).equals(plan.splits):
        differs = "split"
    elif info.members != plan.info.members:
        differs = f"ensemble ({len(info.members)} members, now {len(plan.info.members)})"
    elif info.devices != plan.info.devices:
        differs = f"number of devices ({info.devices}, now {plan.info.devices})"
    if differs:
        raise InputError(
            f"was begun with another {differs}", file=folder, cure="give the same, or start anew with --overwrite"
        )


def _difference(before: Recipe, now: Recipe) -> str:
    old, new = (flat(recipe.model_dump()) for recipe in (before, now))
    key = next(key for key in [*old, *new] if old.get(key) != new.get(key))
    return f"({key} {old.get(key)}, now {new.get(key)})"


@contextmanager
def cut_off_tidily(folder: Path, begun: Callable[[], bool]) -> Iterator[None]:
    """Say how interrupted work goes on; after an error of the user, remove a folder with nothing to resume from.

    Args:
        folder: The folder of unfinished work.
        begun: Says whether there is something to resume from.
    """
    try:
        yield
    except KeyboardInterrupt:
        logger.info("%s keeps what is done: the same command with --resume finishes it", folder)
        raise
    except RegulomeError:
        if not begun():
            shutil.rmtree(folder)
        raise


def fitting_begun(folder: Path) -> bool:
    """Say whether a run's unfinished folder has something to resume from."""
    return (folder / CHECKPOINT).exists() or (folder / runs.HISTORY).exists()


def keep_member(
    folder: Path, member: int, members: int, fitted: Fitted, chosen: dict[str, Any], done: pl.DataFrame
) -> None:
    """Store a finished member; its rows of history come last, because they say that it is finished."""
    runs.save_weights(folder / runs.weights_name(member, members), fitted["weights"])
    history = pl.concat([done, pl.DataFrame(fitted["history"], schema=_HISTORY_SCHEMA)])
    info = runs.read_info(folder)
    info.hyperparameters = [*info.hyperparameters[:member], chosen]
    info.seconds = float(history["seconds"].sum())
    write_text(folder / runs.INFO, info.to_json())
    with storage.new_file(folder / runs.HISTORY) as temporary:
        history.write_csv(temporary)
    (folder / CHECKPOINT).unlink(missing_ok=True)


def read_history(folder: Path) -> pl.DataFrame:
    """Read the epochs of the members that are finished."""
    if not (folder / runs.HISTORY).exists():
        return pl.DataFrame(schema=_HISTORY_SCHEMA)
    return pl.read_csv(folder / runs.HISTORY, schema=_HISTORY_SCHEMA)


def write_text(path: Path, text: str) -> None:
    """Write a file that appears when it is complete."""
    with storage.new_file(path) as temporary:
        temporary.write_text(text, "utf-8")
