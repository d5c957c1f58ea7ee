"""The store contract on real servers."""

from typing import TYPE_CHECKING

import pytest

from serve.errors import StoreRefused
from serve.storage import Encryption, S3Store, s3_client
from tests.support.servers import StoreServer
from tests.support.store_contract import StoreContract

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def _client(server: StoreServer) -> "S3Client":
    return s3_client(server.endpoint, access_key=server.access_key, secret_key=server.secret_key)


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


@pytest.mark.real
@pytest.mark.parametrize(
    "encryption", [Encryption("AES256"), Encryption("aws:kms"), Encryption("aws:kms", "alias/images")], ids=str
)
def test_a_server_that_passes_over_the_wish_for_encryption_keeps_nothing(
    real_store: StoreServer, encryption: Encryption
) -> None:
    """versitygw takes the write and encrypts nothing: that must not look like an outage, nor stay."""
    store = S3Store(_client(real_store), real_store.bucket, encryption=encryption)
    key = f"t/{encryption.kind}-{encryption.key is None}".replace(":", "-")
    with pytest.raises(StoreRefused, match="confirm"):
        store.put_if_absent(key, b"body", "image/png")
    assert store.head(key) is None


class TestEmbeddedServer(StoreContract):
    @pytest.fixture
    def store(self, embedded_store: StoreServer) -> S3Store:
        return _store(embedded_store)
