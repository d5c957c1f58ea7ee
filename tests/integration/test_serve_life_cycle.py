"""Starting, changing, giving up and being replaced, on a real Ray Serve with a stage in a deployment of its own."""

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from models.registry.manifest import bundled_folder, read_manifest
from tests.support.photos import garment, photo_server
from tests.support.serve_apps import Applications, application, applications, catalog
from tests.support.servers import StoreServer
from tests.support.small_studio import item

PLACEMENT = {"generation": "Studio", "style_transfer": "Styles", "quality_filter": "Studio"}
APP = "held"
PATIENCE_S = 300


def recipe(version: int) -> dict[str, Any]:
    return {
        "recipe": "drawn",
        "version": version,
        "description": "one drawn picture",
        "variants": [
            {"name": "pencil", "operations": [{"op": "studio"}, {"op": "style", "style": "pencil"}], "size": [256, 256]}
        ],
    }


def weights(folder: Path, *, version: str | None = None, altered: bool = False) -> Path:
    """A copy of the bundled weights; the style net may get another version."""
    shutil.copytree(bundled_folder(), folder)
    manifest = json.loads((folder / "weights.json").read_text())
    if version is not None:
        manifest["style"]["version"] = version
        (folder / "weights.json").write_text(json.dumps(manifest))
    if altered:
        file = folder / manifest["style"]["file"]
        body = bytearray(file.read_bytes())
        body[-1] ^= 1
        file.write_bytes(body)
    return folder


def until(true: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + patience_s
    while not true():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.1)


@dataclass
class World:
    """The application, with folders that it reads."""

    apps: Applications
    folder: Path
    photo: str
    document: dict[str, Any]
    numbers: Iterator[int] = field(default_factory=count)

    def event(self, **changes: Any) -> Any:
        """An event that no image is known for."""
        number = next(self.numbers)
        return item(self.photo, offset=number, listing_id=f"L{number}", tenant_id=f"t{number}", **changes)

    def answer(self) -> dict[str, Any]:
        """The line of a new event."""
        event = self.event()
        return self.apps.enrich(APP, event)[event.ref]

    def configure(self, user_config: dict[str, str]) -> None:
        """`serve deploy` with this one change."""
        for deployment in self.document["deployments"]:
            deployment["user_config"] = user_config
        self.apps.deploy(self.document)

    def pids(self) -> list[int]:
        return sorted(pid for name in ("Ingress", "Studio", "Styles") for pid in self.apps.pids(APP, name))

    @contextmanager
    def held(self, stage: str) -> Iterator[None]:
        """Batches of the stage that begin do not end inside the block."""
        file = self.folder / f"hold-{stage}"
        file.touch()
        try:
            yield
        finally:
            file.unlink(missing_ok=True)

    def batches(self, stage: str) -> int:
        file = self.folder / f"ran-{stage}"
        return len(file.read_text().split()) if file.exists() else 0

    def waiting(self, deployment: str) -> int:
        return int(self.apps.handle(APP, deployment).waiting.remote().result(timeout_s=60))


