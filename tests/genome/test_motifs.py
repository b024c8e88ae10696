import gzip
from pathlib import Path

import numpy as np
import pytest

from regulome.errors import InputError
from regulome.genome import read_motifs

MEME = """MEME version 4

ALPHABET= ACGT

strands: + -

Background letter frequencies
A 0.25 C 0.25 G 0.25 T 0.25

MOTIF MA0004.1 Arnt
letter-probability matrix: alength= 4 w= 3 nsites= 20 E= 0
 0.2 0.8 0.0 0.0
 0.95  0.0  0.05  0.0
 0.0  0.0  0.0  1.0
URL http://jaspar.genereg.net/matrix/MA0004.1

MOTIF second
letter-probability matrix: alength= 4 w= 1
 0.25 0.25 0.25 0.25
"""
JASPAR = """>MA0004.1 Arnt
A  [ 4 19  0 ]
C  [16  0  0 ]
G  [ 0  1  0 ]
T  [ 0  0 20 ]
>MA0001.1\tAG L 3
T [ 1 ]
G [ 2 ]
C [ 3 ]
A [ 4 ]
"""
BARE = ">x\n4 19 0\n16 0 0\n0 1 0\n0 0 20\n"
ARNT = np.array([[0.2, 0.8, 0, 0], [0.95, 0, 0.05, 0], [0, 0, 0, 1]])


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "motifs.txt"
    path.write_text(text)
    return path


def test_meme(tmp_path: Path) -> None:
    first, second = read_motifs(write(tmp_path, MEME))
    assert (first.id, first.name, first.sites) == ("MA0004.1", "Arnt", 20)
    np.testing.assert_allclose(first.probabilities, ARNT)
    assert (second.id, second.name, second.sites) == ("second", "second", 0)
    assert second.probabilities.shape == (1, 4)


def test_jaspar(tmp_path: Path) -> None:
    first, second = read_motifs(write(tmp_path, JASPAR))
    assert (first.id, first.name, first.sites) == ("MA0004.1", "Arnt", 20)
    np.testing.assert_allclose(first.probabilities, ARNT)
    assert second.name == "AG L 3"
    np.testing.assert_allclose(second.probabilities, [[0.4, 0.3, 0.2, 0.1]])


def test_bare_rows_gzip_and_dos_lines(tmp_path: Path) -> None:
    path = tmp_path / "motifs.pfm.gz"
    path.write_bytes(gzip.compress(BARE.replace("\n", "\r\n").encode()))
    (motif,) = read_motifs(path)
    np.testing.assert_allclose(motif.probabilities, ARNT)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("x", "is no file of motifs: expected MEME's text format or JASPAR's"),
        ("chr1\t1\t5\n", "is no file of motifs"),
        ("MEME version 4\n", "has no motif"),
        (MEME.replace("ACGT", "ACDEFGHIKLMNPQRSTVWY"), "line 3: expected the alphabet ACGT"),
        (MEME.replace(" 0.95  0.0  0.05  0.0", " 0.95  x  0.05  0.0"), "line 13: expected 4 numbers, but got '0.95  x"),
        (MEME.replace("w= 3", "w= 4"), "line 15: expected 4 numbers, but got 'URL"),
        (MEME.replace("w= 1", "w= 2"), "the file ends in a matrix of 2 rows"),
        (MEME.replace("w= 1", ""), "line 18: expected the matrix's width"),
        (MEME.replace("MOTIF second", ""), "line 18: a matrix belongs to no motif"),
        (MEME + "MOTIF third\n", "line 20: motif third has no matrix"),
        (
            JASPAR.replace("C  [16  0  0 ]\n", ""),
            "line 1: expected the rows A, C, G and T after '>MA0004.1 Arnt', but g",
        ),
        (JASPAR.replace("T [ 1 ]", "C [ 1 ]"), "line 6: expected the rows A, C, G and T"),
        (JASPAR.replace("19", ""), "line 1: the four rows of MA0004.1 have different lengths"),
        (JASPAR.replace("19", "-9"), "line 1: motif MA0004.1 has a position without letters"),
        (JASPAR.replace("19", "nan"), "line 1: motif MA0004.1 has a position without letters"),
        (JASPAR.replace(" 20 ]", " 0 ]"), "line 1: motif MA0004.1 has a position without letters"),
        (">\n1\n1\n1\n1\n", "line 1: a motif has no name"),
    ],
)
def test_what_cannot_be_read(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(InputError) as refused:
        read_motifs(path)
    assert str(refused.value).startswith(f"{path}: {message}")
