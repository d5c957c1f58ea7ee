"""No secret in logs, results, dead letters or errors of settings, whichever way it would get there."""

import asyncio
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote, quote_plus

import pytest
from botocore.exceptions import EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, SecretBytes, SecretStr, ValidationError

from consumers.core.actions import PublishDead, PublishRetry
from consumers.core.retry import Tries
from consumers.dead_letters import dead_letter
from consumers.events import ListingEvent, parse
from consumers.records import SourceRecord, TopicPartition
from consumers.retries import retry_record
from consumers.settings import ConsumerSettings
from consumers.shell import logs as consumer_logs
from serve import logs
from serve.errors import ServeError, SourceUnreachable
from serve.index import SqlIndex
from serve.interfaces import StoredObject
from serve.schemas.exchange import EnrichItem
from serve.schemas.outcome import RetryClass
from serve.schemas.redaction import HIDDEN, SHORTEST, RedactedFormatter, Redaction, redacted, secrets_of
from serve.schemas.result import ErrorInfo
from serve.settings import ServeSettings
from serve.storage import MemoryStore
from tests.support.photos import garment
from tests.support.small_studio import SmallStudio, item, small_studio

PRESIGNED = (
    "https://bucket.s3.amazonaws.com/a.jpg?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAZZ%2F20260101"
    "&X-Amz-Security-Token=FwoGZXIvY&X-Amz-Signature=deadbeef0123&X-Amz-Expires=60"
)
SAID = ("AKIAZZ", "FwoGZXIvY", "deadbeef0123")


@pytest.mark.parametrize(
    ("text", "gone", "kept"),
    [
        (PRESIGNED, SAID, ("bucket.s3.amazonaws.com/a.jpg", "X-Amz-Algorithm=AWS4-HMAC-SHA256", "X-Amz-Expires=60")),
        ("https://ada:pa55word@host:81/x?y=1", ("ada", "pa55word"), ("https://", "@host:81/x?y=1")),
        ("postgresql+psycopg://me:p%40ss@db/vitrine", ("p%40ss",), ("@db/vitrine",)),
        ("ftp://user:a@b@c@host/f", ("a@b@c",), ("@host/f",)),
        ("GET /x?token=abc123&page=2", ("abc123",), ("page=2",)),
        ("GET /x?access_token=abc.123", ("abc.123",), ("/x",)),
        ("/x?sig=abc%2F1&se=2026", ("abc%2F1",), ("se=2026",)),
        ("/x?API_KEY=zzz9&q=red", ("zzz9",), ("q=red",)),
        ("Authorization: Bearer eyJhbGciOi.abc.def\nHost: x", ("eyJhbGciOi",), ("Host: x",)),
        ("{'Authorization': 'AWS4-HMAC-SHA256 Credential=AK/1, Signature=ff00'}", ("AK/1", "ff00"), ("}",)),
        ("('authorization', 'Basic dXNlcjpwdw==')", ("dXNlcjpwdw",), ()),
        ('{"headers": {"authorization": "Basic dXNlcjpwdw=="}, "n": 1}', ("dXNlcjpwdw",), ('"n": 1',)),
        ("it said bearer abcdefghij.klm", ("abcdefghij",), ("it said",)),
        ("password=hunter22; retry", ("hunter22",), ("retry",)),
    ],
)
def test_what_looks_like_a_secret_is_hidden_and_the_rest_stays(
    text: str, gone: tuple[str, ...], kept: tuple[str, ...]
) -> None:
    done = redacted(text)
    assert [one for one in gone if one in done] == []
    assert [one for one in kept if one not in done] == []
    assert redacted(done) == done


@pytest.mark.parametrize(
    "text",
    [
        "the object store answers 403 AccessDenied",
        "s3://vitrine/acme/0a1b2c.jpg",
        "https://cdn.example/a@2x.jpg?width=200",
        "photos of a key, a token and a secret",
        "mail to ada@example.com",
        "shop/photo.jpg: 12 of 24",
    ],
)
def test_plain_texts_stay_as_they_are(text: str) -> None:
    assert redacted(text) == text


@given(
    st.text(st.characters(exclude_categories=("Cs",)), min_size=SHORTEST, max_size=30).filter(str.strip),
    st.text(st.characters(exclude_categories=("Cs",)), max_size=30),
)
def test_a_known_secret_is_hidden_in_every_spelling(secret: str, around: str) -> None:
    hide = Redaction([secret])
    for spelling in (secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1], repr(secret)[1:-1]):
        assert spelling not in hide(f"|{spelling}|").replace(HIDDEN, "") or spelling == "|"
    assert hide(hide(around)) == hide(around) or secret in HIDDEN


def test_a_value_that_is_too_short_is_no_secret() -> None:
    assert Redaction(["abc", ""])("abcdef") == "abcdef"


