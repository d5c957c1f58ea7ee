"""The setting `deterministic`: an image comes out the same in whatever company it is computed."""

import asyncio
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
import torch
from prometheus_client import CollectorRegistry

from serve.catalog.recipe import Variant
from serve.interfaces import Caller, Picture, Shot, SourceImage, Stage
from serve.metrics import PrometheusMetrics
from serve.settings import ServeSettings
from serve.workbench import build_workbench

SIDE = 96
FULL = 4


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    yield
    torch.use_deterministic_algorithms(False)


def shots() -> list[Shot]:
    """Pictures of one size in several styles."""
    random = np.random.default_rng(4)
    made = []
    for number, style in enumerate(("pencil", "oil", "poster", "crayon")):
        pixels = random.integers(0, 255, (SIDE, SIDE, 3), np.uint8)
        operations = [{"op": "studio"}, {"op": "style", "style": style}]
        variant = Variant.model_validate({"name": "drawn", "operations": operations, "size": [SIDE, SIDE]})
        source = SourceImage(image_id="i", sha256=str(number), pixels=pixels, format="jpeg")
        made.append(Shot(source=source, variant=variant, key=str(number), seed=0, pixels=pixels))
    return made


def drawn(*, deterministic: bool, batches: Sequence[Sequence[Shot]]) -> list[Picture]:
    """The pictures, each batch computed in one go."""
    settings = ServeSettings(deterministic=deterministic, batch_shots=FULL)
    sizes: list[int] = []

    async def main() -> list[Picture]:
        bench = build_workbench(settings, PrometheusMetrics(CollectorRegistry()), ["style_transfer"])
        stage: Stage = next(one for one in bench.editions.current.stages if one.name == "style_transfer")
        try:
            done: list[Picture] = []
            for batch in batches:
                worked = await bench.slots.run(stage, batch, Caller("t", float("inf")))
                sizes.append(len(worked.shots))
                for shot in worked.shots:
                    assert isinstance(shot, Shot)
                    assert shot.pixels is not None
                    done.append(shot.pixels)
            return done
        finally:
            bench.close()

    found = asyncio.run(main())
    assert sizes == [len(batch) for batch in batches]
    return found


@pytest.mark.parametrize(("deterministic", "apart"), [(True, 0), (False, 1)])
def test_alone_and_in_a_full_batch_a_picture_comes_out_the_same(deterministic: bool, apart: int) -> None:
    four = shots()
    alone = drawn(deterministic=deterministic, batches=[[shot] for shot in four])
    together = drawn(deterministic=deterministic, batches=[four])
    for one, other, shot in zip(alone, together, four, strict=True):
        assert np.abs(one.astype(int) - other.astype(int)).max() <= apart
        assert shot.pixels is not None
        assert (one != shot.pixels).any()
