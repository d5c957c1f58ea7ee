"""One running Vitrine for the acceptance tests that do not break it."""

from collections.abc import Iterator

import pytest

from deploy.errors import ToolMissing
from tests.support.servers import missing
from tests.support.system import System, running_system


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    try:
        with running_system(tmp_path_factory.mktemp("system")) as running:
            yield running
    except ToolMissing as error:
        missing(str(error))
