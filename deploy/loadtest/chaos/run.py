"""The chaos run: a seeded mix of events through real servers that are killed, frozen, cut and replaced meanwhile.

python -m deploy.loadtest.chaos --events 2000 --faults 4 --seed 7
"""

import hashlib
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from deploy.errors import ServiceFailed
from deploy.loadtest.chaos.calm import calm_run
from deploy.loadtest.chaos.census import Census
from deploy.loadtest.chaos.options import ChaosOptions
from deploy.loadtest.chaos.report import ChaosReport
from deploy.loadtest.chaos.sending import Sender
from deploy.loadtest.chaos.view import ChaosView, Moment
from deploy.loadtest.chaos.watch import Watch
from deploy.loadtest.chaos.world import World
from deploy.loadtest.faults.conductor import Conductor
from deploy.loadtest.faults.program import program
from deploy.loadtest.ledger.ledger import Ledger
from deploy.loadtest.ledger.objects import object_faults, offset_faults
from deploy.loadtest.ledger.violations import Reason, Violation
from deploy.loadtest.system.recipes import CATALOG
from deploy.loadtest.workload.mix import BUILT_IN, load_mix
from deploy.loadtest.workload.planned import Kind, Planned
from deploy.loadtest.workload.traffic import Traffic
from deploy.services.buckets import s3_client
from serve.schemas.result import ListingResult

#: What is sent.
MIX = BUILT_IN["chaos"]
_TICK_S = 0.25
#: How long the workers may take to commit what they have answered last.
_COMMIT_S = 30.0
#: Answers that come twice come soon; meanwhile the last retries of the workers end.
_AFTERMATH_S = 3.0


class Chaos:
    """One run."""

    def __init__(self, options: ChaosOptions, view: ChaosView) -> None:
        self._options = options
        self._view = view
        self._faults = program(options.faults, options.seed, transactional=options.transactional)
        self._planned: dict[int, Planned] = {}
        self._phases: dict[str, float] = {}
        self._found: list[Violation] = []

    def run(self) -> ChaosReport:
        """Do it all; raise `DeployError` where it cannot even be tried. Stops what it started, whatever happens."""
        with ExitStack() as stack:
            with self._phase("start"):
                world = stack.enter_context(World(self._options, self._view.service))
            conductor = self._play(world)
            with self._phase("stop consumers"):
                self._settle(world)
            with self._phase("census"):
                ledger, standing = self._census(world)
            with self._phase("calm run"):
                self._compare(world, ledger, standing)
        violations = [*ledger.verdict(), *self._found]
        return ChaosReport(
            seed=self._options.seed,
            delivery=self._options.delivery,
            phases=self._phases,
            kinds=Counter(event.kind.value for event in self._planned.values()),
            endings=ledger.endings,
            counts=ledger.counts,
            marks=conductor.marks,
            violations=violations,
        )

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        self._view.say(f"-- {name}")
        began = time.monotonic()
        try:
            yield
        finally:
            self._phases[name] = time.monotonic() - began

    # -- events and faults --

    def _play(self, world: World) -> Conductor:
        options = self._options
        mix = load_mix(MIX).model_copy(update={"photo_reuse": options.photos})
        traffic = Traffic(mix, options.seed, world.photos)
        for event in traffic.events(options.events):
            self._planned[event.number] = event
        with self._phase("work"), Sender(world.settings, iter(self._planned.values())) as sender:
            for _ in range(options.consumers):
                self._view.service(world.crew.start(), "started")
            with Watch(world.settings) as watch:
                conductor = Conductor(
                    world.scene,
                    self._faults,
                    options.seed,
                    events=options.events,
                    answered=lambda: watch.answered,
                    clock=time.monotonic,
                    report=self._view.mark,
                )
                try:
                    self._until_answered(world, sender, watch, conductor)
                finally:
                    conductor.heal()
        return conductor

    def _until_answered(self, world: World, sender: Sender, watch: Watch, conductor: Conductor) -> None:
        began = moved_at = time.monotonic()
        answered = 0
        while answered < self._options.events:
            sender.allow(conductor.released)
            conductor.tick()
            before, answered, now = answered, watch.answered, time.monotonic()
            if answered > before or conductor.now_on is not None:
                moved_at = now
            elif now - moved_at > self._options.patience_s:
                self._view.say(f"no outcome for {self._options.patience_s:g} s, giving up")
                return
            self._check(world)
            self._view.update(self._moment(answered, sender.taken, now - began, conductor))
            time.sleep(_TICK_S)

    def _check(self, world: World) -> None:
        for name in world.crew.died():
            # Counted once, and replaced as a supervisor would.
            self._found.append(Violation(Reason.DIED, f"{name} ended by itself"))
            world.crew.replace(name)

    def _moment(self, answered: int, sent: int, elapsed_s: float, conductor: Conductor) -> Moment:
        return Moment(
            planned=self._options.events,
            sent=sent,
            answered=answered,
            elapsed_s=elapsed_s,
            faults=len(self._faults),
            healed=conductor.healed,
            now_on=conductor.now_on,
        )

    # -- afterwards --

    def _settle(self, world: World) -> None:
        time.sleep(_AFTERMATH_S)
        census, deadline = Census(world.settings), time.monotonic() + _COMMIT_S
        while (faults := list(offset_faults(census.progress()))) and time.monotonic() < deadline:
            time.sleep(1)
        self._found += faults
        world.crew.stop()

    def _census(self, world: World) -> tuple[Ledger, dict[str, ListingResult]]:
        ledger = Ledger(exactly_once=self._options.transactional)
        census = Census(world.settings)
        standing = census.enter(ledger, self._planned)
        missing = self._planned.keys() - {event.number for event in ledger.events}
        if missing:
            raise ServiceFailed(f"Kafka has lost {len(missing)} events that it had acknowledged")
        for topic in world.settings.retry_topics:
            ledger.counts["records in retry topics"] += census.count(topic)
        return ledger, standing

    def _compare(self, world: World, ledger: Ledger, standing: Mapping[str, ListingResult]) -> None:
        last = ledger.last_events()
        pictured = [event for event in last.values() if event.kind == Kind.PHOTOS]
        calm = calm_run(pictured, self._planned, world.store, catalog=CATALOG, photos=world.photos.origin)
        expected = {listing: calm.get(listing, frozenset()) for listing in last}
        bucket = _objects(world)
        ledger.counts["listings"] = len(last)
        ledger.counts["listings with objects"] = sum(map(bool, expected.values()))
        ledger.counts["objects in the store"] = len(bucket)
        self._found += object_faults(expected, standing, bucket)
        if not self._found and not any(expected.values()):
            raise ServiceFailed("no listing ended with images: there was nothing to compare")


def _objects(world: World) -> dict[str, str]:
    """Every key in the bucket with the hash of what the store gives for it."""
    at = world.store
    client = s3_client(at.s3_endpoint, at.access_key, at.secret_key, at.region)
    keys = [
        one["Key"]
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=at.bucket)
        for one in page.get("Contents", ())
    ]
    return {
        key: hashlib.sha256(client.get_object(Bucket=at.bucket, Key=key)["Body"].read()).hexdigest() for key in keys
    }
