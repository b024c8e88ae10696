import logging

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regulome.datasets import assign_split, describe_split, new_sequence_dataset, open_dataset
from regulome.errors import InputError

quick = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


def chromosomes_of(dataset, parts, part):
    return set(dataset.regions["chrom"].to_numpy()[parts == part])


def check_partition(dataset, parts):
    """Every example has one part, every part has examples, and no chromosome is in two parts."""
    assert len(parts) == len(dataset)
    assert set(parts) == {"train", "valid", "test"}
    train, valid, test = (chromosomes_of(dataset, parts, part) for part in ("train", "valid", "test"))
    assert not train & valid
    assert not train & test
    assert not valid & test


@quick
@given(chromosomes=st.integers(3, 25), n=st.integers(60, 300), data=st.data())
def test_folds_partition_the_chromosomes(make, chromosomes, n, data):
    dataset = make(n, marks=1, bins=1, chromosomes=chromosomes)
    folds = data.draw(st.integers(3, chromosomes))
    seen, before, first = [], None, None
    for fold in range(1, folds + 1):
        parts = assign_split(dataset, f"fold:{fold}/{folds}")
        check_partition(dataset, parts)
        test = chromosomes_of(dataset, parts, "test")
        seen += test
        assert before is None or before == test
        first = first or test
        before = chromosomes_of(dataset, parts, "valid")
    assert before == first
    assert sorted(seen) == sorted(set(dataset.regions["chrom"]))


def test_folds_are_balanced(make):
    dataset = make(2000, marks=1, bins=1, chromosomes=22)
    sizes = [int((assign_split(dataset, f"fold:{i}/5") == "test").sum()) for i in range(1, 6)]
    assert sum(sizes) == 2000
    assert max(sizes) - min(sizes) <= 2000 // 22 + 1


def test_chromosomes_by_any_spelling(make, caplog):
    dataset = make(60)
    caplog.set_level(logging.INFO, "regulome")
    parts = assign_split(dataset, test_chromosomes=["1", "chr3"], valid_chromosomes=["CHR2"])
    check_partition(dataset, parts)
    assert chromosomes_of(dataset, parts, "test") == {"chr1", "chr3"}
    assert chromosomes_of(dataset, parts, "valid") == {"chr2"}
    assert "matched 1 = chr1" in caplog.text
    text = describe_split(dataset, parts)
    assert text == "train 30 (chr4, chr5, chr6), valid 10 (chr2), test 20 (chr1, chr3)"


def test_validation_chromosomes_are_chosen(make):
    dataset = make(60)
    parts = assign_split(dataset, test_chromosomes=["chr4"])
    check_partition(dataset, parts)
    assert (parts == "valid").sum() == 10
    assert np.array_equal(parts, assign_split(dataset, "chromosomes", test_chromosomes=["4"]))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"test_chromosomes": ["chr9"]}, r"unknown chromosome 'chr9' \(the dataset has chr1, chr2"),
        ({"test_chromosomes": ["chr1", "Z"]}, "unknown chromosome 'Z'"),
        ({"test_chromosomes": ["chr1"], "valid_chromosomes": ["1"]}, "chr1 is asked for in test and in valid"),
        ({"valid_chromosomes": ["chr1"]}, "no test chromosomes were given"),
        ({"split": "chromosomes"}, "no test chromosomes were given"),
        ({"test_chromosomes": [f"chr{i}" for i in range(1, 7)]}, "leaves no examples for"),
        ({"test_chromosomes": ["1", "2", "3"], "valid_chromosomes": ["4", "5", "6"]}, "no examples for train"),
        ({"split": "fold:1/2"}, "2 folds of 6 chromosomes"),
        ({"split": "fold:1/7"}, "7 folds of 6 chromosomes"),
        ({"split": "fold:6/5"}, "no fold 6 of 5"),
        ({"split": "fold:0/5"}, "no fold 0 of 5"),
        ({"split": "fold:1"}, "is no fold"),
        ({"split": "nonsense"}, "unknown split 'nonsense'"),
        ({"split": "blocks", "test_chromosomes": ["1"]}, "together with the split 'blocks'"),
    ],
)
def test_what_cannot_be(make, options, match):
    with pytest.raises(InputError, match=match) as caught:
        assign_split(make(60), **options)
    assert "\n" not in str(caught.value)
    assert caught.value.cure


def test_without_a_wish_whole_chromosomes_are_taken(make):
    dataset = make(60)
    parts = assign_split(dataset)
    check_partition(dataset, parts)
    assert np.array_equal(parts, assign_split(dataset, "fold:1/5"))


@pytest.mark.parametrize(("chromosomes", "split"), [(1, "blocks"), (2, "blocks"), (3, "fold:1/3"), (4, "fold:1/4")])
def test_without_a_wish_few_chromosomes_are_enough(make, caplog, chromosomes, split):
    caplog.set_level(logging.INFO, "regulome")
    dataset = make(200, chromosomes=chromosomes)
    assert np.array_equal(assign_split(dataset), assign_split(dataset, split))
    assert "no split was asked for" in caplog.text


def test_without_a_wish_the_tables_own_split_is_taken(make, caplog):
    own = ["train"] * 40 + ["valid"] * 10 + ["test"] * 9 + [None]
    parts = assign_split(make(60, split=own))
    assert parts.tolist() == [name or "" for name in own]
    assert "has chromosomes in more than one part" in caplog.text


def test_thirds_are_those_of_deepchrome(make):
    dataset = make(19802, marks=1, bins=1)
    parts = assign_split(dataset, "published")
    assert [int((parts == part).sum()) for part in ("train", "valid", "test")] == [6601, 6601, 6600]
    assert (np.diff(np.searchsorted(["a", "b"], parts)) >= 0).all()
    assert parts[0] == "train"
    assert parts[-1] == "test"


