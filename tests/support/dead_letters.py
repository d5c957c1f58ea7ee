"""Records that died, for tests."""

from consumers.core.actions import PublishDead
from consumers.dead_letters import dead_letter
from consumers.events import parse
from consumers.records import SourceRecord, TopicPartition
from serve.schemas.outcome import RetryClass
from serve.schemas.result import ErrorInfo
from tests.support.listing_events import structured_bytes

DEAD = TopicPartition("dead", 0)
NEW = TopicPartition("listings.new", 3)


def died(record: SourceRecord, *, offset: int = 0, bare: bool = False, code: str = "bad_listing") -> SourceRecord:
    """The dead letter of the record, as it is read from the topic at this offset."""
    error = ErrorInfo(code=code, retry=RetryClass.PERMANENT, message="no good", detail={"why": "so"})
    dead = PublishDead(1, record, parse(record), error, 2, 1.0, 2.0, bare)
    message = dead_letter(dead, 0.0, "test")
    return SourceRecord(DEAD, offset, message.key, message.value, message.headers, 1000 + offset)


def event(event_id: str = "e1", listing: str = "l1") -> SourceRecord:
    return SourceRecord(NEW, 7, b"other:key", structured_bytes(event_id, listing), (("a", b"1"),), 5)
