"""Load traces played against the scaling decision: a queue, replicas that take time to start, two workers that tell.

    python -m tests.support.scaling_simulation      prints the table of serve/README.md

Virtual time, no threads. The decision is the real one, fed through the real tally; Serve's part (no step from several
replicas to none) is imitated.
"""

import csv
import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from serve.scaling.decision import Memory, Scene, decide
from serve.scaling.page import Page
from serve.scaling.settings import ScalingSettings
from serve.scaling.tally import Tally

TRACES = Path(__file__).parents[1] / "data" / "load_traces"
TRACE_STEP_S = 30
STEP_S = 5
START_UP_S = 30
DRAIN_S = 10
HOUR_S = 3600
HALF_AN_HOUR_S = 1800
EVENTS_PER_REPLICA = 8
#: What a replica really does, and what the settings think it does.
RATE, GUESS = 1.0, 0.7
ROOM = 10


@dataclass
class Replicas:
    """Those that run, those that start, and what they cost: from the start to the end of the drain."""

    running: int = 0
    starting: deque[float] = field(default_factory=deque)
    target: int = 0
    seconds: float = 0.0
    most: int = 0

    def scale(self, target: int, now: float) -> None:
        while self.running + len(self.starting) < target:
            self.starting.append(now + START_UP_S)
        while self.running + len(self.starting) > target:
            if self.starting:
                self.starting.pop()
            else:
                self.running -= 1
                self.seconds += DRAIN_S
        self.target = target

    def pass_time(self, now: float) -> None:
        while self.starting and self.starting[0] <= now:
            self.starting.popleft()
            self.running += 1
        self.seconds += (self.running + len(self.starting)) * STEP_S
        self.most = max(self.most, self.target)


@dataclass
class Queue:
    """Events in the order in which they came, by the time of their coming."""

    waiting: deque[list[float]] = field(default_factory=deque)
    arrived: float = 0.0
    served: float = 0.0

    @property
    def backlog(self) -> float:
        return self.arrived - self.served

    def put(self, now: float, events: float) -> None:
        if events:
            self.waiting.append([now, events])
            self.arrived += events

    def take(self, most: float) -> None:
        while most > 1e-9 and self.waiting:
            taken = min(most, self.waiting[0][1])
            self.waiting[0][1] -= taken
            self.served += taken
            most -= taken
            if self.waiting[0][1] <= 1e-9:
                self.waiting.popleft()
        if not self.waiting:
            self.served = self.arrived

    def oldest_s(self, now: float) -> float:
        return now - self.waiting[0][0] if self.waiting else 0.0


