"""What a generator has to send: its share of a schedule file."""

import gzip
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path

from pydantic_core import from_json

from deploy.errors import DeployError
from deploy.loadtest.sending.pacer import Due
from deploy.loadtest.workload.planned import Kind, Planned


def timetable(schedule: Path, shard: int, shards: int) -> Iterator[Due]:
    """The events of this share, in their order; all those of a listing are in the same. `DeployError` if it is broken.

    Gzip over lines of JSON: a head, then an event a line, of which `lane` says to which share it belongs.
    """
    try:
        with gzip.open(schedule, "rb") as lines:
            next(lines)
            for line in lines:
                told = from_json(line)
                if told["lane"] % shards == shard:
                    yield Due(told["at"], _event(told))
    except (OSError, EOFError, ValueError, KeyError, TypeError, StopIteration) as error:
        raise DeployError(f"the schedule {schedule} cannot be read: {error!r}") from error


def _event(told: dict[str, str | int | bool | None]) -> Planned:
    value = told.get("value")
    return Planned(
        number=int(told["number"] or 0),
        topic=str(told["topic"]),
        key=str(told["key"]).encode(),
        value=b64decode(str(told["value_base64"])) if value is None else str(value).encode(),
        kind=Kind(str(told["kind"])),
        event_id=str(told["event_id"]),
        listing=None if told["listing"] is None else str(told["listing"]),
        revision=int(told["revision"] or 0),
        loose=bool(told["loose"]),
    )
