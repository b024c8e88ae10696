"""The published data on which the tests of this folder run; it is not part of the project."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    folder = Path(os.environ.get("REGULOME_SHARED", Path(__file__).parents[3] / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"no published data at {folder}: set REGULOME_SHARED to a folder that has it")
    return folder.resolve()
