"""What a load test is asked for."""

import shlex
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path

from deploy.services.stack import KafkaKind, StoreKind


class DriverKind(StrEnum):
    """Which way events take."""

    KAFKA = "kafka"  #: produced to the topics of events; answered in the topic of results
    HTTP = "http"  #: posted to Serve's door, one event a request
    INPROCESS = "inprocess"  #: handed to the pipeline in a process of its own, without Ray, Kafka or HTTP


class Mode(StrEnum):
    """What kind of run it is."""

    STEADY = "steady"
    #: For hours: memory must not grow.
    SOAK = "soak"
    #: All events are there before the first consumer starts; what counts is how fast they are drained.
    BACKLOG = "backlog"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """One run. Seconds are of the schedule: warm-up and drain come before and after the `duration_s` that counts."""

    driver: DriverKind
    #: Events per second, on average.
    rate: float
    duration_s: float
    seed: int
    out: Path
    mode: Mode = Mode.STEADY
    #: How arrivals are spread: `poisson`, `constant`, `gamma:CV`, `ramp:FROM..TO`, `step:A,B,C`, `spike:FACTOR@AT+FOR`,
    #: `trace:FILE`.
    arrivals: str = "poisson"
    #: A YAML file, by default the mix that comes along.
    mix: Path | None = None
    slo: Path | None = None
    chaos: Path | None = None
    warmup_s: float = 10.0
    #: The longest wait for answers after the last event.
    drain_s: float = 120.0
    #: Part of every tenant, listing and event id, so that two runs on one system do not meet.
    namespace: str = ""
    generators: int = 1
    consumers: int = 2
    kafka: KafkaKind = KafkaKind.EMBEDDED
    brokers: int = 1
    store: StoreKind = StoreKind.EMBEDDED
    #: What runs already, and is used instead of starting our own.
    bootstrap: str | None = None
    serve_url: str | None = None
    #: A folder of photos instead of drawn ones.
    photos: Path | None = None


_NAMES = {"duration_s": "duration", "warmup_s": "warmup", "drain_s": "drain"}
_ALWAYS = frozenset({"driver", "rate", "duration_s", "seed", "out"})


def command_of(options: RunOptions) -> str:
    """The command line that repeats the run; on a system that remembers, under another namespace."""
    words = ["vitrine loadtest run"]
    remembers = options.bootstrap is not None or options.serve_url is not None
    for one in fields(options):
        value = getattr(options, one.name)
        if one.name == "namespace" and remembers:
            continue
        if one.name in _ALWAYS or value != one.default:
            text = f"{value:g}" if isinstance(value, float) else str(value)
            words.append(f"--{_NAMES.get(one.name, one.name.replace('_', '-'))} {shlex.quote(text)}")
    return " ".join(words)
