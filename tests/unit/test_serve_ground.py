"""Transparent photos lie on the ground that their image asks for, and no two treatments of one file are mixed up."""

import asyncio
import hashlib
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from prometheus_client import CollectorRegistry

from serve.catalog.catalog import Catalog
from serve.catalog.recipe import Recipe
from serve.images.decoding import DecodeLimits, Decoder, decode
from serve.images.sandbox import Sandbox
from serve.interfaces import FetchedBytes, Shot, SourceImage
from serve.metrics import PrometheusMetrics, Timings
from serve.privacy.faces import FaceBlur
from serve.schemas.result import ModelRef, Output
from serve.stages.generation import _name
from tests.support.photos import garment
from tests.support.small_studio import SmallStudio, item, small_catalog, small_studio

GROUNDS = {"white": (255, 255, 255), "sand": (232, 216, 200), "black": (0, 0, 0)}
RECIPE = {
    "recipe": "grounds",
    "version": 1,
    "description": "one photo on three grounds",
    "variants": [
        {
            "name": name,
            "operations": [{"op": "studio", "background": "#{:02x}{:02x}{:02x}".format(*colour)}],
            "size": [64, 64],
            "format": "png",
        }
        for name, colour in GROUNDS.items()
    ],
}


def transparent(alpha: int = 0) -> bytes:
    """A photo with a colour of its own under its transparency."""
    file = io.BytesIO()
    Image.new("RGBA", (64, 64), (10, 200, 30, alpha)).save(file, "PNG")
    return file.getvalue()


def catalog() -> Catalog:
    plain = small_catalog()
    return replace(plain, recipes={**plain.recipes, "grounds": Recipe.model_validate(RECIPE)})


@pytest.fixture(scope="module")
def sandboxed() -> Decoder:
    pool = Sandbox()
    yield pool.decode
    pool.close()


@pytest.mark.parametrize("where", ["here", "in a worker"])
@pytest.mark.parametrize(("alpha", "share"), [(0, 0.0), (128, 128 / 255), (255, 1.0)])
def test_what_is_transparent_shows_the_ground(where: str, alpha: int, share: float, sandboxed: Decoder) -> None:
    body = transparent(alpha)
    read = decode if where == "here" else sandboxed
    limits = DecodeLimits(ground=GROUNDS["sand"])
    found = read(FetchedBytes(body=body, sha256=hashlib.sha256(body).hexdigest()), "a", limits).pixels
    wanted = share * np.array((10, 200, 30)) + (1 - share) * np.array(GROUNDS["sand"])
    assert np.abs(found - wanted).max() <= 1


def colours(studio: SmallStudio, outputs: list[Output]) -> dict[str, tuple[int, ...]]:
    """The one colour of each image; the small studio paints them in the mean of their photo."""
    pictures = {one.variant: Image.open(io.BytesIO(studio.store.get(one.key))).convert("RGB") for one in outputs}
    return {name: tuple(picture.getpixel((32, 32))) for name, picture in pictures.items()}


def test_each_image_has_its_own_ground_behind_a_transparent_photo(tmp_path: Path) -> None:
    asked: list[tuple[int, int, int]] = []

    def watched(fetched: FetchedBytes, image_id: str, limits: DecodeLimits) -> SourceImage:
        asked.append(limits.ground)
        return decode(fetched, image_id, limits)

    photos = {"clear": transparent(), "opaque": garment()}
    with small_studio(photos, tmp_path, catalog=catalog(), decoder=watched) as studio:
        made = asyncio.run(studio.pipeline.answer(item("clear", recipe="grounds")))
        assert colours(studio, made.outputs) == GROUNDS
        assert sorted(asked) == sorted(GROUNDS.values())
        asked.clear()
        made = asyncio.run(studio.pipeline.answer(item("opaque", offset=1, listing_id="L2", recipe="grounds")))
        assert len(made.outputs) == 3
        assert asked == [GROUNDS["white"]]
        shown = asyncio.run(studio.previewer.preview(transparent(), "grounds")).images
        assert sorted(one.variant for one in shown if one.data_url) == sorted(GROUNDS)


class Blackout:
    """Takes everything for a face."""

    model = ModelRef(name="blackout", version="1")

    def blur(self, picture: np.ndarray) -> tuple[np.ndarray, int]:
        return np.zeros_like(picture), 1


def test_treatments_of_one_file_have_names_of_their_own(tmp_path: Path) -> None:
    body = transparent()
    fetched = FetchedBytes(body=body, sha256=hashlib.sha256(body).hexdigest())
    faces: FaceBlur = Blackout()
    with small_studio({}, tmp_path, catalog=catalog()) as studio:
        darkroom = studio.previewer.darkroom
        timings = Timings(PrometheusMetrics(CollectorRegistry()))

        async def treated() -> list[SourceImage]:
            plain = await darkroom.decode(fetched, "a", timings)
            laid = await darkroom.laid_on("#000000", plain, fetched, timings)
            both = await darkroom.without_faces(laid, faces, timings)
            return [plain, laid, await darkroom.without_faces(plain, faces, timings), both]

        sources = asyncio.run(treated())
    variant = catalog().recipes["grounds"].variants[0]
    names = {_name(Shot(source=one, variant=variant, key="k", seed=1)) for one in sources}
    assert len(names) == 4
    assert {one.sha256 for one in sources} == {fetched.sha256}
