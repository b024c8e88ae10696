import pytest

from regulome.errors import InputError
from regulome.genome.region import Region, parse_region


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("chr20:1,000-2,000", Region("chr20", 999, 2000)),
        ("20:1-1", Region("20", 0, 1)),
        (" chrX:57 ", Region("chrX", 56, 57)),
        ("HLA:A*01:5..9", Region("HLA:A*01", 4, 9)),
        ("chr1:10 – 20", Region("chr1", 9, 20)),
    ],
)
def test_regions_are_read_as_browsers_write_them(text: str, expected: Region) -> None:
    assert parse_region(text) == expected
    assert parse_region(str(expected)) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("chr20", "is no region"),
        ("chr20:", "is no region"),
        ("chr20:5-", "is no region"),
        ("chr20:a-b", "is no region"),
        ("chr20:0-5", "start at 1"),
        ("chr20:,-5", "start at 1"),
        ("chr20:9-5", "behind its last"),
    ],
)
def test_what_is_no_region_is_told(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_region(text)
