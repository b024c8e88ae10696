import pytest

from regulome.report.wording import amount, estimate, metric_title, sentence, size, wording
from regulome.training.metrics import METRICS as COMPUTED
from regulome.training.metrics import metrics_of
from regulome.training.ranking import NAMES


@pytest.mark.parametrize("line", ["expression", "sequence"])
def test_every_metric_is_explained(line: str) -> None:
    known = wording(line).metrics()
    assert set(known) == {name for task in COMPUTED for name in metrics_of(task, "sequence")} | {"f1_tuned"}
    assert not any("{" in metric.meaning + metric.guessing for metric in known.values())
    assert set(NAMES) - set(known) == {"cross_entropy"}


def test_a_text_has_metrics_of_its_own() -> None:
    words = wording("language")
    known = words.metrics()
    assert list(known) == ["perplexity", "bits_per_base", "accuracy"]
    assert not any("{" in metric.meaning + metric.guessing for metric in known.values())
    assert (known["perplexity"].guessing[0], known["bits_per_base"].guessing) == ("4", "2")
    assert "worse than guessing" in words.bad_score("next-letter")
    assert "train markov on the same split" in words.alone(1, "next-letter")
    assert metric_title("bits_per_base") == "Bits per base"


def test_each_line_has_its_words() -> None:
    assert wording("expression").say("a {high} {one} of {n} {many}", n=2) == "a high gene of 2 genes"
    assert wording("sequence", ["a", "b"]).say("{high} {many}") == "positive windows"
    assert wording("sequence", ["bound"]).say("{low} {many}") == "unbound sequences"
    # What is filled in is left as it is.
    assert wording("sequence").say("{many}: {run}", run="{one}") == "windows: {one}"
    for words in (wording("sequence"), wording("sequence", ["bound"])):
        text = str(
            [
                words,
                words.metrics(),
                words.bad_score("classification"),
                words.alone(1, "classification"),
                words.alone(1, "regression"),
            ]
        )
        assert not {"genes", "marks", "TSS"} & set(text.replace(",", " ").split())


def test_a_baseline_is_named_where_there_is_one() -> None:
    assert "logistic-regression" in wording("expression").alone(1, "regression")
    assert "kmer-logistic-regression" in wording("sequence").alone(1, "classification")
    assert "baseline" not in wording("sequence").alone(1, "regression") + wording("sequence").bad_score("regression")
    assert wording("sequence").alone(2, "classification") == ""


def test_titles() -> None:
    assert metric_title("auroc") == "AUROC"
    assert metric_title("something else") == "something else"


def test_estimates() -> None:
    assert estimate({"value": 0.91234, "low": 0.9, "high": 0.92}) == "0.912 [0.900, 0.920]"
    assert estimate({"value": -0.5, "low": None, "high": None}) == "−0.500"
    assert estimate({"value": None, "low": None, "high": None, "reason": "one class"}) == "— (one class)"
    assert estimate(None) == "—"
    assert estimate({"value": -0.0002, "low": -0.0003, "high": -0.0001}) == "0.000 [0.000, 0.000]"


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
