import pytest

from regulome.errors import InputError
from regulome.training.feature_choice import choose_features, distinct_names


def test_features_are_chosen_by_name_and_pattern():
    names = ["K562|CTCF|None", "HepG2|CTCF|a[1]", "HepG2|MYC|None", "HepG2*"]
    assert choose_features(names, None) == [0, 1, 2, 3]
    assert choose_features(names, []) == [0, 1, 2, 3]
    assert choose_features(names, "*ctcf*") == [0, 1]
    assert choose_features(names, ["HepG2|MYC|None", "*CTCF|?one"]) == [0, 2]
    assert choose_features(names, "HepG2*") == [3]
    assert choose_features(names, "hepg2|ctcf|a[1]") == [1]
    with pytest.raises(InputError, match=r"no feature 'K562\|CTCF\|Non' \(did you mean K562\|CTCF\|None"):
        choose_features(names, "K562|CTCF|Non")
    with pytest.raises(InputError, match="there are K562"):
        choose_features(names, "zzz")


def test_names_are_made_distinct():
    assert distinct_names(["A", "B"]) == ["A", "B"]
    assert distinct_names(["A", "A_2", "a", "A"]) == ["A", "A_2", "a_3", "A_4"]
