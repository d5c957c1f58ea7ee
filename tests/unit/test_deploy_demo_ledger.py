"""What the demo sends, and how it accounts for the answers."""

from hypothesis import given
from hypothesis import strategies as st

from consumers.events import BadEvent, ListingEvent, parse
from consumers.records import SourceRecord, TopicPartition
from deploy.contracts.outcomes import CASES, DEAD_LETTER
from deploy.demo.ledger import DeadLetter, Ledger
from deploy.demo.progress import Progress
from deploy.demo.script import PlannedEvent
from serve.schemas.outcome import Outcome
from serve.schemas.result import ListingResult
from tests.support.demo_run import output, photo, planned, position, result, script


def parsed(event: PlannedEvent) -> ListingEvent | BadEvent:
    message = event.message
    return parse(SourceRecord(TopicPartition("t", 0), 0, message.key, message.value, message.headers))


def right_answer(event: PlannedEvent, offset: int) -> ListingResult | DeadLetter:
    ending, code = min(event.expected.endings.items())
    if ending == DEAD_LETTER:
        return DeadLetter(position=position(offset), code=code or "", message="", value=event.message.value)
    return result(position(offset), Outcome(ending), code=code)


def test_every_extra_is_in_the_outcome_table() -> None:
    rows = {(case.ends_as, case.code) for case in CASES}
    extras = [event for event in planned() if event.label]
    assert len(extras) == 8
    for event in extras:
        assert set(event.expected.endings.items()) <= rows, event.label


def test_events_are_what_their_label_says() -> None:
    events = planned(2)
    by_label = {event.label: event for event in events}
    first, second = events[0], events[1]
    assert by_label["the same event again"].message == first.message
    older, newer = parsed(by_label["an older revision"]), parsed(second)
    assert isinstance(older, ListingEvent)
    assert isinstance(newer, ListingEvent)
    assert older.listing.key == newer.listing.key
    assert older.listing.revision < newer.listing.revision
    for label, code in (("invalid JSON", "invalid_json"), ("an unknown event type", "unknown_event_type")):
        bad = parsed(by_label[label])
        assert isinstance(bad, BadEvent)
        assert bad.code == code
    readable = [event for event in events if not isinstance(parsed(event), BadEvent)]
    assert len({event.event_id for event in readable}) == len(readable) - 1, "only the duplicate shares its id"


def test_broken_photo_is_a_cut_one() -> None:
    hosted: dict[str, bytes] = {}
    writer = script(hosted)
    sent = list(writer.listings([photo(1, b"x" * 100)]))
    extras = list(writer.extras(sent))
    assert len(hosted["cut-short.jpg"]) == 60
    assert len(extras) == 8, "one listing is enough for all extras"


@given(st.permutations(range(10)), st.integers(0, 10))
def test_any_order_of_answers_balances(order: list[int], before: int) -> None:
    events = planned(2)
    ledger = Ledger()
    answers = [right_answer(events[index], index) for index in order]
    for answer in answers[:before]:
        ledger.answered(answer)
    for offset, event in enumerate(events):
        ledger.sent(event, position(offset))
    for answer in answers[before:]:
        ledger.answered(answer)
    assert ledger.open == 0
    assert ledger.problems == []
    assert sum(ledger.endings.values()) == len(events)


@given(st.integers(0, 9))
def test_a_missing_answer_is_a_problem(missing: int) -> None:
    ledger = Ledger()
    for offset, event in enumerate(planned(2)):
        ledger.sent(event, position(offset))
        if offset != missing:
            ledger.answered(right_answer(event, offset))
    assert ledger.open == 1
    assert len(ledger.problems) == 1
    assert "no answer" in ledger.problems[0]


def test_two_answers_are_a_problem() -> None:
    ledger = Ledger()
    event = planned(1)[0]
    ledger.sent(event, position(0))
    ledger.answered(result(position(0)))
    ledger.answered(DeadLetter(position=position(0), code="x", message="", value=None))
    assert "2 answers" in ledger.problems[0]


def test_wrong_outcome_is_a_problem() -> None:
    ledger = Ledger()
    ledger.sent(planned(1)[0], position(0))
    ledger.answered(result(position(0), Outcome.FAILED, code="corrupt_image"))
    assert "ended as failed (corrupt_image)" in ledger.problems[0]


def test_an_ordinary_listing_may_be_rejected_for_its_quality_alone() -> None:
    for code, right in (("quality_rejected", True), ("too_many_images", False)):
        ledger = Ledger()
        ledger.sent(planned(1)[0], position(0))
        ledger.answered(result(position(0), Outcome.REJECTED, code=code))
        assert (not ledger.problems) is right


def test_the_private_address_is_refused_for_where_it_leads() -> None:
    (extra,) = [parsed(event) for event in planned(1) if event.label == "a private address"]
    assert isinstance(extra, ListingEvent)
    assert extra.listing.images[0].url.startswith("https://10.")


def test_answers_of_others_are_ignored() -> None:
    ledger = Ledger()
    ledger.sent(planned(1)[0], position(0))
    ledger.answered(result(position(7, partition=3)))
    ledger.answered(result(position(0)).model_copy(update={"position": None}))
    assert ledger.open == 1


def test_progress_counts_images_per_stage() -> None:
    ledger = Ledger()
    events = planned(2)
    for offset, event in enumerate(events[:3]):
        ledger.sent(event, position(offset))
    made = [output("white", "a"), output("navy", "b")]
    ledger.answered(result(position(0), outputs=made, timings_ms={"generation": 300.0}))
    ledger.answered(result(position(2), Outcome.DUPLICATE, code="duplicate_event"))
    progress = Progress.of(ledger, planned=10, elapsed_s=4.0)
    assert (progress.sent, progress.open, progress.answered, progress.images) == (3, 1, 2, 2)
    assert progress.images_per_s == 0.5
    assert progress.stages["generation"].mean_ms == 150.0
    assert progress.endings == {"enriched": 1, "duplicate": 1}
    assert progress.reasons == {"duplicate_event": 1}
