from hypothesis import given, settings
from hypothesis import strategies as st

from regulome.genome.chromosomes import Names
from regulome.genome.row_problems import find_row_problems
from regulome.genome.rows import Rows

good = st.tuples(st.integers(0, 10**9), st.integers(1, 1000)).map(lambda t: f"chr1\t{t[0]}\t{t[0] + t[1]}\t1.5")
bad = st.sampled_from(
    ["chr1\t5\t5\t1", "chr1\t9\t5\t1", "chr1\tx\t5\t1", "chr1\t-1\t5\t1", "chr1\t1\t5.5\t1", "chr1\t1\t99999999999\t1",
     "chr1\t1\t5\tmuch", "chr1\t1\t5", "chr1\t1\t5\t1\t1", "chr1 1 5 1"]
)  # fmt: skip
skipped = st.sampled_from(["# comment", "", "track name=x", "browser hide"])


@settings(deadline=None, max_examples=50)
@given(good, st.lists(st.one_of(good, bad, skipped), max_size=40))
def test_the_first_problem_is_the_one_that_the_reader_tells(tmp_path_factory, first, lines):
    path = tmp_path_factory.mktemp("rows") / "a.bedGraph"
    path.write_text("\n".join([first, *lines]) + "\n")
    rows = Rows(path, Names(["chr1"], file=path), value=4, skip_invalid=True)
    list(rows)
    found = find_row_problems(path, value_column=4)
    assert len(found) == min(5, rows.tally.skipped)
    if found:
        assert found[0] == rows.tally.first_skipped
    assert len(find_row_problems(path, value_column=4, most=1000)) == rows.tally.skipped
