"""Objects in an S3 bucket through boto3: conditional writes, checksums, errors sorted by what helps against them."""

import base64
import hashlib
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypedDict

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, IncompleteReadError
from botocore.exceptions import ConnectionError as EndpointError

from serve.errors import ObjectBusy, ServeError, StoreRefused, StoreUnavailable
from serve.interfaces import StoredObject

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_PRECONDITION_FAILED = 412
_CONFLICT = 409
_NOT_FOUND = 404
_NOT_IMPLEMENTED = 501
#: Requests that the server may answer better a moment later, though below 500.
_PASSING = frozenset({408, 425, 429})
#: The same by name: in answers about single keys there is no status.
_PASSING_CODES = frozenset({"InternalError", "RequestTimeout", "ServiceUnavailable", "SlowDown"})
#: A conditional write that meets another one under way is answered 409 and tried again after these pauses.
_CONFLICT_PAUSES_S = (0.05, 0.1, 0.2, 0.4, 0.8)
_KEYS_PER_DELETE = 1000


def s3_client(
    endpoint_url: str | None = None,
    *,
    region: str = "us-east-1",
    access_key: str | None = None,
    secret_key: str | None = None,
    read_timeout_s: float = 20,
    attempts: int = 4,
) -> "S3Client":
    """A client with the limits that a pipeline needs; without keys boto3 looks for credentials in its usual places.

    An endpoint of one's own gets path-style addresses, as most S3-compatible servers have no wildcard names.
    """
    config = Config(
        connect_timeout=3,
        read_timeout=read_timeout_s,
        retries={"mode": "standard", "max_attempts": attempts},
        max_pool_connections=32,
        signature_version="s3v4",
        s3={"addressing_style": "path" if endpoint_url else "auto"},
    )
    return boto3.client(
        "s3",
        endpoint_url=endpoint_url,
        region_name=region,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        config=config,
    )


class _EncryptionParameters(TypedDict, total=False):
    ServerSideEncryption: Literal["AES256", "aws:kms"]
    SSEKMSKeyId: str


@dataclass(frozen=True, slots=True)
class Encryption:
    """How the server is asked to encrypt what is written. Reading needs nothing but the right to."""

    kind: Literal["none", "AES256", "aws:kms"] = "none"
    #: A key of KMS; without it the bucket's or the account's.
    key: str | None = None

    def parameters(self) -> _EncryptionParameters:
        """What a write says of it."""
        if self.kind == "none":
            return {}
        if self.kind == "aws:kms" and self.key is not None:
            return {"ServerSideEncryption": self.kind, "SSEKMSKeyId": self.key}
        return {"ServerSideEncryption": self.kind}


