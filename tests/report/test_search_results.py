"""The picture of a search: a map of a grid, dots of any other."""

import polars as pl
import pytest
from matplotlib.patches import Rectangle

from regulome.errors import InputError
from regulome.recipes.load import load_recipe
from regulome.recipes.search_space import load_space
from regulome.report import write_search_figure
from regulome.report.search_results import search_figure
from regulome.training.runs import DatasetRecord
from regulome.training.search_record import SearchInfo, Trial


def grid_of(recipe, metric, *, task, test=None, space=None, failed=()):
    chosen = load_space(space, load_recipe(recipe))
    trials = []
    for place in range(chosen.combinations()):
        settings = chosen.combination(place)
        # The best is the last but one.
        score = 3.9 - 0.002 * place if place < chosen.combinations() - 1 else 3.9
        trial = Trial(number=place + 1, state="complete", score=score, settings=settings, drawn={}, test=test)
        if place + 1 in failed:
            trial = trial.model_copy(update={"state": "failed", "score": None, "test": None})
        trials.append(trial)
    request = {"space": chosen.record(), "sampler": "grid", "metric": metric, "folds": 0}
    where = DatasetRecord(path="data", checksum="0")
    line = load_recipe(recipe).line
    return SearchInfo(
        recipe=recipe, line=line, task=task, dataset=where, split="", request=request, trials=trials, best=None
    )


@pytest.fixture
def published():
    return grid_of("char-grid-published", "valid_perplexity", task="next-letter", test=3.7, failed=(5,))


def outlined(axes):
    return [patch.get_xy() for patch in axes.patches if isinstance(patch, Rectangle)]


def test_the_published_grid_is_two_maps(published, tmp_path):
    figure = search_figure(published, tmp_path)
    valid, test = figure.axes[:2]
    assert [valid.get_title(loc="left"), test.get_title(loc="left")] == ["validation perplexity", "test perplexity"]
    assert [text.get_text() for text in valid.get_yticklabels()][:3] == [
        "char-rnn · 2",
        "char-rnn · 3",
        "char-lstm · 2",
    ]
    columns = [text.get_text() for text in valid.get_xticklabels()]
    assert (len(columns), columns[0], columns[-1]) == (12, "50\n0.0001", "1000\n0.002")
    cells = {text.get_position(): text.get_text() for text in valid.texts}
    # All but the trial that failed, each where its row and column meet.
    assert len(cells) == 95
    assert (4, 0) not in cells
    assert cells[0, 0] == "3.900"
    assert cells[2, 3] == f"{3.9 - 0.002 * 38:.3f}"
    assert {text.get_text() for text in test.texts} == {"3.700"}
    # The lowest is the best, and the brightest.
    assert outlined(valid) == outlined(test) == [(9.5, 6.5)]
    image = valid.images[0]
    assert image.cmap.name == "cividis_r"


def test_other_grids(tmp_path):
    space = {"training.learning_rate": {"choices": [0.1, 0.2]}, "training.batch_size": {"choices": [8]}}
    info = grid_of("deepbind", "valid_auroc", task="classification", space=space)
    (axes, _) = search_figure(info, tmp_path).axes
    assert axes.get_title(loc="left") == "validation AUROC"
    # Of one key only there is one row, and a key with one value is not told.
    assert (axes.get_xlabel(), len(axes.get_yticks())) == ("learning rate", 1)
    assert axes.images[0].cmap.name == "cividis"
    lists = {"model.hyperparameters.hidden": {"choices": [[4], [8, 2]]}}
    info = grid_of("deepchrome", "valid_auroc", task="regression", space=lists)
    axes = search_figure(info, tmp_path).axes[0]
    assert axes.get_title(loc="left") == "validation Pearson"
    assert [text.get_text() for text in axes.get_xticklabels()] == ["[4]", "[8, 2]"]
    assert len(axes.texts) == 2


def test_other_searches_are_dots(published, tmp_path):
    space = {**published.request["space"], "training.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}}
    published.request.update(sampler="random", space=space)
    axes = search_figure(published, tmp_path).axes
    assert [here.get_xlabel() for here in axes] == ["network", "layers", "length", "learning rate"]
    assert axes[3].get_xscale() == "log"
    others, best = axes[2].lines
    assert len(others.get_xdata()) == 94
    assert best.get_ydata().tolist() == [3.9 - 0.002 * 94]
    assert best.get_xdata().tolist() == [3]


def test_files_of_a_search_that_goes_on(published, tmp_path):
    partial = tmp_path / "out.partial"
    partial.mkdir()
    published.trials = published.trials[:3]
    published.save(partial)
    files = write_search_figure(tmp_path / "out")
    assert files == [partial / "trials.svg", partial / "trials.png"]
    assert "validation perplexity" in files[0].read_text()
    assert pl.read_csv(partial / "trials.tsv", separator="\t")["test_perplexity"].to_list() == [3.7] * 3
    assert write_search_figure(partial, tmp_path / "mine.svg") == [tmp_path / "mine.svg"]
    with pytest.raises(InputError, match="exists already"):
        write_search_figure(partial, tmp_path / "mine.svg", overwrite=False)
    published.trials = []
    published.save(partial)
    with pytest.raises(InputError, match="has no trial that ended"):
        write_search_figure(partial)
    with pytest.raises(InputError, match="is not a search"):
        write_search_figure(tmp_path)
