"""Kill -9 of the consumer in the middle of a run: every event is answered once, with the objects of a calm run."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer

from deploy.errors import ToolMissing
from deploy.services.consumer import Consumer
from deploy.services.environment import consumers_env
from deploy.settings import DeploySettings
from tests.support.photos import garment
from tests.support.servers import missing
from tests.support.system import System, running_system

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]

EVENTS = 16
#: What is stored, by listing and variant.
Objects = dict[tuple[str, str], tuple[str, str]]


def produce(system: System) -> None:
    for number in range(EVENTS):
        listing = f"sku-{number}"
        url = system.photos.add(f"{listing}.jpg", garment(colour=(30 + 12 * number, 80, 140), seed=number))
        data = {"tenant_id": "shop", "listing_id": listing, "revision": 1, "recipe": "tiny", "images": [{"url": url}]}
        event = {"specversion": "1.0", "id": f"event-{number}", "source": "//tests", "data": data}
        event["type"] = "org.vitrine.catalog.listing.created.v1"
        system.produce(json.dumps(event).encode(), key=f"shop:{listing}")


def worker(system: System, folder: Path, number: int) -> Consumer:
    # A worker that was killed keeps its place in the group until the session times out.
    env = {**consumers_env(system.endpoints), "VITRINE_CONSUMERS_SESSION_TIMEOUT_S": "6"}
    return Consumer(folder, env, DeploySettings(), number=number)


def records_in(system: System, topic: str) -> int:
    consumer = KafkaConsumer(topic, bootstrap_servers=system.endpoints.bootstrap, auto_offset_reset="earliest")
    try:
        consumer.poll(2000)
        return sum(consumer.end_offsets(list(consumer.assignment())).values())
    finally:
        consumer.close()


def stored(system: System, results: list[dict[str, Any]]) -> Objects:
    objects: Objects = {}
    for result in results:
        for output in result["outputs"]:
            assert system.object_sha256(output["key"]) == output["sha256"]
            objects[result["listing_id"], output["variant"]] = (output["key"], output["sha256"])
    return objects


def run(folder: Path, *, kill: bool) -> tuple[list[dict[str, Any]], Objects]:
    with running_system(folder, consumers=0) as system:
        produce(system)
        first = worker(system, folder, 1)
        first.start()
        try:
            if kill:
                _wait_for_some_answers(system)
                first.kill()
                before = records_in(system, "listings.enriched")
                assert 0 < before < EVENTS, f"the kill came too late: {before} results"
                first = worker(system, folder, 2)
                first.start()
            results = system.results(EVENTS, 240)
            # A repeat would come soon after; the reader must hide it.
            time.sleep(3)
            assert len(system.tail(EVENTS + 1, 5).stdout.splitlines()) == EVENTS
        finally:
            first.stop()
        return results, stored(system, results)


def _wait_for_some_answers(system: System) -> None:
    deadline = time.monotonic() + 120
    while records_in(system, "listings.enriched") < 2:
        assert time.monotonic() < deadline, "no answers before the kill"


def test_every_event_is_answered_once_and_the_objects_are_those_of_a_calm_run(tmp_path: Path) -> None:
    try:
        calm_results, calm = run(tmp_path / "calm", kill=False)
    except ToolMissing as error:
        missing(str(error))
    results, objects = run(tmp_path / "killed", kill=True)
    expected = sorted(f"event-{number}" for number in range(EVENTS))
    assert sorted(result["event_id"] for result in calm_results) == expected
    assert sorted(result["event_id"] for result in results) == expected
    assert objects == calm
    assert len(objects) == EVENTS
