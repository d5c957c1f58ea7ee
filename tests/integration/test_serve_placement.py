"""Fused, staged and mixed placements side by side on one Ray Serve: the same keys, the same pictures."""

import io
import os
import re
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.support.photos import garment, photo_server
from tests.support.serve_apps import Applications, application, applications, catalog, frozen
from tests.support.servers import StoreServer
from tests.support.small_studio import item

PLACEMENTS: dict[str, Any] = {
    "fused": "fused",
    "staged": "staged",
    "mixed": {"generation": "Studio", "style_transfer": "Styles", "quality_filter": "Studio"},
}
#: 256 px cross handles within the call, 600 px through the object store. PNG keeps every pixel.
RECIPE = {
    "recipe": "trio",
    "version": 1,
    "description": "plain and drawn, small and large",
    "variants": [
        {"name": "plain", "operations": [{"op": "studio"}], "size": [256, 256], "format": "png"},
        {
            "name": "drawn",
            "operations": [{"op": "studio"}, {"op": "style", "style": "pencil"}],
            "size": [256, 256],
            "format": "png",
        },
        {
            "name": "laid",
            "operations": [{"op": "studio"}, {"op": "style", "style": "oil", "strength": 0.5, "area": "product"}],
            "size": [600, 600],
            "format": "png",
        },
    ],
}
PLAIN = {**RECIPE, "recipe": "plain", "variants": RECIPE["variants"][:1]}  # type: ignore[index]


@dataclass
class World:
    """Three applications, a bucket for each, and photos."""

    apps: Applications
    store: StoreServer
    small: str
    large: str

    def pixels(self, name: str, key: str) -> Any:
        body = self.store.client().get_object(Bucket=bucket(name), Key=key)["Body"].read()
        return np.asarray(Image.open(io.BytesIO(body)).convert("RGB"), dtype=np.int16)


def bucket(name: str) -> str:
    return f"placement-{name}"


@pytest.fixture(scope="module")
def world(embedded_store: StoreServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("placement")
    env = {"VITRINE_SERVE_CATALOG_DIR": str(catalog(folder / "catalog", RECIPE, PLAIN))}
    for name in PLACEMENTS:
        embedded_store.client().create_bucket(Bucket=bucket(name))
    with photo_server() as photos:
        small = photos.add("small.jpg", garment())
        large = photos.add("large.jpg", garment((150, 60, 60), seed=2, size=(600, 800)))
        with applications(embedded_store, folder, fetch_allow=[photos.origin], env=env) as apps:
            apps.deploy(
                *(
                    application(
                        name,
                        placement,
                        # An index and a bucket each, or they would reuse each other's images.
                        env={
                            "VITRINE_SERVE_STATE_DIR": str(folder / name),
                            "VITRINE_SERVE_S3_BUCKET": bucket(name),
                        },
                    )
                    for name, placement in PLACEMENTS.items()
                )
            )
            for name in PLACEMENTS:
                apps.ready(name)
            yield World(apps, embedded_store, small, large)


def outputs(line: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    assert line["kind"] == "result", line
    assert line["result"]["errors"] == []
    return {(one["source_image_id"], one["variant"]): one for one in line["result"]["outputs"]}


def test_keys_are_equal_and_pixels_within_one_step(world: World) -> None:
    event = item(world.small, world.large, offset=1, recipe="trio")
    made = {name: outputs(world.apps.enrich(name, event)[1]) for name in PLACEMENTS}
    fused = made["fused"]
    assert len(fused) == 6
    for name in ("staged", "mixed"):
        assert {place: one["key"] for place, one in made[name].items()} == {
            place: one["key"] for place, one in fused.items()
        }
        for place, one in made[name].items():
            apart = np.abs(world.pixels(name, one["key"]) - world.pixels("fused", fused[place]["key"])).max()
            assert apart <= 1, (name, place)
            assert one["quality"] == fused[place]["quality"]
    timings = {"generation", "style_transfer", "quality_filter"}
    line = world.apps.enrich("staged", item(world.small, offset=9, listing_id="L9", tenant_id="other", recipe="trio"))
    assert {stage for stage, ms in line[9]["result"]["timings_ms"].items() if ms > 0} >= timings


def test_capacity_counts_the_studio_alone(world: World) -> None:
    for name in PLACEMENTS:
        told = httpx.get(f"{world.apps.url(name)}/v1/capacity", timeout=30).json()
        assert (told["replicas"], told["max_in_flight"]) == (1, 8)


def objects_held() -> int:
    import ray  # noqa: PLC0415
    from ray._private.internal_api import memory_summary  # noqa: PLC0415 - there is no public one without dashboard

    address = ray.get_runtime_context().gcs_address
    told = memory_summary(address, stats_only=True)  # type: ignore[no-untyped-call]
    found = re.search(r"Plasma memory usage (\d+) MiB, (\d+) objects", told)
    assert found is not None
    return int(found[2])


def test_pictures_do_not_stay_in_the_object_store(world: World) -> None:
    before = objects_held()
    for offset in range(20, 23):
        event = item(world.large, offset=offset, listing_id=f"L{offset}", tenant_id=f"t{offset}", recipe="trio")
        assert len(outputs(world.apps.enrich("staged", event)[offset])) == 3
    deadline = time.monotonic() + 30
    while objects_held() > before and time.monotonic() < deadline:
        time.sleep(0.5)
    assert objects_held() <= before


def test_what_a_dying_stage_host_had_not_taken_goes_to_the_next(world: World) -> None:
    (pid,) = world.apps.pids("staged", "StyleTransfer")
    drawn = item(world.small, offset=30, listing_id="L30", tenant_id="t30", recipe="trio")
    plain = item(world.small, offset=31, listing_id="L31", tenant_id="t31", recipe="plain")
    with ThreadPoolExecutor(1) as thread, frozen(pid):
        answer = thread.submit(world.apps.enrich, "staged", drawn)
        assert len(outputs(world.apps.enrich("staged", plain)[31])) == 1
        assert not answer.done()
        os.kill(pid, signal.SIGKILL)
        line = answer.result(120)[30]
    assert len(outputs(line)) == 3
    assert world.apps.pids("staged", "StyleTransfer") != [pid]
