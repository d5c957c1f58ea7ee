"""One run on a running system: send, see, disturb, sample; the judge gets what came of it."""

import os
import time
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

from deploy.errors import ServiceFailed
from deploy.loadtest.faults.backstage import Backstage
from deploy.loadtest.faults.conductor import Mark, TimedConductor
from deploy.loadtest.inputs import Inputs
from deploy.loadtest.judging.evidence import Evidence
from deploy.loadtest.ledger.ledger import Ledger
from deploy.loadtest.ledger.records import NS, Records
from deploy.loadtest.measuring.clock_watch import ClockWatch, read_clocks
from deploy.loadtest.measuring.clocks import read_own_clock
from deploy.loadtest.measuring.moment import Moment
from deploy.loadtest.measuring.observations import Taken
from deploy.loadtest.measuring.samples import Sample
from deploy.loadtest.options import DriverKind, Mode, RunOptions
from deploy.loadtest.output import OutputFolder
from deploy.loadtest.sending.children import Children
from deploy.loadtest.system.environment import environment, revision
from deploy.loadtest.system.interface import System
from deploy.loadtest.system.sampler import Sampler
from deploy.loadtest.workload.planned import Kind, endings_of
from deploy.loadtest.workload.schedule import plan_schedule
from deploy.loadtest.workload.schedule_file import ScheduleFacts, open_schedule

#: The reason in `RunDocument.invalid` of a run that Ctrl-C ended.
INTERRUPTED = "interrupted"
_TICK_S = 0.1
#: From the order to begin to the beginning: all generators know it by then.
_LEAD_NS = 1_000_000_000
#: Answers that come twice come soon: over Kafka from another worker, else in the same stream or not at all.
_AFTERMATH_S = {DriverKind.KAFKA: 3.0, DriverKind.HTTP: 0.5, DriverKind.INPROCESS: 0.5}
_CLOCKS_EVERY_S = 1.0


class View(Protocol):
    """Whoever watches."""

    def say(self, text: str) -> None:
        """A line."""
        ...

    def mark(self, mark: Mark) -> None:
        """A fault struck, or was healed."""
        ...

    def update(self, moment: Moment) -> None:
        """The figures of the moment."""
        ...