def test_secrets_of_settings_are_all_their_secret_values() -> None:
    class Door(BaseModel):
        token: SecretStr

    class Settings(BaseModel):
        key: SecretStr | None = None
        plain: str = "plain"
        raw: SecretBytes = SecretBytes(b"raw-bytes")
        doors: list[Door] = []
        more: dict[str, SecretStr] = {}

    settings = Settings(
        key=SecretStr("the-key"), doors=[Door(token=SecretStr("t0ken"))], more={"a": SecretStr("db://u:p%40ss@h/")}
    )
    assert secrets_of(settings) == ("the-key", "raw-bytes", "t0ken", "db://u:p%40ss@h/", "p%40ss", "p@ss")
    mine = ServeSettings(s3_secret_key="hidden-key", index_url="postgresql://me:hidden-word@db/x")
    assert {"hidden-key", "hidden-word"} <= set(secrets_of(mine))
    assert secrets_of(ConsumerSettings(sasl_password=SecretStr("kafka-word"))) == ("kafka-word",)


def test_errors_of_settings_show_no_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITRINE_SERVE_S3_SECRET_KEY", "hidden-key")
    monkeypatch.setenv("VITRINE_SERVE_S3_KMS_KEY_ID", "k")
    with pytest.raises(ValidationError) as refused:
        ServeSettings()
    with pytest.raises(ValidationError) as refused_too:
        ConsumerSettings(sasl_password="hidden-key", window=0)  # type: ignore[arg-type]
    assert "hidden-key" not in f"{refused.value} {refused.value!r} {refused_too.value}"


def test_errors_hide_what_would_travel_in_results() -> None:
    error = SourceUnreachable(f"{PRESIGNED} does not answer")
    told = f"{error} {error.message} {error.info().model_dump_json()}"
    assert [one for one in SAID if one in told] == []
    assert "does not answer" in told


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], str]]:
    """What both rooms write to stderr; the loggers are put back afterwards."""
    rooms = {name: logging.getLogger(name) for name in ("serve", "models")}
    before = {name: (room.handlers, room.level, room.propagate) for name, room in rooms.items()}
    root = logging.getLogger()
    root_before, level_before = root.handlers[:], root.level
    yield lambda: capsys.readouterr().err
    for name, room in rooms.items():
        room.handlers, room.level, room.propagate = before[name]
    root.handlers, root.level = root_before, level_before
    for handler in (*root.handlers, logging.lastResort):
        for one in list(handler.filters if handler else ()):
            if type(one).__name__ == "RedactingFilter" and handler is not None:
                handler.removeFilter(one)


SETTINGS = ServeSettings(
    s3_access_key="AKIDACCESS", s3_secret_key='s3"cret/ké+y', index_url="postgresql://me:dbw0rd@db.example/x"
)
SECRETS = (
    "AKIDACCESS",
    's3"cret/ké+y',
    "dbw0rd",
    "s3%22cret",
    "s3\\u00",
    "k\\u00e9+y",
    *SAID,
    "pa55word",
    "tok3n-value",
)


def secrets_in(text: str) -> list[str]:
    return [one for one in SECRETS if one in text]


class Leaky:
    """Raises errors that carry every secret there is, as libraries do."""

    def boom(self) -> NoReturn:
        shown = (
            f"{SETTINGS.s3_secret_key.get_secret_value() if SETTINGS.s3_secret_key else ''} {SETTINGS.index_address}"
        )
        try:
            raise EndpointConnectionError(endpoint_url=PRESIGNED)  # noqa: TRY301
        except EndpointConnectionError as error:
            raise ValueError(f"AKIDACCESS {shown} Authorization: Bearer tok3n-value https://a:pa55word@h/") from error


class LeakyStore(MemoryStore, Leaky):
    def put_if_absent(self, key: str, body: bytes, content_type: str) -> StoredObject:
        self.boom()


class LeakyIndex(SqlIndex, Leaky):
    def record(self, output: object) -> bool:
        self.boom()


@dataclass
class LeakyFetcher(Leaky):
    asked: list[str] = field(default_factory=list)

    async def fetch(self, url: str) -> NoReturn:
        self.asked.append(url)
        if "unreachable" in url:
            raise SourceUnreachable(f"{url} and {PRESIGNED} do not answer")
        self.boom()


def answered(studio: SmallStudio, event: EnrichItem) -> str:
    try:
        return asyncio.run(studio.pipeline.answer(event)).model_dump_json()
    except ServeError as error:
        return error.info().model_dump_json()


