"""Photos from buckets of a real S3 server, with and without versions."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import pytest

from deploy.errors import ToolMissing
from deploy.services.interface import Endpoints
from deploy.services.store_real import RealStore
from deploy.settings import DeploySettings
from tests.support.servers import StoreServer, missing
from tests.support.sources_contract import SourcesContract, VersionsContract

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.real


class TestPlain(SourcesContract):
    @pytest.fixture
    def client(self, real_store: StoreServer) -> "S3Client":
        return real_store.client()

    @pytest.fixture
    def bucket(self, real_store: StoreServer) -> str:
        return real_store.bucket


class VersioningStore(RealStore):
    """versitygw that keeps older versions in a folder of their own."""

    def command(self) -> tuple[Sequence[str], Mapping[str, str]]:
        command, env = super().command()
        versions = self.folder / "versions"
        versions.mkdir(exist_ok=True)
        place = list(command).index("posix") + 1
        return [*command[:place], "--versioning-dir", str(versions), *command[place:]], env


@pytest.fixture(scope="module")
def versioning_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreServer]:
    store = VersioningStore(tmp_path_factory.mktemp("store-versions"), DeploySettings())
    try:
        store.start()
        yield StoreServer.of(store.describe(Endpoints()))
    except ToolMissing as error:
        missing(str(error))
    finally:
        store.stop()


class TestVersions(VersionsContract):
    @pytest.fixture
    def client(self, versioning_store: StoreServer) -> "S3Client":
        return versioning_store.client()

    @pytest.fixture
    def bucket(self, versioning_store: StoreServer) -> str:
        return versioning_store.bucket