@pytest.fixture(scope="module")
def world(embedded_store: StoreServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("life")
    env = {
        "VITRINE_SERVE_CATALOG_DIR": str(catalog(folder / "first", recipe(1))),
        "VITRINE_SERVE_DEFAULT_RECIPE": "drawn",
        "VITRINE_SERVE_STATE_DIR": str(folder / "state"),
        "VITRINE_SERVE_STUCK_AFTER_S": "6",
        "VITRINE_TEST_HOLD": str(folder),
    }
    document = application(APP, PLACEMENT, import_path="tests.support.held_app:build_app")
    for deployment in document["deployments"]:
        deployment["health_check_period_s"] = 0.5
    with photo_server() as photos:
        photo = photos.add("shirt.jpg", garment(size=(150, 200)))
        with applications(embedded_store, folder, fetch_allow=[photos.origin], env=env) as apps:
            apps.deploy(document)
            apps.ready(APP)
            yield World(apps, folder, photo, document)


def test_a_new_configuration_is_taken_over_without_restart_and_no_event_is_dropped(world: World) -> None:
    pids = world.pids()
    assert len(pids) == 3
    lines: list[dict[str, Any]] = []
    over = threading.Event()

    def load() -> None:
        while not over.is_set():
            lines.append(world.answer())

    def newest() -> bool:
        return any(made(line) == (2, "1.1-copy") for line in list(lines))

    with ThreadPoolExecutor(3) as threads:
        senders = [threads.submit(load) for _ in range(3)]
        try:
            until(lambda: len(lines) > 2)
            world.configure(
                {
                    "catalog_dir": str(catalog(world.folder / "second", recipe(2))),
                    "style_weights": str(weights(world.folder / "copy", version="1.1-copy")),
                }
            )
            until(newest)
        finally:
            over.set()
        for sender in senders:
            sender.result(PATIENCE_S)
    assert {line["kind"] for line in lines} == {"result"}
    bundled = read_manifest(bundled_folder())["style"].version
    assert {made(line) for line in lines} == {(1, bundled), (2, "1.1-copy")}
    assert world.pids() == pids
    until(lambda: shown(world) == 2)


def test_a_share_of_the_listings_gets_the_net_on_trial_and_results_say_which(world: World) -> None:
    pids = world.pids()
    document = world.document["deployments"][0]["user_config"]
    tried = {"share": 0.5, "style_weights": str(weights(world.folder / "tried", version="1.2-tried"))}
    world.configure({**document, "trial": tried})
    until(lambda: made(world.answer()) == (2, "1.2-tried"))
    # Others are told later than the first one: from here on each listing is answered once more.
    world.apps.wait(APP)
    seen: dict[str, set[str]] = {}
    for revision in (1, 2):
        for number in range(900, 910):
            event = item(
                world.photo,
                offset=number + 100 * revision,
                listing_id=f"L{number}",
                tenant_id="trying",
                revision=revision,
            )
            seen.setdefault(f"L{number}", set()).add(made(world.apps.enrich(APP, event)[event.ref])[1])
    assert set().union(*seen.values()) == {"1.1-copy", "1.2-tried"}
    assert all(len(versions) == 1 for versions in seen.values())
    assert world.pids() == pids
    world.configure(document)
    world.apps.wait(APP)


def made(line: dict[str, Any]) -> tuple[int, str]:
    """Version of the recipe and of the style net."""
    (output,) = line["result"]["outputs"]
    (style,) = [model["version"] for model in output["models"] if "style" in model["name"]]
    return line["result"]["recipe_version"], style


def shown(world: World) -> int:
    recipes = httpx.get(f"{world.apps.url(APP)}/v1/recipes", timeout=60).json()
    return int(next(one["version"] for one in recipes if one["recipe"] == "drawn"))


def test_a_configuration_that_cannot_be_leaves_all_as_it_is(world: World) -> None:
    pids, before = world.pids(), made(world.answer())
    good = world.document["deployments"][0]["user_config"]
    world.configure({"catalog_dir": str(world.folder / "nowhere")})
    logs = world.apps.ray_folder / "session_latest/logs"
    until(lambda: sum("configuration refused" in log.read_text(errors="replace") for log in logs.rglob("*.err")) >= 3)
    world.apps.wait(APP)
    assert made(world.answer()) == before
    assert world.pids() == pids
    # A replica that starts must not begin with anything but what it is told, so it shall be told what can be.
    world.configure(good)
    world.apps.wait(APP)


def test_who_goes_away_and_whose_time_is_over_costs_no_computing_far_away(world: World) -> None:
    studio = world.apps.handle(APP, "Studio")
    with world.held("style_transfer"), ThreadPoolExecutor(1) as thread:
        begun = world.batches("style_transfer")
        first = thread.submit(world.answer)
        until(lambda: world.batches("style_transfer") == begun + 1)
        body = {"items": [world.event().model_dump(mode="json")]}
        with httpx.stream("POST", f"{world.apps.url(APP)}/v1/enrich", json=body, timeout=60) as response:
            assert response.status_code == 200
            until(lambda: world.waiting("Styles") == 1)
        until(lambda: world.waiting("Styles") == 0)
        late = studio.answer.remote(world.event().model_dump_json().encode(), 3.0).result(timeout_s=PATIENCE_S)
        assert json.loads(late)["error"]["code"] == "deadline_exceeded"
        assert world.waiting("Styles") == 0
        (world.folder / "hold-style_transfer").unlink()
        assert first.result(PATIENCE_S)["kind"] == "result"
    assert world.batches("style_transfer") == begun + 1


@pytest.mark.parametrize(("deployment", "stage"), [("Styles", "style_transfer"), ("Studio", "generation")])
def test_a_replica_whose_thread_is_stuck_is_replaced(world: World, deployment: str, stage: str) -> None:
    (stuck,) = world.apps.pids(APP, deployment)
    with world.held(stage):
        line = world.answer()
        assert line["kind"] == "error", line
        assert (line["error"]["code"], line["error"]["retry"]) == ("replica_lost", "transient")
    until(lambda: world.apps.pids(APP, deployment) not in ([], [stuck]))
    assert world.answer()["kind"] == "result"


def test_altered_weights_never_get_ready_and_the_status_says_why(world: World) -> None:
    env = {"VITRINE_SERVE_STYLE_WEIGHTS": str(weights(world.folder / "bad", altered=True))}
    document = application("altered", "fused", env=env)
    for deployment in document["deployments"]:
        deployment["max_constructor_retry_count"] = 1
    world.apps.deploy(document)
    found = world.apps.wait("altered", "DEPLOY_FAILED")
    assert found.deployments["Studio"].replica_states.get("RUNNING", 0) == 0
    assert "WeightsError" in found.deployments["Studio"].message
    assert world.answer()["kind"] == "result"
