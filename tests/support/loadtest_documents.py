"""Documents of load tests that never ran: good, missed, invalid, under faults, for hours, tiny, and a search."""

import hashlib
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from math import exp, log10
from typing import Any

from deploy.loadtest.document import (
    Broken,
    ClockFigure,
    Drain,
    ErrorFigure,
    Interval,
    KindFigures,
    LedgerCounts,
    Mark,
    Objective,
    Percentiles,
    Probe,
    RunDocument,
    SearchDocument,
    Series,
    SloVerdict,
    StageFigure,
    Trend,
)
from deploy.loadtest.ledger.row import LedgerRow

STARTED = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
KINDS = {"photos": 0.34, "bare": 0.41, "older": 0.1, "duplicate": 0.06, "delete": 0.06, "bad": 0.03}
ENDS = {"bare": "rejected", "older": "stale", "duplicate": "duplicate", "delete": "removed", "bad": "dead"}
FAULTS = (
    *("kill_consumer", "kill_broker", "slow_store", "freeze_consumer"),
    *("kill_replica", "cut_store", "kill_group_coordinator", "redeploy_serve"),
)


@dataclass(frozen=True, kw_only=True)
class Story:
    """What a made-up run is like."""

    rate: float = 350.0
    duration_s: float = 600.0
    p50: float = 118.0
    p99: float = 412.0
    #: Milliseconds that faults or overload add at the worst.
    trouble: float = 0.0
    faults: tuple[str, ...] = ()
    lost: int = 0
    twice: int = 0
    seed: int = 8
    invalid: tuple[str, ...] = ()
    step_s: float = 1.0
    more: dict[str, Any] = field(default_factory=dict)


def rows(story: Story) -> Iterator[LedgerRow]:
    """The ledger of a story."""
    dice = random.Random(story.seed)
    count = round(story.rate * story.duration_s)
    lost = set(dice.sample(range(count), story.lost))
    twice = set(dice.sample(sorted(set(range(count)) - lost), story.twice)) if story.twice else set()
    kinds = dice.choices(list(KINDS), list(KINDS.values()), k=count)
    for number, kind in enumerate(kinds):
        ending = ENDS.get(kind) or dice.choices(["enriched", "review_required", "superseded"], [70, 12, 18])[0]
        latency: float | None = story.p50 * exp(dice.gauss(0, 0.5))
        if number in lost:
            ending, latency = "missing", None
        yield LedgerRow(
            number=number,
            event_id=f"lt-{hashlib.sha256(str(number).encode()).hexdigest()[:20]}",
            kind=kind,
            listing="" if kind == "bad" else f"tenant-{number % 7}:L{number % 4001:05d}",
            revision=0 if kind == "bad" else number // 4001 + 1,
            at_s=number / story.rate,
            ending=ending,
            latency_ms=latency,
            place=f"listings.{'bulk' if number % 3 else 'urgent'}[{number % 6}]@{number // 6}",
            flags="twice" if number in twice else "",
        )


