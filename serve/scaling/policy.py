"""The policy that Serve asks, ten times a second, in its controller: it must neither wait nor raise.

Serve makes one instance per deployment of the application and drops it with the next; it sends the class by value, so
everything else is imported here, and Vitrine must be installed where the controller runs.
"""

import logging
import time
import weakref
from collections.abc import Callable
from typing import Any, Protocol

from serve.scaling.decision import Decision, Memory, Scene, decide
from serve.scaling.settings import ScalingSettings, WrongSettings
from serve.scaling.watch import Cluster, Watch

log = logging.getLogger("ray.serve.scaling")

_SAY_AGAIN_S = 60.0


class Context(Protocol):
    """What of Serve's `AutoscalingContext` is used here."""

    current_num_replicas: int
    target_num_replicas: int
    capacity_adjusted_min_replicas: int
    capacity_adjusted_max_replicas: int

    @property
    def total_num_requests(self) -> float:
        """Requests that run or wait, as a mean over Serve's look-back time."""


class BacklogPolicy:
    """Replicas by the backlog of the consumers; keyword arguments are those of `ScalingSettings`.

    With settings that are wrong, or figures that are old, the number of replicas stays, and the log says why: an
    exception here would stop Serve from deploying anything.
    """

    def __init__(
        self,
        *,
        cluster: Cluster | None = None,
        clock: Callable[[], float] = time.monotonic,
        watch: Callable[..., Watch] = Watch,
        **given: Any,
    ) -> None:
        self._clock = clock
        self._said = ""
        self._said_at = float("-inf")
        self._watch: Watch | None = None
        try:
            self._settings = ScalingSettings.read(given)
        except WrongSettings as error:
            log.error("the number of replicas stays as it is: %s", error)  # noqa: TRY400 - the message says it all
            self._wrong = str(error)
            return
        self._memory = Memory.fresh(self._settings)
        self._watch = watch(self._settings, cluster, clock=clock)
        self._watch.start()
        # Its thread must not outlive the policy: with every deployment there is a new one.
        weakref.finalize(self, self._watch.stop)

    def __call__(self, ctx: Context) -> tuple[int, dict[str, Any]]:
        """The number of replicas wanted now, and no state for Serve to keep."""
        target = ctx.target_num_replicas
        try:
            if self._watch is None:
                self._say(f"the settings are wrong: {self._wrong}")
                return target, {}
            decision = self._decide(self._watch, ctx)
        except Exception:
            if self._clock() - self._said_at > _SAY_AGAIN_S:
                self._said_at = self._clock()
                log.exception("no decision, the number of replicas stays")
            return target, {}
        self._memory = decision.memory
        self._tell(decision, self._watch, target)
        return decision.replicas, {}

    def _decide(self, watch: Watch, ctx: Context) -> Decision:
        scene = Scene(
            target=ctx.target_num_replicas,
            running=ctx.current_num_replicas,
            least=ctx.capacity_adjusted_min_replicas,
            most=ctx.capacity_adjusted_max_replicas,
            room=watch.room,
            ongoing=ctx.total_num_requests,
        )
        return decide(watch.figures, self._clock(), scene, self._memory, self._settings)

    def _tell(self, decision: Decision, watch: Watch, target: int) -> None:
        figures = watch.figures
        if decision.replicas != target and figures is not None:
            log.info(
                "%d replicas instead of %d (%s): backlog %g, arriving %.3g/s, oldest %.0f s, one replica %.3g/s",
                *(decision.replicas, target, decision.reason, figures.backlog, figures.arrival_rate, figures.oldest_s),
                decision.memory.pace.rate(self._settings),
            )
        if decision.reason == "stale":
            age = "there have never been any" if figures is None else f"they are {self._clock() - figures.at:.0f} s old"
            self._say(f"the figures are stale ({age})")
        elif decision.reason in ("outage", "incomplete", "no room for more"):
            self._say(decision.reason)
        elif self._said:
            log.warning("scaling goes on")
            self._said = ""

    def _say(self, why: str) -> None:
        kind = why[:20]
        if kind != self._said or self._clock() - self._said_at > _SAY_AGAIN_S:
            self._said, self._said_at = kind, self._clock()
            log.warning("the number of replicas stays: %s", why)
