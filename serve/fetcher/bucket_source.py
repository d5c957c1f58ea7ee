"""Photos from listed buckets, pinned to a version or an ETag where the address says so.

`s3://BUCKET/KEY`, `s3://BUCKET/KEY?versionId=V`, `s3://BUCKET/KEY?etag=E`. A read that breaks off goes on where it
stopped, on the condition that the object is still the same, so that no body mixes two versions of it.
"""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from botocore.exceptions import BotoCoreError, ClientError

from serve.errors import AddressRefused, ServeError, SourceChanged, SourceNotFound, SourceTooLarge, SourceUnreachable
from serve.fetcher.policy import FetchPolicy

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_PINNED = re.compile(r"(.+)\?(versionId|etag)=([^?&]+)", re.DOTALL)
_PIECE = 64 * 1024
#: How often a body that breaks off is begun or gone on with.
_TRIES = 3
_PRECONDITION_FAILED = 412


@dataclass(slots=True)
class _Reading:
    """What has come of an object so far."""

    place: Mapping[str, str]
    pinned: bool
    etag: str = ""
    content_type: str | None = None
    body: bytearray = field(default_factory=bytearray)

    def request(self) -> dict[str, str]:
        """What to ask for: the object, or the rest of it."""
        if not self.body:
            return dict(self.place)
        return {**self.place, "Range": f"bytes={len(self.body)}-", "IfMatch": self.etag}


class BucketSource:
    """Blocking; call it from a worker thread."""

    def __init__(self, client: "S3Client | None", policy: FetchPolicy) -> None:
        self._client = client
        self._policy = policy

    def read(self, url: str, deadline: float) -> tuple[bytes, str | None]:
        """Body and content type; raise `SourceError` kinds. Nobody can stop a thread, so it looks at the clock itself.

        `deadline` is on the monotonic clock.
        """
        reading = self._begin(url)
        for last in [False] * (_TRIES - 1) + [True]:
            try:
                self._go_on(reading, deadline)
            except ClientError as error:
                raise _store_error(error, reading) from error
            except BotoCoreError as error:
                # A connection that broke, or bytes that are not those of their checksum.
                if last or not reading.body or time.monotonic() > deadline:
                    raise SourceUnreachable("the bucket does not answer") from error
            else:
                return bytes(reading.body), reading.content_type
        raise SourceUnreachable("the bucket does not answer")

    def _begin(self, url: str) -> _Reading:
        bucket, _, key = url[len("s3://") :].partition("/")
        if self._client is None or bucket not in self._policy.buckets or not key:
            raise AddressRefused("the bucket is not listed")
        if (pin := _PINNED.fullmatch(key)) is None:
            return _Reading({"Bucket": bucket, "Key": key}, pinned=False)
        name, value = pin[2], unquote(pin[3])
        asked = {"VersionId": value} if name == "versionId" else {"IfMatch": f'"{value.strip(chr(34))}"'}
        return _Reading({"Bucket": bucket, "Key": pin[1], **asked}, pinned=True)

    def _go_on(self, reading: _Reading, deadline: float) -> None:
        if self._client is None:
            raise AddressRefused("the bucket is not listed")
        arguments: dict[str, Any] = reading.request()
        answer = self._client.get_object(**arguments)
        with answer["Body"] as stream:
            begun = len(reading.body)
            if begun and not self._continues(reading, answer):
                raise SourceUnreachable("the object changed while it was read")
            if begun + answer["ContentLength"] > self._policy.max_bytes:
                raise SourceTooLarge
            reading.etag = answer.get("ETag", "")
            reading.content_type = answer.get("ContentType")
            while piece := stream.read(_PIECE):
                reading.body += piece
                if len(reading.body) > self._policy.max_bytes:
                    raise SourceTooLarge
                if time.monotonic() > deadline:
                    raise SourceUnreachable("the bucket is too slow")

    @staticmethod
    def _continues(reading: _Reading, answer: Mapping[str, Any]) -> bool:
        """Whether the answer is the rest of the same object, whatever the server makes of conditions and ranges."""
        same = bool(reading.etag) and answer.get("ETag") == reading.etag
        return same and str(answer.get("ContentRange", "")).startswith(f"bytes {len(reading.body)}-")


def _store_error(error: ClientError, reading: _Reading) -> ServeError:
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
    if reading.body:
        return SourceUnreachable("the object changed while it was read")
    if status == _PRECONDITION_FAILED:
        return SourceChanged("the object has another ETag than its address names")
    if status >= 500 or status == 429:
        return SourceUnreachable("the bucket does not answer")
    return SourceNotFound(f"the bucket answers {status}")
