import re

import polars as pl

from regulome.datasets import deepsea_features


def test_the_919_features_and_their_groups():
    table = deepsea_features()
    assert table.columns == ["name", "cell", "assay", "treatment", "group", "published", "file"]
    assert table["group"].to_list() == ["DNase"] * 125 + ["TF"] * 690 + ["histone"] * 104
    assert table.null_count().sum_horizontal().item() == 0


def test_names_are_unique_and_safe_in_files_and_columns():
    names = deepsea_features()["name"]
    assert names.str.to_lowercase().n_unique() == 919
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", name) for name in names)


def test_what_the_published_names_leave_open():
    row = deepsea_features().row(576, named=True)
    assert (row["published"], row["cell"], row["assay"], row["treatment"]) == ("NA|NA|NA", "HepG2", "SREBP1", "insulin")
    assert "Srebp1Insln" in row["file"]
    others = deepsea_features().filter(pl.col("published") != "NA|NA|NA")
    together = others.select(pl.concat_str("cell", "assay", "treatment", separator="|")).to_series()
    # One cell carries a space that does not break at its end.
    assert (together.str.replace_all("\xa0", "") == others["published"].str.replace_all("\xa0", "")).all()
