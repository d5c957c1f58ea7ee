"""What reading photos from a bucket must do, on any S3 server: pins hold, and no body mixes two versions."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import pytest
from botocore.exceptions import ConnectionClosedError

from serve.errors import SourceChanged, SourceNotFound, SourceTooLarge, SourceUnreachable
from serve.fetcher.bucket_source import BucketSource
from serve.fetcher.policy import FetchPolicy

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PHOTO = bytes(range(256)) * 1024
NEVER = float("inf")


class _BreaksOff:
    """A body whose connection breaks after some bytes; `meanwhile` is called at that moment."""

    def __init__(self, body: Any, after: int, meanwhile: Callable[[], object]) -> None:
        self._body, self._left, self._meanwhile = body, after, meanwhile

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._body.close()

    def read(self, amount: int) -> bytes:
        piece = self._body.read(min(amount, self._left)) if self._left else b""
        self._left -= len(piece)
        if not piece:
            self._meanwhile()
            raise ConnectionClosedError(endpoint_url="http://store")
        return piece


class Breaking:
    """The client of a real server whose first answers break off."""

    def __init__(self, client: "S3Client", after: list[int], meanwhile: Callable[[], object] = lambda: None) -> None:
        self._client, self._after, self._meanwhile = client, list(after), meanwhile
        self.asked: list[dict[str, Any]] = []

    def get_object(self, **request: Any) -> Any:
        self.asked.append(request)
        answer = self._client.get_object(**request)
        if self._after:
            answer["Body"] = _BreaksOff(answer["Body"], self._after.pop(0), self._meanwhile)
        return answer


class SourcesContract:
    """Subclass it and give the two fixtures."""

    @pytest.fixture
    def client(self) -> "S3Client":
        raise NotImplementedError

    @pytest.fixture
    def bucket(self) -> str:
        raise NotImplementedError

    def read(self, client: Any, url: str, **policy: Any) -> bytes:
        bucket = url.split("/")[2]
        return BucketSource(client, FetchPolicy(**{"buckets": (bucket,), **policy})).read(url, NEVER)[0]

    def put(self, client: "S3Client", bucket: str, key: str, body: bytes = PHOTO) -> str:
        return client.put_object(Bucket=bucket, Key=key, Body=body)["ETag"].strip('"')

    def test_an_etag_in_the_address_holds(self, client: "S3Client", bucket: str) -> None:
        etag = self.put(client, bucket, "pinned a.jpg")
        assert self.read(client, f"s3://{bucket}/pinned a.jpg?etag={etag}") == PHOTO
        assert self.read(client, f"s3://{bucket}/pinned a.jpg?etag=%22{etag}%22") == PHOTO
        self.put(client, bucket, "pinned a.jpg", b"newer")
        assert self.read(client, f"s3://{bucket}/pinned a.jpg") == b"newer"
        with pytest.raises(SourceChanged):
            self.read(client, f"s3://{bucket}/pinned a.jpg?etag={etag}")

    def test_keys_that_look_like_pins_and_pins_of_nothing(self, client: "S3Client", bucket: str) -> None:
        self.put(client, bucket, "what?.jpg", b"question")
        assert self.read(client, f"s3://{bucket}/what?.jpg") == b"question"
        for pin in ("?etag=abc", "?versionId=null"):
            with pytest.raises(SourceNotFound):
                self.read(client, f"s3://{bucket}/nothing.jpg{pin}")

    @pytest.mark.parametrize("after", [[1], [100_000], [65_536, 65_536]])
    def test_a_body_that_breaks_off_is_gone_on_with(self, client: "S3Client", bucket: str, after: list[int]) -> None:
        etag = self.put(client, bucket, "broken.jpg")
        breaking = Breaking(client, after)
        assert self.read(breaking, f"s3://{bucket}/broken.jpg") == PHOTO
        begun = 0
        for request, more in zip(breaking.asked[1:], after, strict=True):
            begun += more
            assert (request["Range"], request["IfMatch"]) == (f"bytes={begun}-", f'"{etag}"')

    def test_a_body_without_its_end_is_not_trusted(self, client: "S3Client", bucket: str) -> None:
        # All bytes came, but nobody compared them with their checksum; and there is no rest to ask for.
        self.put(client, bucket, "broken.jpg")
        with pytest.raises(SourceUnreachable):
            self.read(Breaking(client, [len(PHOTO)]), f"s3://{bucket}/broken.jpg")

    def test_no_body_mixes_two_versions(self, client: "S3Client", bucket: str) -> None:
        self.put(client, bucket, "changing.jpg")
        other = PHOTO[::-1]
        breaking = Breaking(client, [100_000], lambda: self.put(client, bucket, "changing.jpg", other))
        with pytest.raises(SourceUnreachable):
            self.read(breaking, f"s3://{bucket}/changing.jpg")
        assert self.read(client, f"s3://{bucket}/changing.jpg") == other

    def test_an_object_that_goes_while_it_is_read_is_no_photo(self, client: "S3Client", bucket: str) -> None:
        self.put(client, bucket, "going.jpg")
        breaking = Breaking(client, [100_000], lambda: client.delete_object(Bucket=bucket, Key="going.jpg"))
        with pytest.raises(SourceUnreachable):
            self.read(breaking, f"s3://{bucket}/going.jpg")

    def test_a_bucket_that_always_breaks_off_is_unreachable(self, client: "S3Client", bucket: str) -> None:
        self.put(client, bucket, "broken.jpg")
        breaking = Breaking(client, [1000] * 10)
        with pytest.raises(SourceUnreachable):
            self.read(breaking, f"s3://{bucket}/broken.jpg")
        assert len(breaking.asked) == 3

    def test_the_size_of_a_rest_counts_with_what_was_read(self, client: "S3Client", bucket: str) -> None:
        self.put(client, bucket, "large.jpg")
        with pytest.raises(SourceTooLarge):
            self.read(client, f"s3://{bucket}/large.jpg", max_bytes=len(PHOTO) - 1)
        breaking = Breaking(client, [1000])
        assert self.read(breaking, f"s3://{bucket}/large.jpg", max_bytes=len(PHOTO)) == PHOTO


class VersionsContract(SourcesContract):
    """For servers that keep versions."""

    def test_a_version_in_the_address_holds(self, client: "S3Client", bucket: str) -> None:
        client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        versions = [
            client.put_object(Bucket=bucket, Key="versions.jpg", Body=body)["VersionId"] for body in (b"one", b"two")
        ]
        found = [self.read(client, f"s3://{bucket}/versions.jpg?versionId={version}") for version in versions]
        assert found == [b"one", b"two"]
        with pytest.raises(SourceNotFound):
            self.read(client, f"s3://{bucket}/versions.jpg?versionId=01BX5ZZKBKACTAV9WEVGEMMVRZ")
