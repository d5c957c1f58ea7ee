"""Every row of the outcome table, through real Kafka, Ray Serve and a real S3 server."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest

from deploy.contracts.outcomes import CASES, DEAD_LETTER
from serve.schemas.clock import clock_name
from tests.support.photos import as_png, garment, huge_header
from tests.support.system import System

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]

CREATED = "org.vitrine.catalog.listing.created.v1"
UPDATED = "org.vitrine.catalog.listing.updated.v1"
DELETED = "org.vitrine.catalog.listing.deleted.v1"

#: Rows that need a special part to fail; their own tests are named here.
ELSEWHERE = {
    "newer revision waiting": "tests/unit/test_consumers_retry_topics.py",
    "answered after a newer revision": "tests/unit/test_consumers_shell.py",
    "holds back its partition": "tests/unit/test_consumers_retry_topics.py",
    "a person must look": "tests/unit/test_serve_pipeline.py",
    "every picture misses a rule": "tests/unit/test_serve_pipeline.py",
    "a blocked term or photo": "tests/unit/test_serve_policy.py",
    "a listed term or photo, for review": "tests/unit/test_serve_policy.py",
    "event that breaks every answer": "tests/unit/test_consumers_engine.py",
    "event that kills its replica": "tests/integration/test_serve_app.py",
    "no answer in time": "tests/unit/test_consumers_engine.py",
    "Serve refuses the request": "tests/unit/test_consumers_engine.py",
    "answer for another event": "tests/unit/test_consumers_engine.py",
    "result larger than Kafka takes": "tests/unit/test_consumers_engine.py",
    "defect in Vitrine": "tests/unit/test_consumers_engine.py",
    "photo has too many bytes": "tests/unit/test_serve_fetcher.py",
}


@dataclass
class Script:
    """What to send for one case. The last message is the one whose answer the row describes."""

    messages: list[bytes] = field(default_factory=list)
    #: The last message is sent when the others are answered.
    in_turn: bool = False

    def event(self, listing: str, *, kind: str = CREATED, event_id: str | None = None, **data: Any) -> "Script":
        data = {"tenant_id": "shop", "listing_id": listing, "revision": 1, "recipe": "tiny", **data}
        data = {key: value for key, value in data.items() if value is not None}
        number = len(self.messages)
        envelope = {"specversion": "1.0", "id": event_id or f"{listing}-{number}", "source": "//tests", "type": kind}
        return self.raw(json.dumps({**envelope, "data": data}).encode())

    def raw(self, body: bytes) -> "Script":
        self.messages.append(body)
        return self


def photos(*urls: str) -> list[dict[str, str]]:
    return [{"url": url} for url in urls]


def scripts(system: System) -> dict[str, Callable[[str], Script]]:
    """Case name -> what to send, given a listing id of its own."""
    server = system.photos
    good = server.add("good.jpg", garment())
    truncated = server.add("truncated.jpg", garment()[:4000])
    bomb = server.add("bomb.png", huge_header())
    text = server.add("text.jpg", b"this is no picture\n" * 50)
    small = server.add("small.jpg", garment(size=(24, 24)))
    suffix = server.add("wrong-suffix.gif", as_png(garment(seed=2)))
    many = [server.add(f"many-{number}.jpg", garment(seed=number)) for number in range(40)]
    private = "https://10.0.0.1/photo.jpg"

    def one(url: str) -> Callable[[str], Script]:
        return lambda listing: Script().event(listing, images=photos(url))

    return {
        "usable photos": lambda listing: Script().event(listing, images=photos(good, truncated)),
        "0 images": lambda listing: Script().event(listing, images=[]),
        "unknown recipe": lambda listing: Script().event(listing, images=photos(good), recipe="no-such-recipe"),
        "unknown channel": lambda listing: Script().event(
            listing, images=photos(good), destination_profiles=["no-such-channel"]
        ),
        "no picture can suit its channel": lambda listing: Script().event(
            listing, images=photos(good), recipe="scenes", destination_profiles=["amazon-main"]
        ),
        "40 images": lambda listing: Script().event(listing, images=photos(*many)),
        "address cannot be reached": one(f"http://{system.dead_origin}/photo.jpg"),
        "photo is not there (404)": one(server.url("missing.jpg")),
        "private address": one(private),
        "photo with another hash than the event says": lambda listing: Script().event(
            listing, images=[{"url": good, "sha256": "0" * 64}]
        ),
        "truncated or damaged photo": one(truncated),
        "300-megapixel header": one(bomb),
        "text file named .jpg": one(text),
        "photo of a few pixels": one(small),
        "wrong suffix, usable photo": one(suffix),
        "same event id again": lambda listing: (
            Script()
            .event(listing, event_id=f"{listing}-same", images=photos(good))
            .event(listing, event_id=f"{listing}-same", images=photos(good))
        ),
        "older revision after newer": lambda listing: (
            Script(in_turn=True)
            .event(listing, kind=UPDATED, revision=2, images=photos(good))
            .event(listing, images=photos(good))
        ),
        "listing deleted": lambda listing: (
            Script().event(listing, images=photos(good)).event(listing, kind=DELETED, revision=2)
        ),
        "delete before create": lambda listing: Script().event(listing, kind=DELETED, revision=5),
        "invalid JSON": lambda listing: Script().raw(b'{"specversion": "1.0", "id": ' + listing.encode()),
        "missing required field": lambda listing: Script().event(listing, revision=None),
        "unknown event type": lambda listing: Script().event(listing, kind="org.vitrine.catalog.listing.sold.v1"),
    }


def wait_for_answers(system: System) -> dict[tuple[str, int, int], dict[str, Any]]:
    """The answers to all events that were produced."""
    produced, answered = system.produced, system.answered()
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and len(answered) < produced:
        answered = system.answered()
    assert len(answered) == produced, f"{produced - len(answered)} of {produced} events have no answer"
    return answered


@pytest.fixture(scope="module")
def answers(system: System) -> dict[str, dict[str, Any]]:
    """Nearly everything is sent at once, so the rows also show that no case holds back another."""
    positions: dict[str, tuple[str, int, int]] = {}
    sent: dict[str, bytes] = {}
    later: list[tuple[str, str, bytes]] = []
    for number, (case, script) in enumerate(scripts(system).items()):
        written, key = script(f"case-{number}"), f"shop:case-{number}"
        *first, last = written.messages
        for message in first:
            system.produce(message, key=key)
        sent[case] = last
        if written.in_turn:
            later.append((case, key, last))
        else:
            positions[case] = system.produce(last, key=key)
    wait_for_answers(system)
    for case, key, message in later:
        positions[case] = system.produce(message, key=key)
    answered = wait_for_answers(system)
    return {case: {"sent": sent[case], **answered[position]} for case, position in positions.items()}


@pytest.mark.parametrize("row", [row for row in CASES if row.case not in ELSEWHERE], ids=lambda row: row.case)
def test_the_row_is_what_the_system_does(row: Any, answers: dict[str, dict[str, Any]]) -> None:
    answer = answers[row.case]
    if row.ends_as == DEAD_LETTER:
        assert answer["dead"] is True
        assert answer["code"] == row.code
        assert answer["bytes"] == answer["sent"], "the original bytes are kept"
        assert answer["message"]
        assert "Traceback" not in answer["message"]
        return
    assert answer["outcome"] == row.ends_as, answer
    assert answer["code"] == row.code
    if row.ends_as == "failed":
        assert {error["retryable"] for error in answer["errors"]} == {row.retryable}
    for text in (answer["message"] or "", *(error["message"] for error in answer["errors"])):
        assert "Traceback" not in text


def test_one_bad_photo_does_not_fail_its_listing(answers: dict[str, dict[str, Any]]) -> None:
    answer = answers["usable photos"]
    assert [output["variant"] for output in answer["outputs"]] == ["tiny"]
    assert [error["code"] for error in answer["errors"]] == ["corrupt_image"]


@pytest.mark.parametrize("case", ["usable photos", "0 images", "same event id again", "listing deleted"])
def test_answers_say_when_their_events_passed_which_point(case: str, answers: dict[str, dict[str, Any]]) -> None:
    answer = answers[case]
    assert answer["clock"] == clock_name()
    assert (answer["stored_at"] is not None) == bool(answer["outputs"])
    passed = [answer["started_at"], answer["stored_at"], answer["finished_at"]]
    times = [datetime.fromisoformat(one) for one in passed if one is not None]
    assert times == sorted(times)


def test_images_over_the_limit_are_named(answers: dict[str, dict[str, Any]]) -> None:
    answer = answers["40 images"]
    assert len(answer["outputs"]) == 24
    assert [error["code"] for error in answer["errors"]] == ["image_limit"] * 16


def test_objects_of_a_removed_listing_stay_while_another_listing_refers_to_them(
    system: System, answers: dict[str, dict[str, Any]]
) -> None:
    shared = answers["usable photos"]["outputs"][0]["key"]
    assert answers["listing deleted"]["outcome"] == "removed"
    assert system.object_sha256(shared) == answers["usable photos"]["outputs"][0]["sha256"]
