"""What all tests share."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

# A busy machine is slow, not wrong: no property has a deadline.
settings.register_profile("regulome", deadline=None)
settings.load_profile("regulome")


@pytest.fixture(autouse=True, scope="session")
def _genomes_stay_out_of_the_home_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REGULOME_CACHE", str(tmp_path_factory.mktemp("regulome-cache")))
        yield
