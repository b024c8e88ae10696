import logging
from pathlib import Path

import pytest
import torch

from regulome import models
from regulome.errors import InputError
from regulome.training.first_filters import start_from_motifs

SMALL = {"length": 100, "targets": 1, "filters": 6, "units": 4, "hidden": 4}


def test_filters_are_the_files_motifs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "motifs.txt"
    path.write_text("".join(f">{n}\n" + "8 0 0 8\n0 8 0 0\n0 0 0 0\n0 0 8 0\n" for n in "ab"))
    network = models.create("danq-jaspar", motifs=str(path), **SMALL)
    with caplog.at_level(logging.INFO, logger="regulome"):
        start_from_motifs(network)
    assert f"2 of 6 filters start as motifs of {path}" in caplog.text
    wanted = torch.eye(4)[[0, 1, 3, 0]].T - 0.25
    for filter_ in network.convolutions[0].weight[:2]:
        assert sum(bool(torch.equal(filter_[:, start : start + 4], wanted)) for start in range(27)) == 1
    path.unlink()
    # Made again, as a trained run is.
    other = models.create("danq-jaspar", motifs=str(path), **SMALL)
    other.load_state_dict(network.state_dict())
    with pytest.raises(InputError, match=r"motifs\.txt"):
        start_from_motifs(other)


def test_others_stay_as_they_are() -> None:
    for name, hyperparameters in (("danq-jaspar", {}), ("danq", {})):
        network = models.create(name, **SMALL, **hyperparameters)
        before = {key: value.clone() for key, value in network.state_dict().items()}
        start_from_motifs(network)
        assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
