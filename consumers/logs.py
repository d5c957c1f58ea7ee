"""Structured logs: one JSON object per line, with `event_id` and `outcome` where an event is meant."""

import logging
import sys

from pythonjsonlogger.json import JsonFormatter

from consumers.core.actions import Action, Finished, Retried, WentBack

log = logging.getLogger("consumers.events")


def configure(level: str) -> None:
    """Log to stderr as JSON; the Kafka client only from WARNING on."""
    handler = logging.StreamHandler(sys.stderr)
    fields = "{asctime}{levelname}{name}{message}"
    names = {"asctime": "time", "levelname": "level", "name": "logger"}
    handler.setFormatter(JsonFormatter(fields, style="{", rename_fields=names))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for noisy in ("kafka", "httpx", "httpcore"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def saw(action: Action) -> None:
    """Log what became of an event."""
    match action:
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
            pass
