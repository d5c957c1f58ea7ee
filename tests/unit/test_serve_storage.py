"""The store contract in memory and on moto, and how S3 errors are sorted."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import EndpointConnectionError, NoCredentialsError
from botocore.stub import Stubber
from moto import mock_aws

from serve.errors import ObjectBusy, StoreRefused, StoreUnavailable
from serve.storage import Encryption, MemoryStore, S3Store, s3_client
from serve.storage import s3 as s3_module
from tests.support.store_contract import StoreContract

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET = "vitrine-test"


@pytest.fixture
def client() -> "Iterator[S3Client]":
    with mock_aws():
        client = s3_client(access_key="key", secret_key="secret")
        client.create_bucket(Bucket=BUCKET)
        yield client


@pytest.fixture
def stubbed() -> "Iterator[tuple[S3Store, Stubber]]":
    client = s3_client(access_key="key", secret_key="secret")
    with Stubber(client) as stubber:
        yield S3Store(client, BUCKET), stubber


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()


class TestS3Store(StoreContract):
    @pytest.fixture
    def store(self, client: "S3Client") -> S3Store:
        return S3Store(client, BUCKET)


def test_type_digest_and_checksum_lie_with_the_object(client: "S3Client") -> None:
    S3Store(client, BUCKET, "https://images.example").put_if_absent("t/a.jpg", b"body", "image/jpeg")
    head = client.head_object(Bucket=BUCKET, Key="t/a.jpg", ChecksumMode="ENABLED")
    assert head["ContentType"] == "image/jpeg"
    assert head["Metadata"] == {"sha256": hashlib.sha256(b"body").hexdigest()}
    assert head["ChecksumSHA256"]


@pytest.mark.parametrize(
    ("encryption", "kind", "key"),
    [
        (Encryption(), "AES256", None),
        (Encryption("AES256"), "AES256", None),
        (Encryption("aws:kms"), "aws:kms", None),
        (Encryption("aws:kms", "alias/images"), "aws:kms", "alias/images"),
    ],
)
def test_writes_ask_for_the_encryption_that_is_set(
    client: "S3Client", encryption: Encryption, kind: str, key: str | None
) -> None:
    said: list[dict[str, Any]] = []
    client.meta.events.register("before-parameter-build.s3.PutObject", lambda params, **_: said.append(dict(params)))
    store = S3Store(client, BUCKET, encryption=encryption)
    stored = store.put_if_absent("t/a.jpg", b"body", "image/jpeg")
    assert store.head("t/a.jpg") == replace(stored, created=False)
    assert store.get("t/a.jpg") == b"body"
    assert not store.put_if_absent("t/a.jpg", b"other", "image/jpeg").created
    asked = {name: value for name, value in said[0].items() if "SSE" in name or "Encryption" in name}
    wanted = {"ServerSideEncryption": encryption.kind, "SSEKMSKeyId": encryption.key}
    assert asked == {name: value for name, value in wanted.items() if value not in {"none", None}}
    head = client.head_object(Bucket=BUCKET, Key="t/a.jpg")
    assert head.get("ServerSideEncryption", kind) == kind
    assert key is None or key in head.get("SSEKMSKeyId", "")


def test_a_store_that_does_not_confirm_the_encryption_keeps_nothing() -> None:
    client = s3_client(access_key="key", secret_key="secret")
    with Stubber(client) as stubber:
        stubber.add_response("put_object", {"ETag": "x"})
        stubber.add_response("delete_object", {}, {"Bucket": BUCKET, "Key": "t/a"})
        with pytest.raises(StoreRefused, match="confirm"):
            S3Store(client, BUCKET, encryption=Encryption("AES256")).put_if_absent("t/a", b"1", "image/png")
        stubber.assert_no_pending_responses()


def test_uri_takes_the_prefix_that_is_set(client: "S3Client") -> None:
    assert S3Store(client, BUCKET).put_if_absent("t/a", b"1", "image/png").uri == f"s3://{BUCKET}/t/a"
    assert S3Store(client, BUCKET, "https://cdn.example/x/").put_if_absent("t/b", b"1", "image/png").uri == (
        "https://cdn.example/x/t/b"
    )


def test_the_digest_of_a_foreign_object_is_computed(client: "S3Client") -> None:
    client.put_object(Bucket=BUCKET, Key="t/foreign", Body=b"foreign")
    stored = S3Store(client, BUCKET).put_if_absent("t/foreign", b"ours", "image/png")
    assert not stored.created
    assert stored.sha256 == hashlib.sha256(b"foreign").hexdigest()


def test_more_keys_than_one_request_takes_are_deleted(client: "S3Client", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_module, "_KEYS_PER_DELETE", 2)
    store = S3Store(client, BUCKET)
    keys = [f"t/{number}" for number in range(5)]
    for key in keys:
        store.put_if_absent(key, b"x", "image/png")
    store.delete(keys)
    assert [store.head(key) for key in keys] == [None] * 5


def test_a_missing_bucket_is_refused(client: "S3Client") -> None:
    store = S3Store(client, "no-such-bucket")
    with pytest.raises(StoreRefused):
        store.check()
    with pytest.raises(StoreRefused):
        store.put_if_absent("t/a", b"x", "image/png")
    with pytest.raises(StoreRefused):
        store.get("t/a")


def test_a_conflicting_write_under_way_is_tried_again(stubbed: tuple[S3Store, Stubber]) -> None:
    store, stubber = stubbed
    stubber.add_client_error("put_object", "ConditionalRequestConflict", http_status_code=409)
    stubber.add_response("put_object", {"ETag": "e"})
    assert store.put_if_absent("t/a", b"x", "image/png").created
    stubber.assert_no_pending_responses()


def test_an_object_gone_between_refusal_and_look_is_written(stubbed: tuple[S3Store, Stubber]) -> None:
    store, stubber = stubbed
    stubber.add_client_error("put_object", "PreconditionFailed", http_status_code=412)
    stubber.add_client_error("head_object", "404", http_status_code=404)
    stubber.add_response("put_object", {"ETag": "e"})
    assert store.put_if_absent("t/a", b"x", "image/png").created


def test_endless_conflicts_are_no_outage(stubbed: tuple[S3Store, Stubber], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_module, "_CONFLICT_PAUSES_S", (0.0, 0.0))
    store, stubber = stubbed
    for _ in range(3):
        stubber.add_client_error("put_object", "ConditionalRequestConflict", http_status_code=409)
    with pytest.raises(ObjectBusy):
        store.put_if_absent("t/a", b"x", "image/png")


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (500, "InternalError", StoreUnavailable),
        (503, "SlowDown", StoreUnavailable),
        (429, "TooManyRequests", StoreUnavailable),
        (400, "RequestTimeout", StoreUnavailable),
        (507, "XMinioStorageFull", StoreUnavailable),
        (501, "NotImplemented", StoreRefused),
        (403, "AccessDenied", StoreRefused),
        (404, "NoSuchBucket", StoreRefused),
        (400, "InvalidRequest", StoreRefused),
    ],
)
def test_answers_of_the_server_are_sorted(
    stubbed: tuple[S3Store, Stubber], status: int, code: str, kind: type[Exception]
) -> None:
    store, stubber = stubbed
    stubber.add_client_error("put_object", code, http_status_code=status)
    with pytest.raises(kind, match=str(status)):
        store.put_if_absent("t/a", b"x", "image/png")


@pytest.mark.parametrize(
    ("codes", "kind", "named"),
    [
        (["InternalError"], StoreUnavailable, "InternalError"),
        (["SlowDown", "ServiceUnavailable"], StoreUnavailable, "SlowDown"),
        (["AccessDenied"], StoreRefused, "AccessDenied"),
        (["SlowDown", "AccessDenied"], StoreRefused, "AccessDenied"),
        (["NoSuchKey", "MethodNotAllowed"], StoreRefused, "MethodNotAllowed"),
    ],
)
def test_objects_that_cannot_be_deleted_are_sorted_by_their_reason(
    stubbed: tuple[S3Store, Stubber], codes: list[str], kind: type[Exception], named: str
) -> None:
    store, stubber = stubbed
    stubber.add_response("delete_objects", {"Errors": [{"Key": code, "Code": code} for code in codes]})
    with pytest.raises(kind, match=named):
        store.delete(codes)


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (EndpointConnectionError(endpoint_url="http://127.0.0.1:1"), StoreUnavailable),
        (NoCredentialsError(), StoreRefused),
    ],
)
def test_a_silent_server_passes_but_missing_credentials_do_not(raised: Exception, kind: type[Exception]) -> None:
    class Broken:
        def __getattr__(self, name: str) -> Any:
            def call(**_arguments: object) -> None:
                raise raised

            return call

    store = S3Store(Broken(), BUCKET)  # type: ignore[arg-type]
    with pytest.raises(kind):
        store.check()
    with pytest.raises(kind):
        store.head("t/a")
