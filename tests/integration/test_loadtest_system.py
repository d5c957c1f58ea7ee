"""Systems under load with real servers: what they need to know, what is sampled, and a consumer killed by the clock."""

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from consumers.events import ListingEvent, parse
from consumers.records import SourceRecord, TopicPartition
from deploy.errors import ToolMissing
from deploy.loadtest.chaos.census import Census
from deploy.loadtest.chaos.sending import Sender
from deploy.loadtest.chaos.watch import Watch
from deploy.loadtest.faults.backstage import Backstage
from deploy.loadtest.faults.conductor import TimedConductor
from deploy.loadtest.faults.timeline import load_timeline
from deploy.loadtest.ledger.ledger import Ledger
from deploy.loadtest.measuring.samples import Sample
from deploy.loadtest.options import DriverKind, RunOptions
from deploy.loadtest.system.given import open_system
from deploy.loadtest.system.local import parts_of
from deploy.loadtest.system.sampler import Sampler
from deploy.loadtest.workload.mix import BUILT_IN, load_mix
from deploy.loadtest.workload.planned import Kind, PhotoSource, Planned
from deploy.loadtest.workload.traffic import Traffic
from deploy.services.processes import alive
from deploy.services.stack import KafkaKind, StoreKind
from deploy.services.tools import find_java, kafka_jars, versitygw
from serve.metrics import PrometheusMetrics
from serve.schemas.exchange import EnrichItem, ResultLine
from serve.schemas.outcome import Outcome
from serve.schemas.result import Position
from serve.settings import ServeSettings
from serve.studio import build_studio
from tests.support.few_photos import FewPhotos
from tests.support.servers import missing

PATIENCE_S = 240.0
EVENTS = 200


def quiet(_service: str, _phase: str) -> None: ...


def events(photos: PhotoSource, count: int) -> dict[int, Planned]:
    mix = load_mix(BUILT_IN["chaos"]).model_copy(update={"photo_reuse": 4})
    return {event.number: event for event in Traffic(mix, 1, photos).events(count)}


def item_of(event: Planned) -> EnrichItem:
    parsed = parse(SourceRecord(TopicPartition(event.topic, 0), event.number, event.key, event.value))
    assert isinstance(parsed, ListingEvent)
    return EnrichItem(
        ref=event.number,
        event_id=parsed.id,
        event_source=parsed.source,
        type=parsed.type,
        position=Position(topic=event.topic, partition=0, offset=event.number),
        attempt=1,
        listing=parsed.listing,
    )


def named(samples: list[Sample]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for sample in samples:
        for name, value in sample.values.items():
            found.setdefault(name, []).append(value)
    return found


def until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not reached():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.1)


def test_in_process_a_store_is_all_that_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = RunOptions(driver=DriverKind.INPROCESS, rate=1, duration_s=1, seed=1, out=tmp_path)
    with open_system(options, quiet, tmp_path / "services", FewPhotos) as system:
        assert system.processes().keys() == {"store"}
        assert {"light", "studio"} <= set(system.recipes)
        for name, value in system.env.items():
            monkeypatch.setenv(name, value)
        pictured = next(one for one in events(system.photos, 100).values() if one.kind is Kind.PHOTOS)
        found: list[Sample] = []
        with Sampler(system, system.settings(), every_s=0.2) as sampler:
            studio = build_studio(ServeSettings(), PrometheusMetrics(CollectorRegistry()))
            try:
                line = asyncio.run(studio.answer(item_of(pictured)))
            finally:
                studio.close()
            until(lambda: found.extend(sampler.drain()) or "cpu.store" in named(found))
        assert isinstance(line, ResultLine)
        # A drawn photo may be for a person to look at.
        assert line.result.outcome in {Outcome.ENRICHED, Outcome.REVIEW_REQUIRED}
        assert line.result.outputs
        assert named(found)["rss_mb.store"][0] > 1
        # Torch and its threads are in this process.
        assert max(named(found)["rss_mb.harness"]) > 50
        store = system.processes()["store"][0]
        assert system.check() == []
    assert not alive(store)


@pytest.mark.real
@pytest.mark.timeout(600)
def test_a_consumer_is_killed_and_a_store_throttled_by_the_clock_and_nothing_is_lost(tmp_path: Path) -> None:
    try:
        find_java(), kafka_jars(), versitygw()
    except ToolMissing as error:
        missing(str(error))
    chaos = tmp_path / "chaos.yaml"
    chaos.write_text(
        "timeline: [{at: 3, fault: kill_consumer, seconds: 1}, {at: 6, fault: throttle_store, seconds: 2}]"
    )
    options = RunOptions(
        driver=DriverKind.KAFKA,
        rate=1,
        duration_s=60,
        seed=1,
        out=tmp_path,
        kafka=KafkaKind.REAL,
        store=StoreKind.REAL,
        chaos=chaos,
    )
    strikes = load_timeline(chaos, options.seed, options.duration_s, parts_of(options))
    with open_system(options, quiet, tmp_path / "services", FewPhotos) as system:
        settings = system.settings()
        assert settings is not None
        assert {role: len(records) for role, records in system.processes().items()} == {
            "kafka": 3,
            "store": 1,
            "serve": 1,
            "consumers": 2,
        }
        planned = events(system.photos, EVENTS)
        found: list[Sample] = []
        with (
            Sampler(system, settings) as sampler,
            Sender(settings, iter(planned.values())) as sender,
            Watch(settings) as watch,
        ):
            began = time.monotonic()
            conductor = TimedConductor(system.scene(), strikes, 1, clock=time.monotonic, began=began)
            with Backstage(conductor) as stage:
                until(lambda: step(stage, sender, began) or (conductor.done and watch.answered == EVENTS))
            until(lambda: found.extend(sampler.drain()) or named(found).get("lag_events", [1.0])[-1] == 0)
        assert system.check() == []
        ledger = Ledger()
        Census(settings).enter(ledger, planned)
        assert list(ledger.verdict()) == []
        struck = [(mark.fault, mark.phase.value) for mark in conductor.marks]
        assert struck == [
            (fault, phase) for fault in ("kill_consumer", "throttle_store") for phase in ("strike", "heal")
        ]
        assert all(mark.at_s >= 3 for mark in conductor.marks)
        check(named(found))


def step(stage: Backstage, sender: Sender, began: float) -> None:
    """Twenty events a second, so that faults hit work."""
    stage.check()
    sender.allow(min(EVENTS, int(20 * (time.monotonic() - began))))


def check(figures: Mapping[str, list[float]]) -> None:
    assert {"consumers", "replicas", "lag_events", "lag_age_s", "cpu.harness"} <= figures.keys()
    for role in ("kafka", "store", "serve", "consumers"):
        assert max(figures[f"cpu.{role}"]) > 0
        assert min(figures[f"rss_mb.{role}"]) > 1
    assert set(figures["consumers"]) <= {1.0, 2.0}
    assert max(figures["replicas"]) >= 1
    assert sum(figures["cpu.serve"]) / len(figures["cpu.serve"]) <= (os.cpu_count() or 1)
