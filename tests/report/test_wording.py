import pytest

from regulome.report.wording import METRICS, amount, estimate, sentence, size
from regulome.training.metrics import METRICS as COMPUTED


def test_every_metric_is_explained() -> None:
    assert set(METRICS) == {name for metrics in COMPUTED.values() for name in metrics}


def test_estimates() -> None:
    assert estimate({"value": 0.91234, "low": 0.9, "high": 0.92}) == "0.912 [0.900, 0.920]"
    assert estimate({"value": -0.5, "low": None, "high": None}) == "−0.500"
    assert estimate({"value": None, "low": None, "high": None, "reason": "one class"}) == "— (one class)"
    assert estimate(None) == "—"


@pytest.mark.parametrize(
    ("words", "text"), [([], "none"), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_sentences(words: list[str], text: str) -> None:
    assert sentence(words) == text


def test_amounts_and_sizes() -> None:
    assert amount(1, "gene") == "1 gene"
    assert amount(2000, "gene") == "2,000 genes"
    assert size(12) == "12 B"
    assert size(3_200_000) == "3.2 MB"
