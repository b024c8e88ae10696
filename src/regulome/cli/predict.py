"""`regulome predict`: predictions for a dataset, for regions, for sequences, or along a genome."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from regulome.cli.options import BothStrands, Device, Fasta, Features, Genome, Out, Overwrite, SkipInvalid, words
from regulome.errors import InputError

PANEL = "From datasets to answers"
_TABLES = (".parquet", ".tsv", ".csv")


def command(
    run: Annotated[Path, typer.Argument(metavar="RUN|WEIGHTS", help="A run folder, or a file of published weights.")],
    out: Out,
    dataset: Annotated[
        Path | None, typer.Argument(metavar="[DATASET]", help="A dataset folder; the run's own when not given.")
    ] = None,
    split: Annotated[str, typer.Option(help="Part of the dataset: train, valid, test or all.")] = "test",
    bed: Annotated[Path | None, typer.Option(help="Instead of a dataset: regions of --genome.")] = None,
    fasta: Fasta = None,
    genome: Genome = None,
    features: Features = "",
    pad: Annotated[
        bool, typer.Option("--pad", help="With --fasta: take the middle of longer records, pad shorter ones with N.")
    ] = False,
    chromosomes: Annotated[str, typer.Option(help="Tracks: only these chromosomes.")] = "",
    regions: Annotated[str, typer.Option(help="Tracks: only these places, a BED file or chr20:1,000-2,000.")] = "",
    stride: Annotated[int, typer.Option(help="Tracks: bases per bin.")] = 200,
    smooth: Annotated[int, typer.Option(help="Tracks: bases of a moving average; 0 for none.")] = 0,
    both_strands: BothStrands = None,
    device: Device = "auto",
    skip_invalid: SkipInvalid = False,
    overwrite: Overwrite = False,
) -> None:
    """Predict examples: region, id, then for each output its value and, where known, the truth.

    A run on DNA predicts new places too: --bed with --genome, or --fasta, to a table; --genome alone to bigWig
    tracks, one for each feature (--out NAME.bw for one feature, a folder for several).

    A model of genomes tells its surprise, in bits: of each letter of --genome as a bigWig track, or of each record of
    --fasta as a table.
    """
    if bed is None and fasta is None and genome is None:
        from regulome.catalog import predict
        from regulome.storage import check_target
        from regulome.training import write_table

        _only("--fasta, or --bed and --genome", features=features, pad=pad, both_strands=both_strands is not None)
        _only(
            "--genome alone, for tracks", chromosomes=chromosomes, regions=regions, stride=stride != 200, smooth=smooth
        )
        _only("--bed", skip_invalid=skip_invalid)
        if out.suffix not in _TABLES:
            raise InputError(
                "has no ending that says how to write it", file=out, cure=f"choose from {', '.join(_TABLES)}"
            )
        check_target(out, overwrite=overwrite)
        write_table(predict(run, dataset, split, device=device), out, overwrite=overwrite)
        print(out)
        return
    if dataset is not None:
        raise InputError("a dataset was given together with --bed, --fasta or --genome", cure="give one of them")
    if _reads_text(run):
        _only("a run of another line", bed=bed, features=features, pad=pad, both_strands=both_strands is not None)
        _only("a run of another line", regions=regions, stride=stride != 200, smooth=smooth)
        _only("a dataset", split=split != "test")
        _only("--bed", skip_invalid=skip_invalid)
        if fasta is not None:
            from regulome.training import predict_text

            _only("--genome", chromosomes=chromosomes)
            _only("a run of another line", genome=genome)
            predict_text(run, fasta, out, device=device, overwrite=overwrite)
        else:
            from regulome.training import predict_surprise

            assert genome is not None
            predict_surprise(
                run, genome, out, chromosomes=words(chromosomes) or None, device=device, overwrite=overwrite
            )
        print(out)
        return
    if bed is not None or fasta is not None:
        from regulome.training import predict_regions

        _only(
            "--genome alone, for tracks", chromosomes=chromosomes, regions=regions, stride=stride != 200, smooth=smooth
        )
        _only("a dataset", split=split != "test")
        _only("--fasta", pad=pad and fasta is None)
        predict_regions(
            run,
            out,
            bed=bed,
            fasta=fasta,
            genome=genome,
            features=words(features) or None,
            pad=pad,
            both_strands=both_strands,
            device=device,
            skip_invalid=skip_invalid,
            overwrite=overwrite,
        )
        print(out)
        return
    from regulome.storage import existing_file
    from regulome.training import predict_tracks

    assert genome is not None
    _only("a dataset", split=split != "test")
    _only("--fasta", pad=pad)
    _only("--bed", skip_invalid=skip_invalid)
    places: Path | list[str] | None = _places(regions)
    if regions and ":" not in regions:
        places = existing_file(regions)
    tracks = predict_tracks(
        run,
        genome,
        out,
        features=words(features) or None,
        chromosomes=words(chromosomes) or None,
        regions=places,
        stride=stride,
        smooth=smooth,
        both_strands=both_strands,
        device=device,
        overwrite=overwrite,
    )
    for track in tracks:
        print(track)


def _reads_text(run: Path) -> bool:
    """Say whether a run is a model of genomes; weights without a run are not."""
    from regulome.training.runs import open_run

    return run.is_dir() and open_run(run).info.line == "language"


def _places(text: str) -> list[str] | None:
    """Split places at commas that do not stand between the digits of a number."""
    import re

    return re.split(r",(?!\d{3}\b)", text) if text else None


def _only(what: str, **options: object) -> None:
    for name, value in options.items():
        if value:
            raise InputError(f"--{name.replace('_', '-')} goes with {what}", cure="leave it away")


command.__name__ = "predict"
