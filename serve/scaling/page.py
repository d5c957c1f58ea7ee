"""What one worker's /metrics page says. Pages come from outside: whatever is in them, the worst is `BadPage`."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families

_PREFIX = "vitrine_consumer_"
_MAX_LINES = 20_000
_LARGEST = 1e15


class BadPage(ValueError):
    """The page cannot be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The figures of one worker."""

    #: A name that no other start of a worker has.
    worker: str
    looks: float
    arrivals: float
    served: float
    in_flight: float
    oldest_s: float
    outage: bool
    #: Events by topic and partition.
    backlog: dict[tuple[str, str], float] = field(default_factory=dict)


def read_page(text: str) -> Page:
    """Read a page in Prometheus' text format. Raise `BadPage`."""
    names, values, backlog = dict[str, str](), dict[str, float](), dict[tuple[str, str], float]()
    for name, labels, value in _samples(text):
        if name == "worker" and labels.get("worker"):
            names["worker"] = labels["worker"][:64]
        elif name == "backlog":
            backlog[labels.get("topic", "")[:300], labels.get("partition", "")[:20]] = value
        elif not labels:
            values[name] = value
    try:
        return Page(
            worker=names["worker"],
            looks=values["looks_total"],
            arrivals=values["arrivals_total"],
            served=values["served_total"],
            in_flight=values["in_flight"],
            oldest_s=values["oldest_waiting_seconds"],
            outage=values["breaker"] > 0,
            backlog=backlog,
        )
    except KeyError as error:
        raise BadPage(f"{_PREFIX}{error.args[0]} is missing: no worker, or an older one") from error


def _samples(text: str) -> Iterator[tuple[str, dict[str, str], float]]:
    lines = text.splitlines()
    if len(lines) > _MAX_LINES:
        raise BadPage(f"more than {_MAX_LINES} lines")
    ours = "\n".join(line for line in lines if line.startswith(_PREFIX))
    try:
        samples = [sample for family in text_string_to_metric_families(ours + "\n") for sample in family.samples]
    except (ValueError, IndexError, KeyError, TypeError, AttributeError) as error:
        raise BadPage(f"not in Prometheus' text format: {error!r}"[:300]) from error
    for sample in samples:
        # What is counted here is never negative; anything else would turn decisions round.
        if not (math.isfinite(sample.value) and 0 <= sample.value <= _LARGEST):
            raise BadPage(f"{sample.name} is {sample.value}")
        yield sample.name.removeprefix(_PREFIX), sample.labels, sample.value
