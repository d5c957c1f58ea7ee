"""Photos from buckets, on moto's S3; tests/integration/test_serve_bucket_source.py has the same on a real server."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from moto import mock_aws

from serve.errors import SourceUnreachable
from serve.storage import s3_client
from tests.support.sources_contract import PHOTO, Breaking, VersionsContract

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class TestMoto(VersionsContract):
    @pytest.fixture
    def client(self) -> Iterator["S3Client"]:
        with mock_aws():
            client = s3_client(access_key="key", secret_key="secret")
            client.create_bucket(Bucket="photos")
            yield client

    @pytest.fixture
    def bucket(self) -> str:
        return "photos"

    @pytest.mark.parametrize("ignored", ["Range", "IfMatch"])
    def test_a_server_that_ignores_the_conditions_mixes_nothing(
        self, client: "S3Client", bucket: str, ignored: str
    ) -> None:
        class Careless(Breaking):
            def get_object(self, **request: Any) -> Any:
                request.pop(ignored, None)
                return super().get_object(**request)

        self.put(client, bucket, "a.jpg")
        careless = Careless(client, [1000], lambda: self.put(client, bucket, "a.jpg", PHOTO[::-1]))
        with pytest.raises(SourceUnreachable):
            self.read(careless, f"s3://{bucket}/a.jpg")
