"""Disclosure through the whole pipeline: a channel file of one's own, an event, and the object in the store."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from serve.catalog.catalog import Catalog
from serve.catalog.loader import load_catalog
from serve.catalog.marks import MarkPolicy
from serve.errors import MarkImpossible
from serve.images import finishing
from serve.images.credentials import Signer
from serve.images.decoding import decode
from serve.images.finishing import Finisher
from serve.images.inspection import inspect
from serve.images.provenance import read_provenance
from serve.interfaces import SourceImage
from serve.schemas.outcome import Outcome
from serve.schemas.result import ListingResult
from tests.support.certificates import chain
from tests.support.photos import garment
from tests.support.small_studio import SmallStudio, item, small_catalog, small_studio

CHINA = """
channel: china
version: 1
title: A destination in China
source: GB 45438-2025
formats: [jpeg, png, webp]
disclosure:
  visible_label: required
  label_language: zh
  implicit_aigc: true
  c2pa: true
  invisible_watermark: true
"""
RECIPE = """
recipe: drawn
version: 1
description: a drawing and a plain one
variants:
  - {name: drawn, operations: [{op: studio}, {op: style, style: oil}], size: [520, 520], channels: [china]}
  - {name: plain, operations: [{op: studio, background: "#d0d0d0"}], size: [520, 520], channels: [china]}
"""
PHOTOS = {"a": garment((200, 30, 30), 1)}


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    for folder, name, text in (("channels", "china", CHINA), ("recipes", "drawn", RECIPE)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    loaded = load_catalog(tmp_path)
    small = small_catalog()
    return replace(small, recipes={**small.recipes, "drawn": loaded.recipes["drawn"]}, channels=loaded.channels)


@pytest.fixture
def finisher() -> Finisher:
    pytest.importorskip("c2pa", reason="the extra `c2pa` is not installed")
    signer = Signer(chain().certificates, chain().key)
    policy = MarkPolicy(aigc_producer="Studio 1", signer=signer.fingerprint, watermark_code="code")
    return Finisher(policy=policy, signer=signer, secret=b"tests")


def run(studio: SmallStudio, **changes: object) -> ListingResult:
    return asyncio.run(studio.pipeline.answer(item("a", recipe="drawn", **changes)))


def test_an_event_for_china_gets_every_mark(tmp_path: Path, catalog: Catalog, finisher: Finisher) -> None:
    with small_studio(PHOTOS, tmp_path, catalog=catalog, finisher=finisher) as studio:
        result = run(studio, locale="en-US")
        assert result.outcome is Outcome.ENRICHED
        outputs = {output.variant: output for output in result.outputs}
        assert outputs["drawn"].marks == ["label", "aigc", "watermark", "c2pa"]
        # A photo on a plain ground is no picture of a model: signed and watermarked, not labelled.
        assert outputs["plain"].marks == ["watermark", "c2pa"]
        found = {name: inspect(studio.store.get(one.key), secret=b"tests") for name, one in outputs.items()}
    drawn, plain = found["drawn"], found["plain"]
    assert drawn is not None
    assert plain is not None
    assert (drawn.source_type, plain.source_type) == ("compositeWithTrainedAlgorithmicMedia", "algorithmicallyEnhanced")
    assert drawn.aigc is not None
    assert drawn.aigc.produce_id == outputs["drawn"].key
    assert drawn.label_stands_out
    assert drawn.provenance is not None
    assert drawn.provenance.label == "AI生成"
    assert drawn.watermark_fits
    assert drawn.credentials is not None
    assert drawn.credentials.valid
    assert (plain.aigc, plain.label_stands_out, plain.watermark_fits) == (None, None, True)
    assert drawn.leftovers == plain.leftovers == ()


def test_the_same_event_again_makes_nothing(tmp_path: Path, catalog: Catalog, finisher: Finisher) -> None:
    """Signed files differ at each signing; the key does not, and the first one stays."""
    with small_studio(PHOTOS, tmp_path, catalog=catalog, finisher=finisher) as studio:
        first = run(studio)
        again = run(studio, offset=1, event_id="other", listing_id="L2")
        assert [output.sha256 for output in first.outputs] == [output.sha256 for output in again.outputs]
        assert all(output.reused for output in again.outputs)


def test_a_channel_that_forbids_text_beside_it_refuses_that_variant_alone(
    tmp_path: Path, catalog: Catalog, finisher: Finisher
) -> None:
    with small_studio(PHOTOS, tmp_path, catalog=catalog, finisher=finisher) as studio:
        result = run(studio, destination_profiles=["ebay"])
        assert [output.variant for output in result.outputs] == ["plain"]
        (error,) = result.errors
        assert (error.variant, error.code, error.retryable) == ("drawn", MarkImpossible.code, False)
        assert "ebay" in error.message
        assert studio.paint.batches == [["plain"]]


def test_a_preview_shows_the_refusal(tmp_path: Path, catalog: Catalog) -> None:
    with small_studio(PHOTOS, tmp_path, catalog=catalog) as studio:
        answer = asyncio.run(studio.previewer.preview(PHOTOS["a"], "drawn"))
    assert {image.variant for image in answer.images} == {"drawn", "plain"}
    assert all(image.error and "settings name no" in image.error for image in answer.images)


def test_a_mark_that_is_lost_on_the_way_stores_nothing(
    tmp_path: Path, catalog: Catalog, finisher: Finisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finishing, "embed", lambda pixels, *_: pixels)
    with small_studio(PHOTOS, tmp_path, catalog=catalog, finisher=finisher) as studio:
        result = run(studio)
        assert result.outputs == []
        assert {error.code for error in result.errors} == {"stage_failed"}
        assert studio.store._objects == {}  # type: ignore[attr-defined]


def test_a_photo_that_calls_itself_a_models_stays_one(tmp_path: Path, catalog: Catalog, finisher: Finisher) -> None:
    """A crop of a model's picture must not turn into a photo."""

    def telling(*args: Any) -> SourceImage:
        return replace(decode(*args), notices={"digital_source_type": ("trainedAlgorithmicMedia",)})

    with small_studio(PHOTOS, tmp_path, catalog=catalog, finisher=finisher, decoder=telling) as studio:
        (plain,) = [one for one in run(studio).outputs if one.variant == "plain"]
        assert plain.digital_source_type == "trainedAlgorithmicMedia"
        assert plain.marks == ["label", "aigc", "watermark", "c2pa"]
        found = inspect(studio.store.get(plain.key), secret=b"tests")
        assert found is not None
        assert (found.source_type, found.label_stands_out) == ("trainedAlgorithmicMedia", True)
        again = run(studio, offset=1, event_id="other", listing_id="L2")
        assert {one.digital_source_type for one in again.outputs} == {"trainedAlgorithmicMedia"}
        # With a channel that forbids text, nothing may be made of it.
        refused = run(studio, offset=2, event_id="third", listing_id="L3", destination_profiles=["ebay"])
        assert refused.outputs == []
        assert {(error.variant, error.code) for error in refused.errors} == {
            ("drawn", "mark_impossible"),
            ("plain", "mark_impossible"),
        }


