"""`regulome search`: recipe + dataset → the best setting of many, and its run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from regulome.cli.options import Device, Out, Overwrite, words

PANEL = "From datasets to answers"


def command(
    recipe: Annotated[str, typer.Argument(help="A recipe's name (see `regulome recipes`), or a TOML file.")],
    dataset: Annotated[Path, typer.Argument(help="A dataset folder.")],
    out: Out,
    trials: Annotated[int | None, typer.Option(help="Settings to try; default 30, of a grid all.")] = None,
    sampler: Annotated[
        str, typer.Option(help="How settings are chosen: random, tpe (draws near good trials) or grid.")
    ] = "random",
    space: Annotated[
        str | None,
        typer.Option(help="What is varied: a recipe's name or a TOML file; default: the recipe's own space."),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(
            help="What trials are scored by: valid_auroc (default), valid_auprc or valid_loss; texts: valid_perplexity "
            "(default) or valid_loss."
        ),
    ] = None,
    folds: Annotated[
        int, typer.Option(help="Cross-validate each setting in the training part; 0 takes the validation part.")
    ] = 0,
    candidates: Annotated[int, typer.Option(help="Train the best setting with so many seeds; keep the best run.")] = 3,
    test_chromosomes: Annotated[str, typer.Option(help="Chromosomes to test on, for example chr1,chr8.")] = "",
    valid_chromosomes: Annotated[str, typer.Option(help="Chromosomes to choose settings and epochs on.")] = "",
    split: Annotated[
        str | None,
        typer.Option(help="published, blocks, fold:I/K, or a table of id and split; default: by chromosome."),
    ] = None,
    set_: Annotated[
        list[str], typer.Option("--set", help="Override a recipe key in all trials: training.epochs=5.")
    ] = [],  # noqa: B006
    seed: Annotated[int, typer.Option(help="Seed of the settings, the folds and the trainings.")] = 0,
    device: Device = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted search.")] = False,
    overwrite: Overwrite = False,
) -> None:
    """Try many settings of a recipe, train the best one, and evaluate it on the test examples.

    The folder has every setting in trials.tsv, drawn in trials.svg and trials.png, and the run of the best one.
    """
    from regulome.cli.evaluate import show_metrics
    from regulome.cli.tables import show
    from regulome.report import write_search_figure
    from regulome.training import search

    found = search(
        recipe,
        dataset,
        out,
        trials=trials,
        sampler=sampler,
        space=space,
        split=split,
        test_chromosomes=words(test_chromosomes),
        valid_chromosomes=words(valid_chromosomes),
        metric=metric,
        folds=folds,
        candidates=candidates,
        seed=seed,
        device=device,
        resume=resume,
        set=set_,
        overwrite=overwrite,
    )
    write_search_figure(found)
    show(["key", "best"], [[key, _short(value)] for key, value in found.best.settings.items()])
    show_metrics({str(out / "best"): found.run.metrics()})


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


command.__name__ = "search"
