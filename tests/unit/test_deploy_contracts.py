"""The contract files are up to date, valid, and hold for real messages."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from pydantic_asyncapi.v3 import AsyncAPI
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from consumers.core.actions import Publish, PublishDead, PublishRetry
from consumers.core.codes import DEAD_LETTER_CODES
from consumers.core.retry import Tries
from consumers.events import BadEvent, ListingEvent, parse
from consumers.headers import PREFIX
from consumers.records import SourceRecord, TopicPartition
from consumers.retries import retry_record
from consumers.settings import ConsumerSettings
from consumers.shell.outgoing import Writer
from deploy.contracts import files
from deploy.contracts.asyncapi import DEAD_LETTER_HEADERS, RESULT_HEADERS, RETRY_HEADERS, document
from deploy.contracts.files import FOLDER, stale, write
from deploy.contracts.outcomes import CASES, DEAD_LETTER
from serve.codes import ListingCode
from serve.schemas.listing import Listing
from serve.schemas.outcome import Outcome, RetryClass
from serve.schemas.result import ErrorInfo, ListingResult
from tests.support.examples import LISTING_EVENT, RESULT
from tests.support.listing_events import structured_bytes


@pytest.fixture(scope="module")
def texts() -> dict[Path, str]:
    """What all files should hold: the whole code is read for it, which takes seconds."""
    return files.expected()


def test_files_are_up_to_date(texts: dict[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "expected", lambda: texts)
    assert stale() == [], "run `make schemas`"


def test_staleness_is_noticed(tmp_path: Path, texts: dict[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "expected", lambda: texts)
    write(tmp_path)
    assert stale(tmp_path) == []
    (tmp_path / "outcomes.md").write_text("old")
    assert stale(tmp_path) == [Path("outcomes.md")]


@pytest.mark.parametrize("path", sorted((FOLDER / "schemas").glob("*.json")), ids=lambda path: path.stem)
def test_each_json_schema_is_a_schema(path: Path) -> None:
    jsonschema.Draft202012Validator.check_schema(json.loads(path.read_text()))


def test_the_asyncapi_file_is_valid_and_its_references_resolve() -> None:
    text = yaml.safe_load((FOLDER / "asyncapi.yaml").read_text())
    AsyncAPI.model_validate(text)
    for reference in _references(text):
        node: Any = text
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]
        assert node


def test_an_invalid_asyncapi_document_is_refused() -> None:
    broken = document("1")
    broken["operations"]["sendResult"]["action"] = "whisper"
    with pytest.raises(ValueError):
        AsyncAPI.model_validate(broken)


def test_example_messages_hold_against_the_document() -> None:
    _validate(LISTING_EVENT, "ListingEvent")
    _validate({**LISTING_EVENT, "type": "org.vitrine.listing.images.enriched.v1", "data": RESULT}, "ResultEvent")
    with pytest.raises(jsonschema.ValidationError):
        _validate({**LISTING_EVENT, "data": {"tenant_id": "shop"}}, "ListingEvent")


def test_examples_survive_a_round_trip_with_their_unknown_fields() -> None:
    listing = Listing.model_validate(LISTING_EVENT["data"])
    assert json.loads(listing.model_dump_json(exclude_unset=True)) == LISTING_EVENT["data"]
    result = ListingResult.model_validate(RESULT)
    assert ListingResult.model_validate_json(result.model_dump_json()) == result


def test_the_outcome_table_knows_every_outcome() -> None:
    named = {case.ends_as for case in CASES}
    assert named >= {outcome.value for outcome in Outcome}
    assert named - {outcome.value for outcome in Outcome} == {DEAD_LETTER}
    assert len({case.case for case in CASES}) == len(CASES)


def test_the_outcome_page_names_every_code() -> None:
    page = (FOLDER / "outcomes.md").read_text()
    codes = {str(code) for code in (*DEAD_LETTER_CODES, *ListingCode)}
    assert {code for code in codes if f"`{code}`" not in page} == set()


def _validate(message: dict[str, Any], name: str) -> None:
    text = document("1")
    registry = Registry().with_resource("doc:", Resource(text, DRAFT202012))
    schema = {"$ref": f"doc:#/components/messages/{name}/payload"}
    jsonschema.Draft202012Validator(schema, registry=registry).validate(message)


def _references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [reference for value in node.values() for reference in _references(value)]
    if isinstance(node, list):
        return [reference for value in node for reference in _references(value)]
    return []


def test_the_document_names_the_headers_that_dead_letters_have() -> None:
    record = SourceRecord(TopicPartition("listings.new", 0), 3, None, b"{", (("trace", None),))
    error = ErrorInfo(code="invalid_json", retry=RetryClass.PERMANENT, message="no JSON")
    bad = BadEvent("invalid_json", "no JSON")
    _, letter = Writer(ConsumerSettings()).message(PublishDead(1, record, bad, error, 0, 0.0, 0.0))
    written = {name.removeprefix(PREFIX) for name, _ in letter.headers if name.startswith(PREFIX)}
    assert {"error-code", "original-offset", "original-null-headers", "moments"} <= written <= set(DEAD_LETTER_HEADERS)


def test_the_document_names_the_headers_that_results_have() -> None:
    record = SourceRecord(TopicPartition("listings.new", 0), 1, b"k", structured_bytes("e"))
    event = parse(record)
    assert isinstance(event, ListingEvent)
    _, message = Writer(ConsumerSettings()).message(Publish(1, record, event, ListingResult.model_validate(RESULT)))
    written = {name.removeprefix(PREFIX) for name, _ in message.headers if name.startswith(PREFIX)}
    assert written == set(RESULT_HEADERS)


def test_the_document_names_the_headers_that_retry_records_have() -> None:
    record = SourceRecord(TopicPartition("listings.new", 0), 1, b"k", structured_bytes("e"), (("null", None),), 5)
    event = parse(record)
    assert isinstance(event, ListingEvent)
    error = ErrorInfo(code="x", retry=RetryClass.DELAYED, message="m")
    message = retry_record(PublishRetry(1, record, event, error, Tries(delayed=1), 0.0, 0), 0.0, "1")
    written = {name.removeprefix(PREFIX) for name, _ in message.headers if name.startswith(PREFIX)}
    assert written == set(RETRY_HEADERS)