@pytest.mark.parametrize("policy", ["strip", "keep_rights", "keep_provenance"])
def test_the_metadata_policy_decides_what_is_kept_of_the_photo(policy: Any, tmp_path: Path) -> None:
    notices = {
        "creator": ("Ana",),
        "copyright_notice": ("(c) Ana",),
        "web_statement": ("https://example.com",),
        "digital_source_type": ("digitalCapture",),
        "c2pa": ("present",),
    }

    def telling(*args: Any) -> SourceImage:
        return replace(decode(*args), notices=notices)

    finisher = Finisher(policy=MarkPolicy(metadata=policy))
    with small_studio(PHOTOS, tmp_path, finisher=finisher, decoder=telling) as studio:
        (output, _) = asyncio.run(studio.pipeline.answer(item("a"))).outputs
        body = studio.store.get(output.key)
    found = read_provenance(body)
    assert found is not None
    assert found.digital_source_type == "algorithmicallyEnhanced"
    assert (b"Ana" in body) is (policy != "strip")
    assert (found.rights is not None) is (policy != "strip")
    if found.rights is not None:
        assert (found.rights.creator, found.rights.copyright_notice) == (("Ana",), "(c) Ana")
        assert found.rights.web_statement == "https://example.com"
    kept = (output.source_sha256, "digitalCapture") if policy == "keep_provenance" else (None, None)
    assert (found.source, found.source_type) == kept
    assert output.marks == []