class S3Store:
    """An `ObjectStore` in one bucket. Thread-safe, as boto3 clients are."""

    def __init__(
        self,
        client: "S3Client",
        bucket: str,
        prefix_uri: str | None = None,
        *,
        encryption: Encryption = Encryption(),
    ) -> None:
        """`prefix_uri` replaces `s3://BUCKET` in the addresses that results carry."""
        self._encryption = encryption.parameters()
        self._client = client
        self._bucket = bucket
        self._uri = (prefix_uri or f"s3://{bucket}").rstrip("/")

    def put_if_absent(self, key: str, body: bytes, content_type: str) -> StoredObject:
        """Write unless the key is taken; either way tell what is stored.

        Raise `StoreUnavailable`, `StoreRefused`, and `ObjectBusy` where other writers never let go of the key.
        """
        digest = hashlib.sha256(body)
        for pause in (*_CONFLICT_PAUSES_S, None):
            with _sorted_errors():
                status = self._put(key, body, content_type, digest.digest())
            if status is None:
                return self._stored(key, digest.hexdigest(), len(body), created=True)
            # Gone again between the refused write and this look: then the next round writes it.
            if status == _PRECONDITION_FAILED and (stored := self.head(key)) is not None:
                return stored
            if pause is not None:
                time.sleep(pause)
        raise ObjectBusy("other writers hold the same key")

    def head(self, key: str) -> StoredObject | None:
        """What is stored under the key, or None."""
        with _sorted_errors():
            try:
                answer = self._client.head_object(Bucket=self._bucket, Key=key)
            except ClientError as error:
                if _status(error) == _NOT_FOUND:
                    return None
                raise
        # An object that somebody else put there has no digest in its metadata: read it.
        digest = answer["Metadata"].get("sha256") or hashlib.sha256(self.get(key)).hexdigest()
        return self._stored(key, digest, answer["ContentLength"], created=False)

    def get(self, key: str) -> bytes:
        """The object's bytes; `KeyError` where there is none."""
        with _sorted_errors():
            try:
                return self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") == "NoSuchKey":
                    raise KeyError(key) from error
                raise

    def delete(self, keys: Sequence[str]) -> None:
        """Remove the objects; missing ones are no error."""
        for start in range(0, len(keys), _KEYS_PER_DELETE):
            chunk = keys[start : start + _KEYS_PER_DELETE]
            with _sorted_errors():
                answer = self._client.delete_objects(
                    Bucket=self._bucket, Delete={"Objects": [{"Key": key} for key in chunk], "Quiet": True}
                )
            if failed := [error for error in answer.get("Errors", []) if error.get("Code") != "NoSuchKey"]:
                # What waiting cannot mend must not be hidden behind what it can.
                worst = min((str(error.get("Code")) for error in failed), key=lambda code: code in _PASSING_CODES)
                raise _kind(code=worst)(f"{len(failed)} objects could not be removed: {worst}")

    def check(self) -> None:
        """Raise `StoreUnavailable` or `StoreRefused` unless the bucket can be used."""
        with _sorted_errors():
            self._client.head_bucket(Bucket=self._bucket)

    def _put(self, key: str, body: bytes, content_type: str, digest: bytes) -> int | None:
        """None when written, or the status that tells of another writer."""
        try:
            answer = self._client.put_object(
                Bucket=self._bucket,
                Key=key,
                Body=body,
                ContentType=content_type,
                IfNoneMatch="*",
                Metadata={"sha256": digest.hex()},
                # Servers that know the header check the body against it; the others pass over it.
                ChecksumAlgorithm="SHA256",
                ChecksumSHA256=base64.b64encode(digest).decode(),
                **self._encryption,
            )
        except ClientError as error:
            if _status(error) in {_PRECONDITION_FAILED, _CONFLICT}:
                return _status(error)
            raise
        if self._encryption and answer.get("ServerSideEncryption") != self._encryption["ServerSideEncryption"]:
            # Ours alone, for the write was conditional: what should be encrypted and is not shall not stay.
            self._client.delete_object(Bucket=self._bucket, Key=key)
            raise StoreRefused("the object store does not confirm the encryption that is set")
        return None

    def _stored(self, key: str, sha256: str, size: int, *, created: bool) -> StoredObject:
        return StoredObject(key=key, uri=f"{self._uri}/{key}", sha256=sha256, bytes=size, created=created)


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500))


def _kind(*, status: int = 0, code: str) -> type[ServeError]:
    """Unavailable only where waiting helps, for whoever sends then waits without end."""
    passing = status in _PASSING or code in _PASSING_CODES or (status >= 500 and status != _NOT_IMPLEMENTED)
    return StoreUnavailable if passing else StoreRefused


@contextmanager
def _sorted_errors() -> Iterator[None]:
    """Turn boto3's errors into ours: what passes by itself, and what a person must put right."""
    try:
        yield
    except ClientError as error:
        status, code = _status(error), error.response.get("Error", {}).get("Code", "?")
        raise _kind(status=status, code=code)(f"the object store answers {status} {code}") from error
    except (EndpointError, HTTPClientError, IncompleteReadError) as error:
        raise StoreUnavailable from error
    except BotoCoreError as error:
        # No credentials, impossible parameters or addresses: nothing was asked at all.
        raise StoreRefused(f"the object store cannot be asked: {type(error).__name__}") from error
