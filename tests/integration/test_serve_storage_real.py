"""The store contract on real servers."""

import pytest

from serve.errors import StoreRefused
from serve.storage import S3Store, s3_client
from tests.support.servers import StoreServer
from tests.support.store_contract import StoreContract


def _store(server: StoreServer, bucket: str | None = None, secret: str | None = None) -> S3Store:
    client = s3_client(server.endpoint, access_key=server.access_key, secret_key=secret or server.secret_key)
    return S3Store(client, bucket or server.bucket)


@pytest.mark.real
class TestRealServer(StoreContract):
    @pytest.fixture
    def store(self, real_store: StoreServer) -> S3Store:
        return _store(real_store)

    def test_a_wrong_secret_is_refused(self, real_store: StoreServer) -> None:
        with pytest.raises(StoreRefused):
            _store(real_store, secret="wrong").put_if_absent("t/a", b"x", "image/png")

    def test_a_missing_bucket_is_refused(self, real_store: StoreServer) -> None:
        with pytest.raises(StoreRefused):
            _store(real_store, bucket="no-such-bucket").check()


class TestEmbeddedServer(StoreContract):
    @pytest.fixture
    def store(self, embedded_store: StoreServer) -> S3Store:
        return _store(embedded_store)
