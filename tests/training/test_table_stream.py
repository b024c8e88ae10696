import gzip

import polars as pl
import pytest

from regulome.errors import InputError
from regulome.training import table_stream
from regulome.training.table_stream import new_table, table_ending

SCHEMA = {"id": pl.String, "value": pl.Float32}
PARTS = [pl.DataFrame({"id": ["a,b", "c"], "value": [0.1, None]}, schema=SCHEMA)] * 3


@pytest.mark.parametrize("ending", table_stream.ENDINGS)
@pytest.mark.parametrize("parts", [PARTS, []])
def test_pieces_make_one_table(tmp_path, ending, parts, monkeypatch):
    monkeypatch.setattr(table_stream, "_GROUP", 64)
    path = tmp_path / f"t{ending}"
    with new_table(path, SCHEMA) as write:
        for part in parts:
            write(part)
        assert not path.exists()
    if ending == ".parquet":
        found = pl.read_parquet(path)
    else:
        found = pl.read_csv(path, separator="," if "csv" in ending else "\t", schema_overrides=SCHEMA)
    assert found.equals(pl.concat([pl.DataFrame(schema=SCHEMA), *parts]))
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    with pytest.raises(InputError, match="exists already"), new_table(path, SCHEMA):
        pass
    if ending.endswith("gz"):
        assert gzip.decompress(path.read_bytes()).startswith(b"id")


@pytest.mark.parametrize("ending", [".tsv.gz", ".parquet"])
def test_nothing_is_left_of_a_table_that_failed(tmp_path, ending):
    def fail():
        with new_table(tmp_path / f"t{ending}", SCHEMA) as write:
            write(PARTS[0])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert not list(tmp_path.iterdir())


def test_endings():
    assert table_ending("A.TSV.GZ") == ".tsv.gz"
    assert table_ending("a.vcf", others=(".vcf",)) == ".vcf"
    for name in ("a.txt", ".tsv", "tsv"):
        with pytest.raises(InputError, match="has no ending"):
            table_ending(name)