@dataclass
class Played:
    """What came of a trace."""

    trace: str
    hours: float = 0.0
    events: float = 0.0
    #: What a replica was found to do.
    rate: float = 0.0
    #: Targets at every step.
    targets: list[int] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    backlogs: list[float] = field(default_factory=list)
    oldest: list[float] = field(default_factory=list)
    replica_hours: float = 0.0

    @property
    def turns(self) -> int:
        """How often the number of replicas went up after it had gone down, or the other way round."""
        steps = [after - before for before, after in pairwise(self.targets) if after != before]
        return sum((one > 0) != (other > 0) for one, other in pairwise(steps))

    @property
    def ideal_hours(self) -> float:
        """Replica-hours of the work alone."""
        return self.events / RATE / HOUR_S

    @property
    def peak_hours(self) -> float:
        """Replica-hours with the largest number of replicas all the time."""
        return max(self.targets) * self.hours

    def drained_after(self, since_s: int) -> float:
        """Seconds from then on until nothing waited but what arrived within a minute."""
        for step in range(since_s // STEP_S, len(self.oldest)):
            if self.oldest[step] <= 60:
                return step * STEP_S - since_s
        return math.inf


def settings(**more: object) -> ScalingSettings:
    return ScalingSettings.read({"metrics_urls": ["http://worker/metrics"], "events_per_s": GUESS, **more})


def arrivals(trace: str, queue: Queue) -> Iterator[float]:
    """Events per step; none come after the trace, until half an hour after all are done."""
    with (TRACES / f"{trace}.csv").open(encoding="ascii") as file:
        rows = {int(row["start_s"]): int(row["events"]) for row in csv.DictReader(file)}
    over, start = max(rows) + TRACE_STEP_S, 0
    while start < over + HALF_AN_HOUR_S:
        yield rows.get(start - start % TRACE_STEP_S, 0) * STEP_S / TRACE_STEP_S
        start += STEP_S
        over = max(over, start) if queue.backlog else over


def pages(queue: Queue, replicas: Replicas, now: float) -> list[Page]:
    """What two workers tell: each has half of everything."""
    in_flight = min(queue.backlog, replicas.running * EVENTS_PER_REPLICA)
    return [
        Page(
            worker=name,
            looks=now,
            arrivals=queue.arrived / 2,
            served=queue.served / 2,
            in_flight=in_flight / 2,
            oldest_s=queue.oldest_s(now),
            outage=False,
            backlog={("listings.new", str(number)): queue.backlog / 2},
        )
        for number, name in enumerate("ab")
    ]


def play(
    trace: str,
    *,
    silent: Callable[[float], bool] = lambda _: False,
    start: int = 1,
    least: int = 0,
    most: int = 12,
    room: int | None = ROOM,
    chosen: ScalingSettings | None = None,
) -> Played:
    """Play a trace; while `silent`, no worker can be read."""
    chosen = chosen or settings()
    played = Played(trace)
    queue, replicas, tally, memory = Queue(), Replicas(running=start, target=start), Tally(chosen), Memory.fresh(chosen)
    for step, events in enumerate(arrivals(trace, queue)):
        now = float(step * STEP_S)
        queue.put(now, events)
        replicas.pass_time(now)
        queue.take(replicas.running * RATE * STEP_S)
        figures = tally.take([] if silent(now) else pages(queue, replicas, now), now)
        scene = Scene(target=replicas.target, running=replicas.running, least=least, most=most, room=room)
        decision = decide(figures, now, scene, memory, chosen)
        memory = decision.memory
        # Serve goes to none from one only.
        replicas.scale(1 if decision.replicas == 0 and replicas.target > 1 else decision.replicas, now)
        played.targets.append(replicas.target)
        played.reasons.append(decision.reason)
        played.backlogs.append(queue.backlog)
        played.oldest.append(queue.oldest_s(now))
    played.hours, played.events = len(played.targets) * STEP_S / HOUR_S, queue.arrived
    played.replica_hours, played.rate = replicas.seconds / HOUR_S, memory.pace.rate(chosen)
    return played


def quiet(begin_s: float, end_s: float) -> Callable[[float], bool]:
    """No figures between these times."""
    return lambda now: begin_s <= now < end_s


def everything() -> list[Played]:
    """All traces; the last one loses sight of the workers as the crowd comes."""
    names = ("steady", "daily_wave", "flash_crowd", "night_import", "stop_and_go")
    known = play("daily_wave", chosen=settings(events_per_s=RATE))
    known.trace = "daily_wave, rate known"
    lost = play("flash_crowd", silent=quiet(1805, 2105))
    lost.trace = "flash_crowd, first 5 min unseen"
    return [*(play(name) for name in names), known, lost]


def table(all_played: list[Played]) -> str:
    """The figures as Markdown."""
    heads = ["trace", "hours", "events", "most replicas", "turns per hour", "oldest event", "replica-hours"]
    heads += ["of the work alone", "of the most all the time", "rate found"]
    return "\n".join(["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|", *map(_row, all_played)])


def _row(one: Played) -> str:
    return (
        f"| {one.trace} | {one.hours:.1f} | {one.events:,.0f} | {max(one.targets)} | {one.turns / one.hours:.1f} "
        f"| {max(one.oldest):,.0f} s | {one.replica_hours:.1f} | {one.replica_hours / one.ideal_hours:.2f} "
        f"| {one.replica_hours / one.peak_hours:.2f} | {one.rate:.2f} |"
    )


if __name__ == "__main__":
    print(table(everything()))