class Attempt:
    """Carries one run through; use it once, from the main thread."""

    def __init__(self, system: System, options: RunOptions, inputs: Inputs, view: View, out: OutputFolder) -> None:
        self._system = system
        self._options = options
        self._inputs = inputs
        self._view = view
        self._out = out
        self._records: Records
        self._children: Children
        self._conductor: TimedConductor | None = None
        self._clock_watch = ClockWatch()
        self._looked_at = self._quiet_since = 0.0
        self._samples: list[Sample] = []
        self._latest: dict[str, float] = {}
        #: What makes the run worthless; who died.
        self._reasons: list[str] = []
        self._died: list[str] = []
        self._released_ns: int | None = None

    def run(self) -> Evidence:
        """All of it; what goes wrong on the way makes the run invalid, and what was seen is judged nevertheless.

        Raises:
            DeployError: before the first event was sent.
        """
        facts, system = self._plan(), self._system
        kafka, logs = system.settings(), self._out.path / "logs"
        self._children = Children(self._options, self._out.schedule, system.env, kafka, logs)
        with self._children, Sampler(system, kafka) as sampler:
            go_ns = time.monotonic_ns() + _LEAD_NS
            started_at, used = datetime.now(UTC) + timedelta(seconds=_LEAD_NS / NS), self._cpu_s()
            self._play(go_ns, sampler)
        self._hear_out(sampler)
        return self._evidence(facts, started_at, (time.monotonic_ns() - go_ns) / NS, self._cpu_s() - used)

    # -- before --

    def _plan(self) -> ScheduleFacts:
        options = self._options
        self._view.say("planning the schedule")
        inputs = self._inputs
        facts = plan_schedule(options, inputs.arrivals, inputs.mix, self._system.photos, self._out.schedule)
        unordered = options.driver is not DriverKind.KAFKA or options.chaos is not None

        def endings(kind: str, loose: bool) -> frozenset[str]:
            return endings_of(Kind(kind), unordered=loose or unordered)

        self._records = Records(Ledger(endings=endings), warmup_s=options.warmup_s, duration_s=options.duration_s)
        _, dues = open_schedule(self._out.schedule)
        self._records.plan(dues)
        planned_s = options.warmup_s + options.duration_s
        self._view.say(f"{facts.count:,} events in {planned_s:g} s, sha256 {facts.sha256[:12]}")
        return facts

    def _cpu_s(self) -> float:
        """CPU seconds of the load test itself so far: this process, the generators, the receiver."""
        own = os.times()
        return own.user + own.system + self._children.cpu_s

    # -- meanwhile --

    def _play(self, go_ns: int, sampler: Sampler) -> None:
        self._records.begin(go_ns)
        self._quiet_since = time.monotonic()
        try:
            with ExitStack() as stack:
                faults = self._faults(go_ns, stack)
                self._children.go(go_ns)
                while not self._over():
                    time.sleep(_TICK_S)
                    self._read()
                    if faults is not None:
                        faults.check()
                    self._look(sampler)
                    self._release()
                self._confirm()
        except KeyboardInterrupt:
            self._reasons.append(f"{INTERRUPTED} after {(time.monotonic_ns() - go_ns) / NS:.0f} s")
        except ServiceFailed as error:
            self._reasons.append(str(error))

    def _faults(self, go_ns: int, stack: ExitStack) -> Backstage | None:
        if not self._inputs.strikes:
            return None
        self._conductor = TimedConductor(
            self._system.scene(),
            self._inputs.strikes,
            self._options.seed,
            clock=time.monotonic,
            began=go_ns / NS,
            answered=lambda: self._records.answered,
            report=self._view.mark,
        )
        return stack.enter_context(Backstage(self._conductor))

    def _over(self) -> bool:
        now, records = time.monotonic(), self._records
        sent_all = self._children.finished
        if not sent_all or records.open > 0 or (self._conductor is not None and not self._conductor.done):
            self._quiet_since = now
        draining_since = self._released_ns or records.go_ns + round(records.planned_s * NS)
        given_up = now - draining_since / NS > self._options.drain_s
        return sent_all and (given_up or now - self._quiet_since >= _AFTERMATH_S[self._options.driver])

    def _read(self) -> None:
        for observation in self._children.read():
            self._records.note(observation)

    def _release(self) -> None:
        if self._options.mode is Mode.BACKLOG and self._released_ns is None and self._children.finished:
            self._view.say("the backlog is there: the consumers start")
            self._released_ns = time.monotonic_ns()
            self._system.release()

    def _look(self, sampler: Sampler) -> None:
        self._take_samples(sampler)
        now = time.monotonic()
        if now - self._looked_at < _CLOCKS_EVERY_S:
            return
        self._looked_at = now
        self._clock_watch.look(read_clocks())
        if self._children.finished:
            # What was answered without ever having been acknowledged is not awaited.
            self._records.ledger.settle()
        for died in self._system.check():
            self._view.say(died)
            self._died.append(died)
        self._view.update(self._moment())

    def _moment(self) -> Moment:
        moment, conductor = self._records.moment(time.monotonic_ns(), samples=self._latest), self._conductor
        if conductor is None:
            return moment
        return replace(moment, fault=conductor.now_on, healed=conductor.healed, faults=len(conductor.faults))

    def _take_samples(self, sampler: Sampler) -> None:
        for sample in sampler.drain():
            self._samples.append(sample)
            self._latest.update(sample.values)

    # -- afterwards --

    def _confirm(self) -> None:
        """Look up in the log what no acknowledgement came for: the broker may have it all the same."""
        for number, place in self._children.places_of(self._records.unplaced()):
            self._records.note(Taken(number, 0, place))

    def _hear_out(self, sampler: Sampler) -> None:
        """What the children said last; why one broke, unless that is known."""
        self._take_samples(sampler)
        try:
            self._read()
        except ServiceFailed as error:
            if str(error) not in self._reasons:
                self._reasons.append(str(error))

    def _evidence(self, facts: ScheduleFacts, started_at: datetime, wall_s: float, cpu_s: float) -> Evidence:
        inputs = self._inputs
        return Evidence(
            options=self._options,
            slo=inputs.slo,
            records=self._records,
            samples=self._samples,
            marks=self._conductor.marks if self._conductor is not None else (),
            clock_watch=self._clock_watch,
            own_clock=read_own_clock(),
            reasons=self._reasons,
            died=self._died,
            finished=self._children.finished,
            released_ns=self._released_ns,
            harness_cpu_s=cpu_s,
            wall_s=wall_s,
            started_at=started_at,
            revision=revision(),
            schedule_sha256=facts.sha256,
            environment=environment(self._options),
            config={
                "mix": inputs.mix.model_dump(mode="json"),
                "slo": inputs.slo.model_dump(mode="json"),
                "chaos": [{"at_s": one.at_s, "fault": one.fault.name} for one in inputs.strikes],
            },
        )
