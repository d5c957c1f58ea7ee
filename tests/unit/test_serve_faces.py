"""Faces are blurred before anything else sees a photo, under keys of their own, or the photo is not used."""

import asyncio
import io
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.registry.sources import WeightsError
from serve.catalog.catalog import Catalog
from serve.catalog.loader import load_catalog
from serve.edition import Edition
from serve.equipment import equip
from serve.errors import FaceBlurFailed, ServeError
from serve.images.provenance import read_provenance
from serve.interfaces import Picture
from serve.policy.check import PolicyCheck
from serve.policy.rules import Policy
from serve.privacy import faces as faces_module
from serve.privacy.faces import FaceBlur, load_face_blur
from serve.schemas.exchange import EnrichItem
from serve.schemas.outcome import Outcome
from serve.schemas.result import ListingResult, ModelRef
from serve.settings import ServeSettings
from tests.support.faces import SKIN, drawn_face
from tests.support.small_studio import SmallStudio, item, small_catalog, small_studio


def as_png(picture: Picture) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()


PHOTOS: dict[str, bytes | ServeError] = {
    "face": as_png(drawn_face()),
    "plain": as_png(np.full((80, 80, 3), 90, np.uint8)),
}


@dataclass
class Painter:
    """A `FaceBlur` that paints everything black and says that it found two faces; or fails."""

    version: str = "1"
    error: ServeError | None = None
    seen: list[tuple[int, ...]] = field(default_factory=list)

    @property
    def model(self) -> ModelRef:
        return ModelRef(name="painter", version=self.version)

    def blur(self, picture: Picture) -> tuple[Picture, int]:
        self.seen.append(picture.shape)
        if self.error is not None:
            raise self.error
        return np.zeros_like(picture), 2


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[SmallStudio]:
    with small_studio(PHOTOS, tmp_path) as built:
        yield built


def adopt(studio: SmallStudio, catalog: Catalog, faces: FaceBlur | None) -> None:
    studio.editions.swap(Edition(catalog, (studio.paint, studio.judge), faces))


def by_recipe() -> Catalog:
    catalog = small_catalog()
    recipes = {name: recipe.model_copy(update={"blur_faces": True}) for name, recipe in catalog.recipes.items()}
    return replace(catalog, recipes=recipes)


def by_channel(name: str = "google") -> Catalog:
    catalog = small_catalog()
    asking = catalog.channels[name].model_copy(update={"blur_faces": True})
    return replace(catalog, channels={**catalog.channels, name: asking})


def by_policy(**fields: object) -> Catalog:
    return replace(small_catalog(), policy=PolicyCheck(Policy.model_validate({"version": 1, **fields})))


def run(studio: SmallStudio, event: EnrichItem) -> ListingResult:
    return asyncio.run(studio.pipeline.answer(event))


def brightness(studio: SmallStudio, result: ListingResult) -> list[float]:
    return [float(np.asarray(Image.open(io.BytesIO(studio.store.get(output.key)))).mean()) for output in result.outputs]


def test_every_image_is_made_of_the_blurred_photo_and_says_how_many_faces_there_were(studio: SmallStudio) -> None:
    open_faced = run(studio, item("face"))
    adopt(studio, by_recipe(), Painter())
    result = run(studio, item("face", offset=1, revision=2))
    assert max(brightness(studio, result)) < 10 < min(brightness(studio, open_faced))
    for output in result.outputs:
        assert output.faces_blurred == 2
        assert output.models[-1] == ModelRef(name="painter", version="1")
        provenance = read_provenance(studio.store.get(output.key))
        assert provenance is not None
        assert ModelRef(name="painter", version="1") in provenance.models
    assert all(output.faces_blurred is None for output in open_faced.outputs)
    assert {one.key for one in result.outputs}.isdisjoint(one.key for one in open_faced.outputs)
    assert "faces" in result.timings_ms


def test_a_photo_is_blurred_once_and_known_images_are_used_again(studio: SmallStudio) -> None:
    painter = Painter()
    adopt(studio, by_recipe(), painter)
    first = run(studio, item("face"))
    again = run(studio, item("face", offset=1, revision=2))
    assert painter.seen == [(240, 240, 3)]
    assert [one.faces_blurred for one in again.outputs] == [2, 2]
    assert [one.key for one in again.outputs] == [one.key for one in first.outputs]
    adopt(studio, by_recipe(), Painter(version="2"))
    assert {one.key for one in run(studio, item("face", offset=2, revision=3)).outputs}.isdisjoint(
        one.key for one in first.outputs
    )