@pytest.mark.parametrize("final", [True, False])
def test_no_secret_leaves_by_log_or_answer_when_store_index_or_fetch_fail(
    tmp_path: Path, lines: Callable[[], str], final: bool
) -> None:
    logs.set_up("DEBUG", secrets_of(SETTINGS))
    photos: dict[str, bytes | ServeError] = {PRESIGNED: garment()}
    told = []
    with small_studio(photos, tmp_path, store=LeakyStore()) as studio:
        told.append(answered(studio, item(PRESIGNED, offset=1, final=final)))
    leaky = LeakyIndex(f"sqlite:///{tmp_path / 'index.db'}")
    with small_studio(photos, tmp_path, wrap_index=lambda _: leaky) as studio:
        told.append(answered(studio, item(PRESIGNED, offset=2, revision=2, final=final)))
    leaky.close()
    with small_studio(photos, tmp_path) as studio:
        studio.pipeline._production._fetcher = LeakyFetcher()
        for offset, url in enumerate((PRESIGNED, f"{PRESIGNED}&unreachable"), 3):
            told.append(answered(studio, item(url, offset=offset, revision=offset, final=final)))
    written = lines()
    assert written.count("defect") >= 3, "the stacks are there"
    assert "EndpointConnectionError" in written
    assert secrets_in(written) == []
    assert secrets_in(" ".join(told)) == []
    assert all(json.loads(line) for line in written.splitlines())


def test_arguments_fields_and_broken_lines_carry_no_secret_either(lines: Callable[[], str]) -> None:
    logs.set_up("DEBUG", secrets_of(SETTINGS))
    log = logging.getLogger("serve.test")
    secret = 's3"cret/ké+y'
    log.debug("asked %s with %r", PRESIGNED, {"Authorization": "Bearer tok3n-value"}, extra={"key": secret})
    log.warning("too few %s %s", secret)  # noqa: PLE1206
    logging.getLogger("models.test").error(b"raw %s", secret.encode())
    written = lines()
    assert secrets_in(written) == []
    assert len([json.loads(line) for line in written.splitlines()]) == 3
    assert "could not be written" in written


def test_other_libraries_lose_the_secrets_as_well(lines: Callable[[], str], caplog: pytest.LogCaptureFixture) -> None:
    logs.set_up("DEBUG", secrets_of(SETTINGS))
    other = logging.getLogger("botocore.hooks")
    with caplog.at_level(logging.DEBUG):
        other.debug("Authorization: %s", "AWS4 Signature=deadbeef0123")
        other.debug("too few %s %s", "AKIDACCESS")
        try:
            Leaky().boom()
        except ValueError:
            other.exception("failed with %s", "dbw0rd")
    assert secrets_in(caplog.text) == []
    assert "failed with" in caplog.text


def test_consumers_write_no_secret(lines: Callable[[], str]) -> None:
    settings = ConsumerSettings(sasl_password=SecretStr("dbw0rd"))
    consumer_logs.configure("DEBUG", secrets_of(settings))
    log = logging.getLogger("consumers.test")
    log.debug("talking to %s", "https://ada:pa55word@serve.example/v1")
    try:
        raise ConnectionError(f"SASL with dbw0rd failed at {PRESIGNED}")  # noqa: TRY301
    except ConnectionError:
        log.exception("no connection", extra={"header": "Authorization: Bearer tok3n-value"})
    written = lines()
    assert "ConnectionError" in written
    assert secrets_in(written) == []


def test_headers_of_letters_and_retries_carry_no_secret_and_the_letter_keeps_the_event() -> None:
    data = {"tenant_id": "t", "listing_id": "l", "revision": 1, "images": [{"url": PRESIGNED}]}
    envelope = {"specversion": "1.0", "id": "e", "source": "//s", "type": "org.vitrine.catalog.listing.created.v1"}
    body = json.dumps({**envelope, "data": data}).encode()
    record = SourceRecord(TopicPartition("t", 0), 1, b"k", body)
    event = parse(record)
    assert isinstance(event, ListingEvent)
    message = f"ReadTimeout: {PRESIGNED} Authorization: Bearer tok3n-value"
    detail = {"url": "https://ada:pa55word@host/"}
    error = ErrorInfo(code="x", retry=RetryClass.TRANSIENT, message=message, detail=detail)
    letter = dead_letter(PublishDead(1, record, event, error, 1, 0.0, 1.0), 0.0, "1")
    retry = retry_record(PublishRetry(1, record, event, error, Tries(), 0.0, 0), 0.0, "1")
    for headers in (letter.headers, retry.headers):
        told = " ".join(f"{name} {value!r}" for name, value in headers)
        assert "ReadTimeout" in told
        assert secrets_in(told) == []
    assert letter.value == body, "or it could not be sent again"


def test_a_formatter_that_breaks_says_only_that() -> None:
    class Broken(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            raise ValueError(record.getMessage())

    record = logging.LogRecord("x", logging.INFO, "f.py", 7, "tok3n-value", None, None)
    line = RedactedFormatter(Broken(), Redaction()).format(record)
    assert json.loads(line) == {
        "message": "a line of the log could not be written",
        "logger": "x",
        "line": 7,
        "reason": "ValueError",
    }