def test_thirds_follow_the_expression_table(make):
    dataset = make(9)
    order = np.array([8, 7, 6, 5, 4, 3, 2, 1, 0])
    object.__setattr__(dataset, "regions", dataset.regions.with_columns(pl.Series("expression_row", order)))
    assert assign_split(dataset, "published").tolist() == ["test"] * 3 + ["valid"] * 3 + ["train"] * 3


@quick
@given(n=st.integers(200, 600), width=st.sampled_from([10, 101, 1000, 3001]), seed=st.integers(0, 5))
def test_blocks_leave_a_gap_as_wide_as_a_window(make, n, width, seed):
    dataset = make(n, marks=1, bins=1, chromosomes=3, width=width)
    parts = assign_split(dataset, "blocks", seed=seed)
    assert np.array_equal(parts, assign_split(dataset, "blocks", seed=seed))
    chrom = dataset.regions["chrom"].to_numpy()
    start, end = dataset.regions["start"].to_numpy(), dataset.regions["end"].to_numpy()
    used = parts != ""
    differ = (parts[:, None] != parts) & used[:, None] & used & (chrom[:, None] == chrom)
    gap = np.maximum(start[:, None] - end, start - end[:, None])
    assert not differ.any() or gap[differ].min() >= width
    assert (parts == "").mean() < 0.5


def test_blocks_are_fifteen_hundredths_each(make):
    parts = assign_split(make(4000, marks=1, bins=1, width=10), "blocks", seed=1)
    for part in ("valid", "test"):
        assert abs((parts == part).mean() - 0.15) < 0.01
    assert (parts == "").mean() < 0.01


def test_a_file_of_ids(make, tmp_path, caplog):
    dataset = make(12)
    table = pl.DataFrame({"id": dataset.regions["id"].reverse(), "split": ["test", "valid", ""] + ["train"] * 9})
    for name, header in (("a.tsv", True), ("b.tsv", False)):
        table.write_csv(tmp_path / name, separator="\t", include_header=header)
        parts = assign_split(dataset, tmp_path / name)
        assert parts.tolist() == ["train"] * 9 + ["", "valid", "test"]
    table.write_parquet(tmp_path / "c.parquet")
    assert np.array_equal(assign_split(dataset, tmp_path / "c.parquet"), parts)
    assert "has chromosomes in more than one part" in caplog.text
    assert describe_split(dataset, parts).endswith("left out 1")


@pytest.mark.parametrize(
    ("lines", "match"),
    [
        (["g0\ttrain", "g1\tvalid", "g2\ttest", "g0\ttest"], "the id 'g0' occurs twice"),
        (["g0\ttrain", "g1\tvalid", "g2\ttest", "x\ttest"], r"1 ids are not in the dataset, the first is 'x'"),
        (["g0\ttrain", "g1\tvalid"], "1 examples of the dataset have no row, the first is 'g2'"),
        (["g0\ttrain", "g1\tvalidation", "g2\ttest"], "'g1' has the split 'validation'"),
        (["g0 train", "g1 valid"], "has no two columns"),
        (["g0\ttrain", "g1\ttrain", "g2\ttest"], "leaves no examples for valid"),
        (["g0\ttrain", "g1\ttrain\tx", "g2\ttest"], "."),
    ],
)
def test_files_that_do_not_fit(make, tmp_path, lines, match):
    path = tmp_path / "split.tsv"
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(InputError, match=match) as caught:
        assign_split(make(3), path)
    assert caught.value.cure


def test_examples_without_chromosome(make):
    dataset = make(60)
    object.__setattr__(dataset, "regions", dataset.regions.with_columns(chrom=pl.lit(".")))
    for options in ({"test_chromosomes": ["chr1"]}, {"split": "fold:1/5"}, {"split": "blocks"}, {}):
        with pytest.raises(InputError, match=r"the chromosomes of its 60 examples are not known.*--split published"):
            assign_split(dataset, **options)
    assert len(assign_split(dataset, "published")) == 60


@pytest.mark.parametrize("options", [{"test_chromosomes": ["1"]}, {"split": "fold:2/4"}, {"split": "blocks"}])
def test_some_examples_without_chromosome_are_left_out(make, caplog, options):
    dataset = make(200)
    lost = np.arange(200) % 50 == 7
    chrom = pl.when(pl.Series(lost)).then(pl.lit(".")).otherwise(pl.col("chrom"))
    object.__setattr__(dataset, "regions", dataset.regions.with_columns(chrom=chrom))
    parts = assign_split(dataset, **options)
    assert (parts[lost] == "").all()
    assert set(parts[~lost]) >= {"train", "valid", "test"}
    assert "left out 4 examples whose chromosome is not known" in caplog.text


def test_sequences_have_no_thirds(tmp_path):
    with new_sequence_dataset(tmp_path / "d", length=8) as writer:
        writer.add_codes(np.zeros((6, 8), np.uint8))
        writer.add_targets(np.array([[0], [1]] * 3, np.uint8))
        ids = [f"w{i}" for i in range(6)]
        regions = pl.DataFrame({"id": ids, "chrom": ["chr1"] * 6, "start": range(0, 48, 8), "end": range(8, 56, 8)})
        writer.finish(regions=regions.with_columns(strand=pl.lit(".")), target_names=["a"])
    with pytest.raises(InputError, match=r"has no published split \(give --split blocks"):
        assign_split(open_dataset(tmp_path / "d"), "published")