def test_channels_and_tenants_ask_for_it_where_they_are_concerned(studio: SmallStudio) -> None:
    adopt(studio, by_channel("shopify"), Painter())
    bound = run(studio, item("face", offset=1, listing_id="L1", destination_profiles=["shopify"]))
    unbound = run(studio, item("face", offset=2, listing_id="L2"))
    assert [one.faces_blurred for one in (*bound.outputs, *unbound.outputs)] == [2, 2, None, None]
    by_variant = run(studio, item("face", offset=3, listing_id="L3", recipe="shop"))
    assert [one.faces_blurred for one in by_variant.outputs] == [2]
    adopt(studio, by_policy(blur_faces=True, tenants={"shy": {}, "bold": {"blur_faces": False}}), Painter())
    shy = run(studio, item("face", offset=4, tenant_id="shy"))
    bold = run(studio, item("face", offset=5, tenant_id="bold"))
    assert {one.faces_blurred for one in shy.outputs} == {2}
    assert {one.faces_blurred for one in bold.outputs} == {None}


@pytest.mark.parametrize("faces", [None, Painter(error=FaceBlurFailed())])
def test_a_photo_is_never_used_with_faces_where_they_cannot_be_blurred(
    studio: SmallStudio, faces: FaceBlur | None
) -> None:
    adopt(studio, by_recipe(), faces)
    with pytest.raises(FaceBlurFailed):
        run(studio, item("face"))
    result = run(studio, item("face", final=True))
    assert (result.outcome, result.code, result.outputs) == (Outcome.FAILED, "face_blur_failed", [])
    assert {error.stage for error in result.errors} == {"faces"}
    assert studio.paint.batches == []


def test_previews_are_blurred_as_well(studio: SmallStudio) -> None:
    adopt(studio, by_recipe(), Painter())
    body = PHOTOS["face"]
    assert isinstance(body, bytes)
    answer = asyncio.run(studio.previewer.preview(body, "pair", []))
    assert all(image.data_url for image in answer.images)
    adopt(studio, by_recipe(), None)
    with pytest.raises(FaceBlurFailed):
        asyncio.run(studio.previewer.preview(body, "pair", []))


def test_the_face_itself_is_hidden_in_what_is_stored(studio: SmallStudio) -> None:
    adopt(studio, by_recipe(), load_face_blur(None, least_score=0.4, limit_s=30))
    result = run(studio, item("face", "plain"))
    assert [one.faces_blurred for one in result.outputs] == [1, 1, 0, 0]
    real = load_face_blur(None, least_score=0.4, limit_s=30)
    blurred, count = real.blur(drawn_face())
    assert (count, real.blur(blurred)[1]) == (1, 0)
    assert real.model.name == "centerface"
    eyes = drawn_face()[100:110, 100:140].astype(int)
    assert np.abs(eyes - SKIN).max() > 150 > np.abs(blurred[100:110, 100:140].astype(int) - SKIN).max()


@pytest.fixture
def without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> None:
        raise faces_module.PackageNotFoundError

    monkeypatch.setattr(faces_module, "files", missing)


def asking_folder(folder: Path) -> Path:
    (folder / "policy.yaml").write_text("version: 1\nblur_faces: true\n")
    return folder


@pytest.mark.usefixtures("without_the_extra")
def test_an_edition_that_must_blur_and_cannot_is_not_built(tmp_path: Path) -> None:
    settings = ServeSettings(cutout="grabcut", judge_photos=False)
    assert equip(settings).faces is None, "nothing asks for it"
    asking = settings.model_copy(update={"catalog_dir": asking_folder(tmp_path)})
    with pytest.raises(WeightsError, match=r"vitrine\[faces\]"):
        equip(asking)


def test_an_edition_that_must_blur_can_and_its_weights_may_be_others(tmp_path: Path) -> None:
    settings = ServeSettings(cutout="grabcut", judge_photos=False, catalog_dir=asking_folder(tmp_path))
    edition = equip(settings)
    assert edition.faces is not None
    assert edition.faces.model.name == "centerface"
    stricter = equip(settings.model_copy(update={"face_score": 0.7}))
    assert stricter.faces is not None
    assert stricter.faces.model != edition.faces.model, "other faces are found, so the keys differ"
    for place in (tmp_path / "none.onnx", tmp_path):
        with pytest.raises(WeightsError):
            equip(settings.model_copy(update={"face_weights": place}))
    (tmp_path / "broken.onnx").write_bytes(b"broken")
    with pytest.raises(WeightsError, match="CenterFace"):
        equip(settings.model_copy(update={"face_weights": tmp_path / "broken.onnx"}))


def test_nothing_built_in_asks_for_faces_to_be_blurred() -> None:
    assert not load_catalog().may_blur_faces
    assert by_recipe().may_blur_faces
    assert by_channel().may_blur_faces
    assert by_policy(tenants={"acme": {"blur_faces": True}}).may_blur_faces


def test_a_search_that_breaks_is_an_error_of_the_photo(caplog: pytest.LogCaptureFixture) -> None:
    blur = load_face_blur(None, least_score=0.5, limit_s=30)
    with caplog.at_level(logging.DEBUG), pytest.raises(FaceBlurFailed):
        blur.blur(np.zeros((0, 0, 3), np.uint8))
