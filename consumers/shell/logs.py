"""Structured logs: one JSON object per line, with `event_id` and `outcome` where an event is meant."""

import logging
import sys
import time
from collections.abc import Iterable

from pythonjsonlogger.json import JsonFormatter

from consumers.core.actions import Finished, Retried, WentBack
from consumers.shell.notices import (
    ClientReplaced,
    CommitRefused,
    LogMadeAnew,
    News,
    OffsetMissing,
    PollFailed,
    StartedOver,
    TopicChanged,
    TransactionEnded,
)
from serve.schemas.redaction import RedactedFormatter, Redaction

log = logging.getLogger("consumers.events")

#: The Kafka client says some things with every attempt, ten times a second.
_REPEATS_S = 30.0


class _NoRepeats(logging.Filter):
    """Lets the same line of the Kafka client pass once in a while."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.name.startswith("kafka"):
            return True
        now, line = time.monotonic(), (record.name, record.getMessage())
        if now - self._last.get(line, -_REPEATS_S) < _REPEATS_S:
            return False
        if len(self._last) > 1000:
            self._last.clear()
        self._last[line] = now
        return True


def configure(level: str, secrets: Iterable[str] = ()) -> None:
    """Log to stderr as JSON, without `secrets` and whatever looks like one; the Kafka client only from WARNING on."""
    handler = logging.StreamHandler(sys.stderr)
    fields = "{asctime}{levelname}{name}{message}"
    names = {"asctime": "time", "levelname": "level", "name": "logger"}
    lines = JsonFormatter(fields, style="{", rename_fields=names)
    handler.setFormatter(RedactedFormatter(lines, Redaction(secrets)))
    handler.addFilter(_NoRepeats())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for noisy in ("kafka", "httpx", "httpcore"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def saw(news: News) -> None:
    """Log what became of an event, or what the shell has to tell."""
    match news:
        case Finished(record, event_id, outcome, code, attempts):
            place = {"topic": record.tp.topic, "partition": record.tp.partition, "offset": record.offset}
            facts = {"event_id": event_id, "outcome": outcome, "code": code, "attempts": attempts, **place}
            level = logging.WARNING if outcome is None else logging.INFO
            log.log(level, "event is a dead letter" if outcome is None else "event is answered", extra=facts)
        case Retried(event_id, error, decision):
            facts = {"event_id": event_id, "code": error.code, "retry": error.retry.value, "decision": str(decision)}
            log.warning("try failed: %s", error.message, extra=facts)
        case WentBack(tp, offset, expected, records):
            facts = {"action": "offsets_went_back", "topic": tp.topic, "partition": tp.partition, "offset": offset}
            log.warning("%d records below offset %d are passed over", records, expected, extra=facts)
        case _:
            _saw_trouble(news)


def _saw_trouble(news: News) -> None:
    match news:
        case PollFailed(error, message):
            log.warning("poll failed: %s: %s", error, message, extra={"action": "poll_failed", "error": error})
        case CommitRefused(error, message):
            log.warning("commit failed: %s: %s", error, message, extra={"action": "commit_failed", "error": error})
        case OffsetMissing(tp, expected, offset):
            facts = {"action": "offset_missing", "topic": tp.topic, "partition": tp.partition, "offset": offset}
            log.warning("the broker does not have offset %d, it goes on at %d", expected, offset, extra=facts)
        case LogMadeAnew(tp):
            facts = {"action": "log_made_anew", "topic": tp.topic, "partition": tp.partition}
            log.warning("the topic was made anew, the partition is read from its start", extra=facts)
        case StartedOver(partitions):
            log.warning("commits of %d partitions are read again", partitions, extra={"action": "started_over"})
        case ClientReplaced(reason):
            log.error("Kafka client is replaced: %s", reason, extra={"action": "client_replaced"})
        case TransactionEnded(result, seconds, messages, message) if result != "committed":
            facts = {"action": f"transaction_{result}", "seconds": round(seconds, 3), "messages": messages}
            log.warning("transaction: %s", message, extra=facts)
        case TopicChanged(topic, state, partitions):
            facts = {"action": f"topic_{state}", "topic": topic, "partitions": partitions}
            level = logging.INFO if state == "present" else logging.WARNING
            log.log(level, "topic %s is %s, with %d partitions", topic, state, partitions, extra=facts)
        case _:
            pass
