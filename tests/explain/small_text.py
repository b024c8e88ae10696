"""A text whose letters repeat, in two records."""

from pathlib import Path

from regulome.datasets import Dataset, prepare_language


def text_dataset(folder: Path, records: dict[str, str], **settings: object) -> Dataset:
    """Write the records as FASTA and make a text of them."""
    (folder / "g.fa").write_text("".join(f">{name}\n{letters}\n" for name, letters in records.items()))
    return prepare_language([folder / "g.fa"], folder / "data", length=20, **settings)  # type: ignore[arg-type]


def periodic_text(folder: Path) -> Dataset:
    """A C G T again and again, once with a run of N that changes nothing."""
    records = {"a": "ACGT" * 300, "b": "GTAC" * 200 + "NNNN" + "GTAC" * 50}
    return text_dataset(folder, records, block=100, held_out=0.4, validation=0.0)
