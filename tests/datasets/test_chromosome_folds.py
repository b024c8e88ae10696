import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regulome.datasets.chromosome_folds import balanced_folds, fold_chromosomes, in_order
from regulome.errors import InputError

# Protein-coding genes of GENCODE 10 with an expression in Roadmap's table, chromosomes 1 to 22.
NUMBERS = (
    *(2010, 1241, 1047, 752, 862, 1016, 894, 721, 795, 756, 1294),
    *(1035, 323, 641, 611, 852, 1176, 276, 1393, 539, 231, 450),
)
GENES = {f"chr{i}": n for i, n in enumerate(NUMBERS, 1)}
some = st.dictionaries(st.integers(1, 60).map("chr{}".format), st.integers(1, 500), min_size=4, max_size=25)


@given(counts=some, data=st.data())
def test_half_of_a_fold_validates_in_natural_order(counts, data):
    folds = data.draw(st.integers(2, len(counts)))
    fold = data.draw(st.integers(1, folds))
    held = balanced_folds(counts, folds)[fold - 1]
    if len(held) < 2:
        with pytest.raises(InputError, match="alone"):
            fold_chromosomes(f"fold:{fold}/{folds}:half", counts, file="data")
        return
    tests, valids = fold_chromosomes(f"fold:{fold}/{folds}:half", counts, file="data")
    assert in_order(valids) + in_order(tests) == in_order(held)
    assert 0 <= len(tests) - len(valids) <= 1


@given(counts=some, share=st.floats(0.1, 0.9), data=st.data())
def test_a_share_of_the_others_validates(counts, share, data):
    folds = data.draw(st.integers(2, len(counts)))
    tests, valids = fold_chromosomes(f"fold:1/{folds}:{share:.2f}", counts, file="data")
    assert tests == fold_chromosomes(f"fold:1/{folds}:0.5", counts, file="data")[0]
    assert not tests & valids
    rest = {name: n for name, n in counts.items() if name not in tests}
    missing = round(share, 2) * sum(rest.values()) - sum(rest[name] for name in valids)
    # No chromosome that is left over brings it nearer.
    assert all(abs(missing - n) >= abs(missing) - 1e-6 for name, n in rest.items() if name not in valids)


def test_published_shares_on_human_autosomes():
    rest = sum(GENES.values())
    for fold in range(1, 6):
        tests, valids = fold_chromosomes(f"fold:{fold}/5:0.3", GENES, file="data")
        others = rest - sum(GENES[name] for name in tests)
        assert abs(sum(GENES[name] for name in valids) / others - 0.3) < 0.01
        assert abs(sum(GENES[name] for name in tests) / rest - 0.2) < 0.01


@pytest.mark.parametrize("name", ["fold:1/5:1", "fold:1/5:0", "fold:1/5:1.5", "fold:1/5:quarter", "fold:1/5:"])
def test_no_fold(name):
    with pytest.raises(InputError, match=re.escape(f"{name!r} is no fold (write it as fold:1/5, fold:1/5:half or")):
        fold_chromosomes(name, GENES, file="data")
