"""Structured logs: one JSON object per line, with the event id and the stage where they are known."""

import logging
from contextvars import ContextVar

from pythonjsonlogger.json import JsonFormatter

#: The event that the running task works on.
event_id: ContextVar[str | None] = ContextVar("event_id", default=None)


class _EventId(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        if not hasattr(record, "event_id"):
            record.event_id = event_id.get()
        return True


def set_up(level: str = "INFO") -> None:
    """Send the logs of this room to stderr as JSON; those of other libraries stay. Calling it twice is harmless."""
    handler = logging.StreamHandler()
    handler.addFilter(_EventId())
    handler.setFormatter(
        JsonFormatter(
            "{asctime}{levelname}{name}{message}{event_id}",
            style="{",
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
        )
    )
    for name in ("serve", "models"):
        room = logging.getLogger(name)
        room.handlers = [handler]
        room.setLevel(level)
        room.propagate = False
