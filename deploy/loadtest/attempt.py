"""One run on a running system: send, see, disturb, sample; the judge gets what came of it."""

import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
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
from deploy.loadtest.sending.feeds import ChildFeed, Generator, Receiver
from deploy.loadtest.sending.interface import GeneratorSpec, ReceiverSpec
from deploy.loadtest.sending.unconfirmed import Starts, ends_of, places_of
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
_READY_S = 90.0
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


@dataclass(slots=True)
class Attempt:
    """Carries one run through; use it once, from the main thread."""

    system: System
    options: RunOptions
    inputs: Inputs
    view: View
    out: OutputFolder
    _records: Records = field(init=False)
    _generators: list[Generator] = field(init=False, default_factory=list)
    _receiver: Receiver | None = field(init=False, default=None)
    _conductor: TimedConductor | None = field(init=False, default=None)
    _backstage: Backstage | None = field(init=False, default=None)
    _clock_watch: ClockWatch = field(init=False, default_factory=ClockWatch)
    _looked_at: float = field(init=False, default=0.0)
    _samples: list[Sample] = field(init=False, default_factory=list)
    _latest: dict[str, float] = field(init=False, default_factory=dict)
    _reasons: list[str] = field(init=False, default_factory=list)
    _died: list[str] = field(init=False, default_factory=list)
    _released_ns: int | None = field(init=False, default=None)
    _quiet_since: float = field(init=False, default=0.0)
    _starts: Starts = field(init=False, default_factory=dict)

    def run(self) -> Evidence:
        """All of it; what goes wrong on the way makes the run invalid, and what was seen is judged nevertheless.

        Raises:
            DeployError: before the first event was sent.
        """
        facts = self._plan()
        with ExitStack() as stack:
            self._start(stack)
            sampler = stack.enter_context(Sampler(self.system, self.system.settings()))
            self._go(stack)
            started_at, began, used = datetime.now(UTC), time.monotonic(), self._cpu_s()
            try:
                self._watch(sampler)
                self._confirm()
            except KeyboardInterrupt:
                self._reasons.append(f"{INTERRUPTED} after {time.monotonic() - began:.0f} s")
            except ServiceFailed as error:
                self._reasons.append(str(error))
        self._take_rest(sampler)
        wall_s = time.monotonic() - began
        return self._evidence(facts, started_at + timedelta(seconds=_LEAD_NS / NS), wall_s, self._cpu_s() - used)

    # -- before --

    def _plan(self) -> ScheduleFacts:
        options = self.options
        self.view.say("planning the schedule")
        facts = plan_schedule(options, self.inputs.mix, self.system.photos, self.out.schedule)
        unordered = options.driver is not DriverKind.KAFKA or options.chaos is not None

        def endings(kind: str, loose: bool) -> frozenset[str]:
            return endings_of(Kind(kind), unordered=loose or unordered)

        self._records = Records(Ledger(endings=endings), warmup_s=options.warmup_s, duration_s=options.duration_s)
        _, dues = open_schedule(self.out.schedule)
        self._records.plan(dues)
        self.view.say(
            f"{facts.count:,} events in {options.warmup_s + options.duration_s:g} s, sha256 {facts.sha256[:12]}"
        )
        return facts

    @property
    def _feeds(self) -> Sequence[ChildFeed]:
        return [*self._generators, *([self._receiver] if self._receiver else [])]

    def _cpu_s(self) -> float:
        """CPU seconds of the load test itself so far: this process, the generators, the receiver."""
        own = os.times()
        return own.user + own.system + sum(feed.cpu_s for feed in self._feeds)

    def _start(self, stack: ExitStack) -> None:
        options, env, logs = self.options, self.system.env, self.out.path / "logs"
        settings = self.system.settings()
        if settings is not None:
            self._starts = ends_of(settings, settings.topics)
            self._receiver = Receiver(ReceiverSpec(env=env, namespace=options.namespace), logs)
        for shard in range(options.generators):
            spec = GeneratorSpec(
                driver=options.driver, schedule=self.out.schedule, env=env, shard=shard, shards=options.generators
            )
            self._generators.append(Generator(spec, logs))
        for feed in self._feeds:
            stack.callback(feed.stop)
            feed.start()
        deadline = time.monotonic() + _READY_S
        while not all(feed.ready() for feed in self._feeds):
            if time.monotonic() > deadline:
                late = ", ".join(feed.name for feed in self._feeds if not feed.ready())
                raise ServiceFailed(f"{late}: not ready after {_READY_S:g} s; the logs are in {logs}")
            time.sleep(_TICK_S)

    def _go(self, stack: ExitStack) -> None:
        go_ns = time.monotonic_ns() + _LEAD_NS
        self._records.begin(go_ns)
        if self.inputs.strikes:
            self._conductor = TimedConductor(
                self.system.scene(),
                self.inputs.strikes,
                self.options.seed,
                clock=time.monotonic,
                began=go_ns / NS,
                answered=lambda: self._records.answered,
                report=self.view.mark,
            )
            self._backstage = stack.enter_context(Backstage(self._conductor))
        for generator in self._generators:
            generator.go(go_ns)

    # -- meanwhile --

    def _watch(self, sampler: Sampler) -> None:
        while not self._over():
            time.sleep(_TICK_S)
            self._read()
            if self._backstage is not None:
                self._backstage.check()
            self._look(sampler)
            if self.options.mode is Mode.BACKLOG and self._released_ns is None and self._sent_all:
                self.view.say("the backlog is there: the consumers start")
                self._released_ns = time.monotonic_ns()
                self.system.release()

    @property
    def _sent_all(self) -> bool:
        return all(generator.finished for generator in self._generators)

    def _over(self) -> bool:
        now, records = time.monotonic(), self._records
        if not self._sent_all or records.open > 0 or (self._conductor is not None and not self._conductor.done):
            self._quiet_since = now
        began_draining = self._released_ns or records.go_ns + round(records.planned_s * NS)
        if now - began_draining / NS > self.options.drain_s and self._sent_all:
            return True
        return self._sent_all and now - self._quiet_since >= _AFTERMATH_S[self.options.driver]

    def _read(self) -> None:
        for feed in self._feeds:
            for observation in feed.read():
                self._records.note(observation)

    def _look(self, sampler: Sampler) -> None:
        self._take_samples(sampler)
        now = time.monotonic()
        if now - self._looked_at < _CLOCKS_EVERY_S:
            return
        self._looked_at = now
        if self._sent_all:
            # What was answered without ever having been acknowledged is not awaited.
            self._records.ledger.settle()
        self._clock_watch.look(read_clocks())
        for died in self.system.check():
            self.view.say(died)
            self._died.append(died)
        conductor = self._conductor
        moment = self._records.moment(time.monotonic_ns(), samples=self._latest)
        if conductor is not None:
            moment = replace(moment, fault=conductor.now_on, healed=conductor.healed, faults=len(self.inputs.strikes))
        self.view.update(moment)

    def _take_samples(self, sampler: Sampler) -> None:
        for sample in sampler.drain():
            self._samples.append(sample)
            self._latest.update(sample.values)

    # -- afterwards --

    def _confirm(self) -> None:
        """Look up in the log what no acknowledgement came for: the broker may have it all the same."""
        settings, wanted = self.system.settings(), self._records.unplaced()
        if settings is None or not wanted:
            return
        for number, place in places_of(settings, self._starts, wanted):
            self._records.note(Taken(number, 0, place))

    def _take_rest(self, sampler: Sampler) -> None:
        self._take_samples(sampler)
        try:
            self._read()
        except ServiceFailed as error:
            self._reasons.append(str(error))

    def _evidence(self, facts: ScheduleFacts, started_at: datetime, wall_s: float, cpu_s: float) -> Evidence:
        inputs = self.inputs
        return Evidence(
            options=self.options,
            slo=inputs.slo,
            records=self._records,
            samples=self._samples,
            marks=self._conductor.marks if self._conductor is not None else (),
            clock_watch=self._clock_watch,
            own_clock=read_own_clock(),
            reasons=self._reasons,
            died=self._died,
            finished=self._sent_all,
            released_ns=self._released_ns,
            harness_cpu_s=cpu_s,
            wall_s=wall_s,
            started_at=started_at,
            revision=revision(),
            schedule_sha256=facts.sha256,
            environment=environment(self.options),
            config={
                "mix": inputs.mix.model_dump(mode="json"),
                "slo": inputs.slo.model_dump(mode="json"),
                "chaos": [{"at_s": one.at_s, "fault": one.fault.name} for one in inputs.strikes],
            },
        )
