"""How many replicas there should be: one pure function from what is known to a number. No clock, no I/O, no Ray.

    wanted = (arrival rate + urgency x backlog / drain_s) / rate of one replica

At every moment there are replicas enough for what comes in, and to work off what waits within `drain_s`; faster by the
age of the oldest event, four times at most, where that is over its limit. Age multiplies the backlog instead of asking
for replicas by itself: a single event that never ends, or a wrong clock, asks for nothing.

Up at once, down slowly: fewer replicas only if over the whole `hold_s` fewer were enough, with some slack.
"""

import math
from dataclasses import dataclass, replace

from serve.scaling.figures import Figures
from serve.scaling.rate import Pace
from serve.scaling.settings import ScalingSettings

_MOST_URGENT = 4.0
#: Floating-point sums of whole replicas shall not ask for one more.
_ROUND = 1e-6
#: A health probe now and then is no work; Serve's count is a mean over its look-back time.
_WORK = 0.5
#: Needs of the last `hold_s` are kept as the largest of so many parts of it.
_PARTS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What Serve says of the deployment."""

    #: Replicas that it should have now, and those that run.
    target: int
    running: int
    least: int
    most: int
    #: Replicas that the cluster has room for; None where that does not count or is not known.
    room: int | None = None
    #: Requests that Serve itself has, running or waiting: previews and replays are in no backlog.
    ongoing: float = 0.0

    def bound(self, replicas: int) -> int:
        """Within the limits; the room of the cluster is the last word."""
        most = self.most if self.room is None else min(self.most, self.room)
        return min(max(replicas, self.least), most)


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered from one decision to the next."""

    pace: Pace
    #: Start of each part of the time behind us, and how many replicas were enough then, at most.
    needs: tuple[tuple[float, int], ...] = ()
    #: Since when the figures were never stale, and since when there has been no work.
    watched_since: float | None = None
    idle_since: float | None = None

    @classmethod
    def fresh(cls, settings: ScalingSettings) -> "Memory":
        """Nothing was seen yet."""
        return cls(Pace.guess(settings))


@dataclass(frozen=True, slots=True)
class Decision:
    """How many replicas, why, and what to remember."""

    replicas: int
    reason: str
    memory: Memory


def load(figures: Figures, rate: float, settings: ScalingSettings) -> float:
    """Replicas that the load keeps busy, as a fraction. Never falls when the backlog grows."""
    urgency = min(max(figures.oldest_s / settings.oldest_s, 1.0), _MOST_URGENT)
    return (figures.arrival_rate + urgency * figures.backlog / settings.drain_s) / rate


def decide(figures: Figures | None, now: float, scene: Scene, memory: Memory, settings: ScalingSettings) -> Decision:
    """The number of replicas for now; `figures` are the last ones, however old."""
    if figures is None or now - figures.at > settings.stale_s:
        # What was needed before says nothing about now, and so does an idle time that nobody watched.
        return Decision(scene.target, "stale", replace(memory, needs=(), watched_since=None, idle_since=None))
    pace = memory.pace.after(figures, scene.running, settings)
    idle = _is_idle(figures, scene)
    least = 0 if idle else 1
    wanted = load(figures, pace.rate(settings), settings)
    enough = scene.bound(max(math.ceil(wanted / settings.slack - _ROUND), least))
    memory = Memory(
        pace,
        needs=_remember(memory.needs, now, enough, settings),
        watched_since=now if memory.watched_since is None else memory.watched_since,
        idle_since=(now if memory.idle_since is None else memory.idle_since) if idle else None,
    )
    up = scene.bound(max(math.ceil(wanted - _ROUND), least))
    replicas, reason = _hold(figures, scene, up) or _move(scene, up, now, memory, settings)
    return Decision(replicas, reason, memory)


def _is_idle(figures: Figures, scene: Scene) -> bool:
    return figures.complete and figures.backlog <= 0 and figures.arrival_rate <= 0 and scene.ongoing < _WORK


def _hold(figures: Figures, scene: Scene, up: int) -> tuple[int, str] | None:
    """What to do whatever the load says, if anything."""
    kept = scene.bound(scene.target)
    if kept < scene.target:
        return kept, "no room for more"
    if figures.outage and up > 0:
        # More replicas do not mend what is behind them. One must run, or nobody would notice the end of the outage.
        return scene.bound(max(scene.target, 1)), "outage"
    if not figures.complete and up <= scene.target:
        return kept, "incomplete"
    return None


def _move(scene: Scene, up: int, now: float, memory: Memory, settings: ScalingSettings) -> tuple[int, str]:
    """Up at once; down as far as was enough all the time."""
    if up > scene.target:
        return up, "more"
    down = max(need for _, need in memory.needs)
    if down >= scene.target or _seconds(memory.watched_since, now) < settings.hold_s:
        return scene.bound(scene.target), "enough"
    if down == 0 and _seconds(memory.idle_since, now) < settings.idle_s:
        return scene.bound(min(scene.target, 1)), "idle"
    return down, "fewer"


def _seconds(since: float | None, now: float) -> float:
    return 0.0 if since is None else now - since


def _remember(
    needs: tuple[tuple[float, int], ...], now: float, need: int, settings: ScalingSettings
) -> tuple[tuple[float, int], ...]:
    part = settings.hold_s / _PARTS
    needs = tuple(one for one in needs if now - one[0] <= settings.hold_s + part)
    if needs and now - needs[-1][0] < part:
        start, most = needs[-1]
        return (*needs[:-1], (start, max(most, need)))
    return (*needs, (now, need))
