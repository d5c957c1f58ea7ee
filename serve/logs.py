"""Structured logs: one JSON object per line, with the event id and the stage where they are known."""

import logging
from collections.abc import Iterable
from contextvars import ContextVar

from pythonjsonlogger.json import JsonFormatter

from serve.schemas.redaction import RedactedFormatter, RedactingFilter, Redaction

#: The event that the running task works on.
event_id: ContextVar[str | None] = ContextVar("event_id", default=None)


class _EventId(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        if not hasattr(record, "event_id"):
            record.event_id = event_id.get()
        return True


def set_up(level: str = "INFO", secrets: Iterable[str] = ()) -> None:
    """Send the logs of this room to stderr as JSON, without `secrets` and whatever looks like one.

    Those of other libraries stay where they go, but they lose the secrets as well. Calling it twice is harmless.
    """
    redaction = Redaction(secrets)
    handler = logging.StreamHandler()
    handler.addFilter(_EventId())
    lines = JsonFormatter(
        "{asctime}{levelname}{name}{message}{event_id}",
        style="{",
        rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
    )
    handler.setFormatter(RedactedFormatter(lines, redaction))
    for name in ("serve", "models"):
        room = logging.getLogger(name)
        room.handlers = [handler]
        room.setLevel(level)
        room.propagate = False
    _guard(redaction)


def _guard(redaction: Redaction) -> None:
    """Clients of stores and databases log to the root, Ray by loggers of its own."""
    others = [handler for name in ("", "ray", "ray.serve") for handler in logging.getLogger(name).handlers]
    for handler in (*others, logging.lastResort):
        if handler is None:
            continue
        for old in [one for one in handler.filters if isinstance(one, RedactingFilter)]:
            handler.removeFilter(old)
        handler.addFilter(RedactingFilter(redaction))
