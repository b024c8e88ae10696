import pytest

from regulome.errors import InputError
from regulome.genome.chromosomes import ELSEWHERE, UNKNOWN, Names, check_inside, key, match_names
from regulome.genome.windows import Windows


@pytest.mark.parametrize(
    ("name", "same"),
    [("chr1", "1"), ("Chr1", "CHR1"), ("chrM", "MT"), ("M", "chrMT"), ("chrx", "X"), ("2L", "chr2L"), ("chr", "chr")],
)
def test_spellings_of_one_chromosome_share_a_key(name: str, same: str) -> None:
    assert key(name) == key(same)


def test_chromosomes_of_different_names_do_not() -> None:
    names = ["1", "2", "11", "X", "Y", "M", "2L", "2R", "chrUn_1", "chr1_random", "GL000192.1", "01"]
    assert len({key(name) for name in names}) == len(names)


def test_the_exact_name_wins() -> None:
    assert match_names(["chr1", "2", "chrM"], ["1", "chr1", "chr2", "MT"], file="x") == {
        "chr1": "chr1",
        "2": "chr2",
        "chrM": "MT",
    }


def test_no_common_name_is_an_error_that_shows_both_styles() -> None:
    with pytest.raises(
        InputError, match=r"x: none of its chromosomes \(I, II\) is among those of the windows \(chr1\)"
    ):
        match_names(["chr1"], ["I", "II"], file="x")


HUMAN = [*(f"chr{i}" for i in range(1, 23)), "chrX"]


@pytest.mark.parametrize(
    "name", ["chrY", "chrM", "MT", "chrUn_gl000220", "chr6_apd_hap1", "chr1_KI270706v1_random", "HLA-A"]
)
def test_chromosomes_that_hold_no_window_are_not_unknown(name: str) -> None:
    assert Names(HUMAN, file="x").resolve(name) == ELSEWHERE


@pytest.mark.parametrize("name", ["chr23", "24", "chr0", "chr100"])
def test_numbers_beyond_a_whole_karyotype_are_unknown(name: str) -> None:
    names = Names(HUMAN, file="x")
    assert names.resolve(name) == UNKNOWN
    assert names.why_unknown(name) == f"unknown chromosome {name}: the annotation has 1 to 22, X"


@pytest.mark.parametrize(
    "wanted", [["chr1", "chr2", "chrX"], [f"chr{i}" for i in range(1, 26)], ["chr20"], ["2L", "X"]]
)
def test_windows_on_some_chromosomes_make_no_other_unknown(wanted: list[str]) -> None:
    assert Names(wanted, file="x").resolve("chr26") == ELSEWHERE


def test_sizes_tell_what_is_known_and_how_long() -> None:
    names = Names(["1"], sizes={"chr1": 100, "chr2": 50}, file="x")
    assert (names.resolve("chr1"), names.resolve("chr2"), names.resolve("chr3")) == (0, ELSEWHERE, UNKNOWN)
    assert (names.limit("1"), names.limit("chr3")) == (100, None)


def test_a_window_may_leave_its_chromosome_but_not_with_its_centre() -> None:
    windows = Windows.around(["1", "1", "2"], [0, 99, 10**6], window=20, bin=10)
    check_inside(windows, {"chr1": 100}, file="x")
    with pytest.raises(
        InputError, match=r"x: window 2 \(1:89-109\) is centred beyond the chromosome's end at 99; 1 of 3"
    ):
        check_inside(windows, {"chr1": 99}, file="x")


def test_windows_that_name_a_chromosome_in_two_ways_are_refused() -> None:
    for ask in (lambda: match_names(["chr1", "1"], ["chr1"], file="x"), lambda: Names(["chr1", "1"], file="x")):
        with pytest.raises(InputError, match="the windows name one chromosome in two ways, chr1 and 1"):
            ask()
