import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from prometheus_client import CollectorRegistry
from pydantic import ValidationError

from models.registry.manifest import MANIFEST, WeightsError, bundled_folder, read_manifest, write_manifest
from serve.catalog.loader import CatalogInvalid
from serve.errors import ComputeStuck
from serve.interfaces import Caller
from serve.metrics import PrometheusMetrics
from serve.settings import ServeSettings
from serve.workbench import Workbench, build_workbench
from tests.support.shots import PATIENCE_S, Recorder, shot

RECIPE = {
    "recipe": "own",
    "version": 1,
    "description": "one drawn picture",
    "variants": [{"name": "oil", "operations": [{"op": "studio"}, {"op": "style", "style": "oil"}], "size": [64, 64]}],
}


@pytest.fixture(scope="module")
def bench() -> Iterator[Workbench]:
    built = build_workbench(ServeSettings(), PrometheusMetrics(CollectorRegistry()))
    yield built
    built.close()


def catalog(folder: Path, **changes: object) -> str:
    (folder / "recipes").mkdir()
    (folder / "recipes" / "own.yaml").write_text(yaml.safe_dump(RECIPE | changes))
    return str(folder)


def weights(folder: Path, *, altered: bool = False, version: str | None = None) -> Path:
    folder.mkdir()
    for name in (MANIFEST, "style.safetensors"):
        body = (bundled_folder() / name).read_bytes()
        (folder / name).write_bytes(body[:-1] + b"?" if altered and name != MANIFEST else body)
    if version is not None:
        listed = read_manifest(folder)
        write_manifest(folder, {"style": replace(listed["style"], version=version)})
    return folder


def test_new_events_begin_with_the_new_edition_and_the_old_one_stays_usable(bench: Workbench, tmp_path: Path) -> None:
    before = bench.editions.current
    asyncio.run(bench.reconfigure({"catalog_dir": catalog(tmp_path), "default_recipe": "own"}))
    after = bench.editions.current
    assert after is not before
    assert "own" in after.catalog.recipes
    assert "own" not in before.catalog.recipes
    variant = after.catalog.recipe("own").variants[0]
    # Same weights and algorithms, so the keys of both are equal.
    assert after.models_for(variant) == before.models_for(variant)
    asyncio.run(bench.reconfigure({}))
    assert "own" not in bench.editions.current.catalog.recipes


def test_what_cannot_be_used_changes_nothing(bench: Workbench, tmp_path: Path) -> None:
    before = bench.editions.current
    broken = catalog(tmp_path, variants=[{"name": "v", "operations": [{"op": "style", "style": "nobody"}]}])
    for changes, error in (
        ({"catalog_dir": broken}, CatalogInvalid),
        ({"catalogue": "x"}, ValidationError),
        ({"style_weights": str(tmp_path / "none")}, WeightsError),
        ({"style_weights": str(weights(tmp_path / "altered", altered=True))}, WeightsError),
        ({"default_recipe": "nobody"}, CatalogInvalid),
    ):
        with pytest.raises(error):
            asyncio.run(bench.reconfigure(changes))
        assert bench.editions.current is before


def test_a_trial_is_an_edition_of_its_own_until_it_is_taken_back(bench: Workbench, tmp_path: Path) -> None:
    trial = {"share": 0.5, "style_weights": str(weights(tmp_path / "copy", version="9-trial"))}
    asyncio.run(bench.reconfigure({"trial": trial}))
    first, second = bench.editions.all
    drawn = next(one for one in first.catalog.recipe("everything").variants if one.name == "pencil")
    assert "9-trial" not in [model.version for model in first.models_for(drawn)]
    assert "9-trial" in [model.version for model in second.models_for(drawn)]
    asyncio.run(bench.reconfigure({}))
    assert len(bench.editions.all) == 1


@pytest.mark.parametrize("share", [-0.1, 1.1, "half"])
def test_a_share_that_is_none_changes_nothing(bench: Workbench, share: object) -> None:
    before = bench.editions.current
    with pytest.raises(ValidationError):
        asyncio.run(bench.reconfigure({"trial": {"share": share}}))
    assert bench.editions.all == (before,)


def test_a_replica_with_altered_weights_never_gets_ready(tmp_path: Path) -> None:
    settings = ServeSettings(style_weights=str(weights(tmp_path / "altered", altered=True)))
    threads = set(threading.enumerate())
    with pytest.raises(WeightsError, match="altered"):
        build_workbench(settings, PrometheusMetrics(CollectorRegistry()))
    assert {thread for thread in set(threading.enumerate()) - threads if thread.is_alive()} == set()


def test_only_what_computes_here_is_loaded(tmp_path: Path) -> None:
    settings = ServeSettings(style_weights=str(weights(tmp_path / "altered", altered=True)))
    elsewhere = build_workbench(settings, PrometheusMetrics(CollectorRegistry()), computes={"generation"})
    try:
        everything = elsewhere.editions.current.catalog.recipe("everything")
        drawn = next(one for one in everything.variants if one.name == "pencil")
        assert "style" in [model.name for model in elsewhere.editions.current.models_for(drawn)]
    finally:
        elsewhere.close()


def test_a_batch_that_does_not_come_back_makes_the_replica_sick() -> None:
    settings = ServeSettings(stuck_after_s=1e-9)
    bench = build_workbench(settings, PrometheusMetrics(CollectorRegistry()), computes=())
    gate = threading.Event()
    stage = Recorder(gate=gate)

    async def main() -> None:
        bench.check()
        task = asyncio.create_task(bench.slots.run(stage, [shot("a")], Caller("acme", float("inf"))))
        assert await asyncio.to_thread(stage.began.wait, PATIENCE_S)
        with pytest.raises(ComputeStuck):
            bench.check()
        gate.set()
        await task
        bench.check()

    try:
        asyncio.run(main())
    finally:
        gate.set()
        bench.close()
