"""Small datasets on several chromosomes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from regulome.datasets import Dataset, open_dataset, write_dataset

Make = Callable[..., Dataset]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Write and open a dataset of ``n`` examples: value = 1000 · example + 100 · mark + bin."""

    def build(
        n: int = 60,
        *,
        marks: int = 3,
        bins: int = 10,
        chromosomes: int = 6,
        name: str = "dataset",
        split=None,
        width=1000,
    ) -> Dataset:
        rng = np.random.default_rng(n)
        starts = rng.integers(-100, 1_000_000, n)
        regions = pl.DataFrame(
            {
                "id": [f"g{i}" for i in range(n)],
                "chrom": [f"chr{1 + i % chromosomes}" for i in range(n)],
                "start": starts,
                "end": starts + width,
                "strand": ["+-."[i % 3] for i in range(n)],
                **({"split": split} if split is not None else {}),
            }
        )
        values = np.arange(n)[:, None, None] * 1000 + np.arange(marks)[:, None] * 100 + np.arange(bins)
        with write_dataset(
            tmp_path / name, line="expression", task="regression", regions=regions, overwrite=True
        ) as writer:
            array = writer.add_input(
                "marks",
                axes=["example", "mark", "bin"],
                shape=values.shape,
                dtype="int32",
                mark=[f"M{i}" for i in range(marks)],
                bin_size=width // bins,
                unit="reads",
            )
            array[:] = values
            writer.set_targets(np.arange(n)[:, None] / 7, ["expression"], {"words": "row / 7"})
        return open_dataset(tmp_path / name)

    return build
