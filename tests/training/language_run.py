"""Small runs that predict the next letter, with the weights that they were born with."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch

from regulome.recipes.load import load_recipe, to_toml
from regulome.training.build import new_predictor
from regulome.training.runs import RECIPE, Run, RunInfo, save_weights, weights_name


def make_run(path: Path, model: str = "char-gru", *, members: int = 1, hidden: int = 8) -> Run:
    """A run that was never trained; its weights are large, so that its letters are not all alike."""
    recipe = load_recipe("char-gru", {"model.name": model, "model.hyperparameters.hidden": hidden})
    path.mkdir()
    info = RunInfo(
        recipe=recipe.name,
        model=model,
        line="language",
        task="next-letter",
        length=50,
        target_names=[],
        members=list(range(members)),
    )
    for member in range(members):
        torch.manual_seed(member)
        predictor = new_predictor(recipe, task=info.task)
        with torch.no_grad():
            for parameter in predictor.parameters():
                parameter.mul_(2)
        save_weights(path / weights_name(member, members), predictor.state_dict())
    info.status = "complete"
    (path / "run.json").write_text(info.to_json())
    (path / RECIPE).write_text(to_toml(recipe))
    return Run(path, info, recipe)


def letter_bits(run: Run, codes: np.ndarray, first: int, place: int) -> float:
    """−log2 of the mean probability of the letter at a place, from the letters since ``first``, all read at once."""
    with torch.no_grad():
        before = torch.from_numpy(np.ascontiguousarray(codes[None, first:place]))
        p = [float(torch.softmax(model(before)[0][0, -1], 0)[codes[place]]) for model in run.models()]
    return -math.log2(sum(p) / len(p))
