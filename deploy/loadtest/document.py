"""`run.json`: all that is known of a run, as a model, so that its schema and its readers cannot drift apart."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Interval(_Part):
    """Where a figure lies with 95 % confidence."""

    low: float
    high: float


class Percentiles(_Part):
    """Percentiles in milliseconds; None where there are too few samples, or where it falls among the unanswered."""

    p50: float | None = None
    p90: float | None = None
    p99: float | None = None
    p999: float | None = None
    max: float | None = None
    mean: float | None = None
    #: Samples, the unanswered among them.
    n: int = 0
    #: Events without an answer: each counts as later than everything.
    unanswered: int = 0
    #: By name of the percentile.
    intervals: dict[str, Interval] = {}
    #: Why a percentile is withheld, by its name.
    withheld: dict[str, str] = {}
    #: Percentile (0 to 100) and milliseconds, upwards: some hundred points for a curve.
    curve: list[tuple[float, float]] = []


class Objective(_Part):
    """One line of the SLO."""

    name: str
    measured: float | None
    required: str
    #: None where it could not be judged; then the SLO is not met.
    met: bool | None
    note: str = ""


class SloVerdict(_Part):
    """Objectives and whether all are met."""

    met: bool
    objectives: list[Objective]


class LedgerCounts(_Part):
    """Where every event that was sent ended: sent = the outcomes + dead + missing."""

    sent: int
    enriched: int = 0
    review_required: int = 0
    rejected: int = 0
    failed: int = 0
    stale: int = 0
    #: Events that were sent as duplicates and answered so.
    duplicate: int = 0
    superseded: int = 0
    removed: int = 0
    #: Dead letters; without Kafka errors instead of an answer.
    dead: int = 0
    missing: int = 0
    #: Events with more than one visible answer; they stand under the outcome of the first one, too.
    visible_twice: int = 0
    #: Repeats that the reader hides, answers to nothing that was sent, events that no driver could send.
    repeats_hidden: int = 0
    unknown: int = 0
    unsent: int = 0
    #: Events that ended otherwise than this kind of event may.
    unexpected: int = 0


class Broken(_Part):
    """A promise that was broken: `lost`, `twice`, `wrong`, `spoiled`, `unknown`, `order`, `overwritten`."""

    reason: str
    count: int
    example: str = ""


class KindFigures(_Part):
    """Events of one kind."""

    kind: str
    sent: int
    #: By outcome, `dead` and `missing`.
    endings: dict[str, int]
    latency_ms: Percentiles


class StageFigure(_Part):
    """One part of the way of an event."""

    name: str
    #: `wait`: between two moments; `work`: spent in a stage, summed over the images of an event.
    sort: Literal["wait", "work"]
    n: int
    mean_ms: float
    p50_ms: float | None
    p99_ms: float | None
    #: Largest error of the clocks that it was measured with.
    clock_error_ms: float = 0.0


class ErrorFigure(_Part):
    """Errors of one class."""

    #: `dead`, `outcome`, `unsent`, `missing`, `system`.
    where: str
    code: str
    count: int
    example: str = ""


class Series(_Part):
    """What went on over time; one entry of each list per step, None where nothing was measured."""

    step_s: float
    #: Seconds since the first scheduled event of the measured window; negative during warm-up.
    at_s: list[float]
    offered: list[float]
    delivered: list[float]
    #: Answered well and in time, by the time at which they were intended.
    goodput: list[float]
    p50_ms: list[float | None]
    p99_ms: list[float | None]
    #: Samples by name: `lag_events`, `lag_age_s`, `replicas`, `consumers`, `cpu.ROLE` (cores), `rss_mb.ROLE`, `gpu.*`.
    samples: dict[str, list[float | None]] = {}


class Mark(_Part):
    """A fault struck or was healed."""

    at_s: float
    took_s: float
    fault: str
    phase: Literal["strike", "heal"]
    what: str


class Probe(_Part):
    """One rate of a search."""

    rate: float
    offered: float
    delivered: float
    goodput: float
    p50_ms: float | None
    p90_ms: float | None
    p99_ms: float | None
    #: `met`, `missed`, `invalid`.
    verdict: str
    note: str = ""


class ClockFigure(_Part):
    """A clock of another machine against ours, from the events themselves."""

    clock: str
    role: str
    #: To be added to its times; None where the events contradict each other.
    offset_ms: float | None
    error_ms: float | None
    n: int
    #: Events that no offset allows which the others allow.
    contradicting: int = 0


class Trend(_Part):
    """Memory of a role over a soak."""

    role: str
    start_mb: float
    end_mb: float
    slope_mb_per_h: float
    interval: Interval
    leaks: bool


class Drain(_Part):
    """How a backlog was worked off."""

    events: int
    seconds: float
    rate: float


class RunDocument(_Part):
    """One run."""

    format: Literal["vitrine.loadtest.run/1"] = "vitrine.loadtest.run/1"
    valid: bool
    #: Why it is not valid, a sentence each.
    invalid: list[str]
    slo: SloVerdict
    #: Events per second over the measured window: scheduled, answered, answered well and in time.
    offered: float
    delivered: float
    goodput: float
    #: Within so many milliseconds an event counts as answered in time.
    within_ms: float
    #: From the time at which an event was to be sent to the moment at which its answer could be seen.
    latency_ms: Percentiles
    #: The same from the time at which it was really sent: what a closed loop would show.
    service_ms: Percentiles
    ledger: LedgerCounts
    broken: list[Broken] = []
    #: From the time at which an event was to be sent to the time at which it was.
    generator_lag_ms: Percentiles
    kinds: list[KindFigures] = []
    stages: list[StageFigure] = []
    errors: list[ErrorFigure] = []
    series: Series
    marks: list[Mark] = []
    clocks: list[ClockFigure] = []
    soak: list[Trend] = []
    drain: Drain | None = None
    #: CPU seconds of the load test itself per second of the run.
    harness_cores: float
    seed: int
    #: sha256 of the schedule: the same bytes at the same times.
    schedule_sha256: str
    started_at: datetime
    duration_s: float
    revision: str
    environment: dict[str, Any]
    config: dict[str, Any]


class SearchDocument(_Part):
    """`search.json`: the highest rate that meets the SLO."""

    format: Literal["vitrine.loadtest.search/1"] = "vitrine.loadtest.search/1"
    #: Events per second; None where not even the lowest rate met it.
    capacity: float | None
    interval: Interval | None
    #: Where latency begins to climb.
    knee: float | None
    #: Whether the capacity is but a lower bound: every rate up to it met the SLO, or higher ones cannot be measured.
    at_least: bool = False
    #: Why there is no capacity, why it is a lower bound, or why the interval is wide.
    note: str = ""
    slo: list[str]
    probes: list[Probe]
    driver: str
    seed: int
    started_at: datetime
    revision: str
    environment: dict[str, Any]
    config: dict[str, Any]
