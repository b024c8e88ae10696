"""The command line as a function, and a tiny world that it has prepared and trained on."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.cli.tiny_world import SPLIT, World, make_world

from regulome.cli.app import run


@dataclass
class Answer:
    """How a command line ended."""

    code: int
    out: str
    err: str

    @property
    def last_line(self) -> str:
        return self.err.rstrip().splitlines()[-1] if self.err.strip() else ""


@pytest.fixture
def regulome(capfd: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    def call(*words: object) -> Answer:
        capfd.readouterr()
        code = run([str(word) for word in words])
        out, err = capfd.readouterr()
        return Answer(code, out, err)

    return call


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="session")
def dataset(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dataset") / "dataset"
    assert run([str(word) for word in world.prepare(path)]) == 0
    return path


@pytest.fixture(scope="session")
def trained(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run") / "run"
    words = ["train", "deepchrome", dataset, "--out", path, *SPLIT, "--set", "training.epochs=2"]
    assert run([str(word) for word in words]) == 0
    return path