def document(story: Story) -> RunDocument:
    """The document of a story; its ledger is that of `rows`."""
    ends: Counter[str] = Counter()
    kinds: dict[str, Counter[str]] = {}
    for row in rows(story):
        ends[row.ending] += 1
        kinds.setdefault(row.kind, Counter())[row.ending] += 1
    n = sum(ends.values())
    latency = percentiles(story.p50, story.p99 + story.trouble, n, story.lost)
    service = percentiles(story.p50 * 0.97, story.p99 * 0.9 + story.trouble * 0.2, n, story.lost)
    objectives = [
        Objective(
            name="latency_ms.p99",
            measured=latency.p99,
            required="<= 1000 ms",
            met=None if latency.p99 is None else latency.p99 <= 1000,
            note=latency.withheld.get("p99", ""),
        ),
        Objective(name="loss", measured=ends["missing"], required="<= 0", met=not ends["missing"]),
        Objective(name="visible_twice", measured=story.twice, required="<= 0", met=not story.twice),
        Objective(
            name="goodput",
            measured=0.9987,
            required=">= 0.99 within 1000 ms",
            met=True,
            note="answered as their kind may be, of the events offered",
        ),
    ]
    base: dict[str, Any] = {
        "valid": not story.invalid,
        "invalid": list(story.invalid),
        "slo": SloVerdict(met=all(one.met for one in objectives), objectives=objectives),
        "offered": story.rate,
        "delivered": story.rate * 0.9993,
        "goodput": story.rate * 0.9987 * (0.9 if story.trouble else 1),
        "within_ms": 1000.0,
        "latency_ms": latency,
        "service_ms": service,
        "ledger": LedgerCounts(sent=n, visible_twice=story.twice, repeats_hidden=n // 900, **ends),
        "generator_lag_ms": percentiles(0.1, 3.7 if not story.invalid else 71.0, n, 0),
        "kinds": [
            KindFigures(
                kind=kind,
                sent=sum(endings.values()),
                endings=dict(endings),
                latency_ms=percentiles(story.p50 * (1.8 if kind == "photos" else 0.6), story.p99, endings.total(), 0),
            )
            for kind, endings in kinds.items()
        ],
        "stages": stages(story),
        "errors": [
            ErrorFigure(where="dead", code="not_json", count=ends["dead"], example="listings.bulk[3]@120: no JSON"),
            ErrorFigure(where="image", code="photo_unreachable", count=37, example="http 503 of the photo server"),
        ],
        "series": series(story),
        "marks": marks(story),
        "clocks": [ClockFigure(clock="9f3c1c02", role="consumers", offset_ms=-0.4, error_ms=0.2, n=n)],
        "harness_cores": 0.61,
        "seed": story.seed,
        "schedule_sha256": hashlib.sha256(b"schedule").hexdigest(),
        "started_at": STARTED,
        "duration_s": story.duration_s,
        "revision": "02359d2c1f",
        "environment": {"machine": "8 cores, 32 GiB", "python": "3.11.9", "kernel": "6.1", "gpu": None, "ray": "2.60"},
        "config": {"driver": "kafka", "rate": story.rate, "arrivals": "poisson", "warmup_s": 10.0, "consumers": 2},
    }
    return RunDocument(**{**base, **story.more})


def percentiles(p50: float, p99: float, n: int, unanswered: int) -> Percentiles:
    """Figures that grow by the same factor with each nine."""
    factor = (p99 / p50) ** (1 / (2 - log10(2)))
    places = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p999": 99.9}
    values: dict[str, float | None] = {}
    intervals, withheld = {}, {}
    for name, place in places.items():
        needed = {"p50": 8, "p90": 64, "p99": 662, "p999": 6636}[name]
        if n < needed:
            values[name], withheld[name] = None, f"{n} samples, {needed} are needed"
        else:
            value = p50 * factor ** (-log10(1 - place / 100) - log10(2))
            values[name], intervals[name] = value, Interval(low=value * 0.96, high=value * 1.05)
    if not unanswered and n:
        values["max"] = max(p99 * 2.4, *(value or 0.0 for value in values.values()))
    steps = [step * 0.05 for step in range(1, int(20 * log10(max(10, n))))]
    curve = [(100 * (1 - 10**-step), p50 * factor ** (step - log10(2))) for step in steps]
    return Percentiles(
        **values, mean=p50 * 1.2, n=n, unanswered=unanswered, intervals=intervals, withheld=withheld, curve=curve
    )


def stages(story: Story) -> list[StageFigure]:
    """Waits, then work."""
    waits = {
        "intended to sent": 0.4,
        "sent to acknowledged": 4.1,
        "in the queue": 52.0,
        "in the studio": 71.0,
        "result to sight": 11.0,
    }
    works = {"fetch": 14.0, "quality filter": 6.1, "cutout": 31.0, "style transfer": 22.0, "encode": 9.0, "store": 12.4}
    scale = story.p50 / 118.0
    return [
        StageFigure(
            name=name,
            sort="wait" if name in waits else "work",
            n=200_000 if name in waits else 71_000,
            mean_ms=mean * scale,
            p50_ms=mean * scale * 0.8,
            p99_ms=mean * scale * 4,
            clock_error_ms=0.2 if name == "in the queue" else 0.0,
        )
        for name, mean in {**waits, **works}.items()
    ]


def marks(story: Story) -> list[Mark]:
    """A strike and a heal for each fault, evenly over the run."""
    gap = story.duration_s / (len(story.faults) + 0.5)
    found = []
    for index, fault in enumerate(story.faults):
        at = gap * (index + 0.4)
        whom = f"{fault.split('_')[-1]} {index % 3}"
        found.append(Mark(at_s=at, took_s=0.2, fault=fault, phase="strike", what=whom))
        found.append(Mark(at_s=at + 6 + index * 2, took_s=0.6, fault=fault, phase="heal", what=f"{whom} is back"))
    return found


def series(story: Story) -> Series:
    """Noise around the figures, with a hump after each strike and a gap in the samples."""
    dice = random.Random(story.seed + 1)
    strikes = [mark.at_s for mark in marks(story) if mark.phase == "strike"]
    steps = int((story.duration_s + 25) / story.step_s)
    at = [-10 + story.step_s * (index + 0.5) for index in range(steps)]
    humps = [sum(exp(-(time - strike) / 9) for strike in strikes if time >= strike) for time in at]
    on = [time < story.duration_s for time in at]
    noise = [dice.gauss(0, 1) for _ in at]
    busy = list(zip(noise, humps, on, strict=True))
    samples: dict[str, list[float | None]] = {
        "lag_events": [max(0.0, 14 + 3 * n + 900 * hump) if b else 0.0 for n, hump, b in busy],
        "lag_age_s": [max(0.0, 0.1 + 4 * hump) for hump in humps],
        "replicas": [2.0 if hump < 0.9 else 1.0 for hump in humps],
        "consumers": [2.0 for _ in at],
        "cpu.kafka": [0.5 + 0.05 * n for n in noise],
        "cpu.serve": [1.7 + 0.2 * n if b else 0.1 for n, _, b in busy],
        "cpu.consumers": [0.35 + 0.03 * n for n in noise],
        "cpu.store": [0.2 + 0.01 * n for n in noise],
        "rss_mb.kafka": [690 + 0.01 * time for time in at],
        "rss_mb.serve": [1840 + 0.05 * time for time in at],
        "rss_mb.consumers": [212.0 for _ in at],
    }
    hole = range(steps // 3, steps // 3 + 12)
    for values in samples.values():
        for index in hole:
            values[index] = None
    delivered = [max(0.0, story.rate * (1 - 0.8 * min(1.0, hump)) + 9 * n) if b else 5.0 for n, hump, b in busy]
    return Series(
        step_s=story.step_s,
        at_s=at,
        offered=[max(0.0, story.rate + 8 * dice.gauss(0, 1)) if b else 0.0 for b in on],
        delivered=delivered,
        goodput=[value * 0.985 for value in delivered],
        p50_ms=[story.p50 * (1 + 0.06 * n) + 6 * hump * story.p50 if b else None for n, hump, b in busy],
        p99_ms=[story.p99 * (1 + 0.1 * n) + hump * 9000 if b else None for n, hump, b in busy],
        samples=samples,
    )


def trend(role: str, start: float, end: float, slope: float) -> Trend:
    """Memory that grows by so many MB an hour, give or take 4."""
    interval = Interval(low=slope - 4, high=slope + 4)
    return Trend(role=role, start_mb=start, end_mb=end, slope_mb_per_h=slope, interval=interval, leaks=slope > 4)


GOOD = Story()
MISSED = Story(
    rate=520,
    duration_s=120,
    trouble=1900,
    lost=3,
    twice=1,
    more={"broken": [Broken(reason="lost", count=3, example="photos lt-0a65 at listings.bulk[3]@17: no answer")]},
)
INVALID = Story(
    rate=500,
    duration_s=60,
    invalid=("Generator lag p99 is 71 ms, more than 10 ms.", "2.3 % of the events were sent off their schedule."),
)
CHAOS = Story(rate=120, duration_s=600, faults=FAULTS, trouble=400)
TINY = Story(rate=2, duration_s=3, step_s=1, more={"stages": [], "clocks": [], "errors": [], "marks": []})
SOAK = Story(
    rate=20,
    duration_s=14_400,
    step_s=30,
    more={
        "soak": [
            trend("serve", 1840, 1851, 2.6),
            trend("consumers", 212, 420, 52),
        ],
    },
)
BACKLOG = Story(rate=300, duration_s=60, more={"drain": Drain(events=18_000, seconds=41.2, rate=437)})
STORIES = {
    "good": GOOD,
    "missed": MISSED,
    "invalid": INVALID,
    "chaos": CHAOS,
    "soak": SOAK,
    "backlog": BACKLOG,
    "tiny": TINY,
}


def small(story: Story) -> Story:
    """The same with fewer events."""
    return replace(story, rate=min(story.rate, 1500 / story.duration_s) if story.duration_s > 3 else story.rate)


def search() -> SearchDocument:
    """A search with nine probes."""
    tried = (100.0, 200.0, 400.0, 800.0, 565.0, 475.0, 520.0, 497.0, 508.0)
    probes = []
    for rate in tried:
        p99 = 210 / max(0.05, 1 - rate / 540) if rate < 530 else None
        verdict = "missed" if p99 is None or p99 > 2700 else "met"
        probes.append(
            Probe(
                rate=rate,
                offered=rate,
                delivered=min(rate, 531.0),
                goodput=rate * 0.998 if verdict == "met" else 531.0 * 0.4,
                p50_ms=None if rate > 700 else 90 / max(0.08, 1 - rate / 560),
                p90_ms=None if rate > 700 else 150 / max(0.06, 1 - rate / 550),
                p99_ms=p99,
                verdict="invalid" if rate == 475.0 else verdict,
                note="generator lag p99 14 ms" if rate == 475.0 else "",
            )
        )
    return SearchDocument(
        capacity=497.0,
        interval=Interval(low=481.0, high=508.0),
        knee=402.0,
        slo=["latency_ms.p99 <= 2700 ms", "loss <= 0", "goodput >= 0.99 within 5000 ms"],
        probes=probes,
        driver="kafka",
        seed=8,
        started_at=STARTED,
        revision="02359d2c1f",
        environment={"machine": "8 cores, 32 GiB", "python": "3.11.9"},
        config={"driver": "kafka", "probe_s": 60.0},
    )
