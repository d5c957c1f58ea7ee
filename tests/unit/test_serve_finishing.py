"""The final file: every mark in every format, in one order, and nothing leaves that cannot be read back."""

import io
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from serve.catalog.marks import NO_MARKS, Marks
from serve.errors import OutputTooLarge, StageFailed
from serve.images import finishing
from serve.images.credentials import Signer, read_credentials
from serve.images.decoding import decode
from serve.images.encoding import encode
from serve.images.finishing import Finisher
from serve.images.label import LEAST_CONTRAST, label_contrast
from serve.images.provenance import Provenance, read_provenance
from serve.images.rights import SourceRights
from serve.images.watermark import payload_of, read_watermark
from serve.interfaces import FetchedBytes, Picture
from serve.schemas.result import ModelRef
from tests.support.certificates import chain

FORMATS = ["jpeg", "png", "webp", "avif"]
PROVENANCE = Provenance(
    digital_source_type="compositeWithTrainedAlgorithmicMedia",
    models=(ModelRef(name="style", version="2"),),
    seed=3,
    key="shop/abcdef.jpg",
)
PIXEL_MARKS = Marks(label=("AI生成", ""), aigc_producer="影棚", watermark="code")
ALL = replace(PIXEL_MARKS, c2pa="signer")


@pytest.fixture(scope="module")
def photo() -> Picture:
    rng = np.random.default_rng(1)
    coarse = cv2.resize(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8), (480, 440), interpolation=cv2.INTER_CUBIC)
    return np.clip(coarse + rng.normal(0, 4, (440, 480, 1)), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def finisher() -> Finisher:
    pytest.importorskip("c2pa", reason="the extra `c2pa` is not installed")
    return Finisher(signer=Signer(chain().certificates, chain().key), secret=b"tests")


@pytest.mark.parametrize("name", FORMATS)
def test_all_marks_stand_in_the_final_bytes(name: str, finisher: Finisher, photo: Picture) -> None:
    encoded = finisher.finish(photo, name, PROVENANCE, ALL)
    told = read_provenance(encoded.body)
    assert told is not None
    assert told.digital_source_type == PROVENANCE.digital_source_type
    assert told.aigc is not None
    assert list(told.aigc.fields().values()) == ["1", "影棚", "shop/abcdef.jpg", "", "", "", ""]
    assert (told.label, told.watermark) == ("AI生成", payload_of(PROVENANCE.key))
    pixels = decode(FetchedBytes(body=encoded.body, sha256=""), "x").pixels
    assert label_contrast(pixels, "AI生成") >= LEAST_CONTRAST
    mark = read_watermark(pixels, b"tests")
    assert mark is not None
    assert mark.payload == payload_of(PROVENANCE.key)
    manifest = read_credentials(encoded.body, f"image/{name}")
    assert manifest is not None
    assert manifest.valid
    assert (encoded.width, encoded.height) == (480, 440)


@pytest.mark.parametrize("name", FORMATS)
def test_without_marks_the_file_is_what_it_was(name: str, photo: Picture) -> None:
    assert Finisher().finish(photo, name, PROVENANCE, NO_MARKS).body == encode(photo, name, PROVENANCE).body


@pytest.mark.parametrize("name", FORMATS)
def test_marks_without_a_signature_give_the_same_bytes_twice(name: str, photo: Picture) -> None:
    first, again = (Finisher().finish(photo.copy(), name, PROVENANCE, PIXEL_MARKS) for _ in range(2))
    assert first.sha256 == again.sha256


def test_the_steps_have_one_order(finisher: Finisher, photo: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []

    def noted(name: str, work: Any) -> Any:
        def step(*args: Any, **kwargs: Any) -> Any:
            steps.append(name)
            return work(*args, **kwargs)

        return step

    for name in ("draw_label", "embed", "encode", "read_provenance", "read_credentials"):
        monkeypatch.setattr(finishing, name, noted(name, getattr(finishing, name)))
    monkeypatch.setattr(Signer, "sign", noted("sign", Signer.sign))
    finisher.finish(photo, "jpeg", PROVENANCE, ALL)
    assert steps == ["draw_label", "embed", "encode", "sign", "read_provenance", "read_credentials"]


def _resaved(body: bytes) -> bytes:
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(body)) as image:
        image.save(buffer, image.format)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("loses", "told"),
    [
        ("xmp", "provenance"),
        ("manifest", "manifest .* is missing"),
        ("signature", "manifest .* is not valid: assertion|signed manifest"),
        ("watermark", "watermark"),
        ("label", "label"),
        ("source type", "provenance"),
    ],
)
def test_a_file_that_lost_a_mark_never_leaves(
    loses: str, told: str, finisher: Finisher, photo: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken: dict[str, tuple[object, str, Any]] = {
        "xmp": (Signer, "sign", lambda _, body, *__: _resaved(body)),
        "manifest": (Signer, "sign", lambda _, body, *__: body),
        "signature": (Signer, "sign", _tampered(Signer.sign)),
        "watermark": (finishing, "embed", lambda pixels, *_: pixels),
        "label": (finishing, "draw_label", lambda pixels, *_: pixels),
        "source type": (finishing, "encode", _with_another_type),
    }
    where, name, work = broken[loses]
    monkeypatch.setattr(where, name, work)
    with pytest.raises(StageFailed, match=told):
        finisher.finish(photo, "png", PROVENANCE, ALL)


def _tampered(sign: Any) -> Any:
    def work(signer: Signer, body: bytes, *rest: Any) -> bytes:
        return bytes(sign(signer, body, *rest)) + b"tail"

    return work


def _with_another_type(pixels: Picture, name: str, provenance: Provenance, **options: Any) -> Any:
    return encode(pixels, name, replace(provenance, digital_source_type="digitalCapture"), **options)


def test_a_manifest_of_another_kind_of_picture_is_refused(
    finisher: Finisher, photo: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign = Signer.sign
    other = replace(PROVENANCE, digital_source_type="digitalCapture")
    monkeypatch.setattr(Signer, "sign", lambda self, body, kind, _: sign(self, body, kind, other))
    with pytest.raises(StageFailed, match="another digital source type"):
        finisher.finish(photo, "webp", PROVENANCE, ALL)


def test_the_byte_limit_counts_the_manifest(finisher: Finisher, photo: Picture) -> None:
    whole = len(finisher.finish(photo, "jpeg", PROVENANCE, ALL).body)
    fitted = finisher.finish(photo, "jpeg", PROVENANCE, ALL, max_bytes=whole - 1)
    assert len(fitted.body) < whole
    assert fitted.quality is not None
    assert fitted.quality < 92
    with pytest.raises(OutputTooLarge):
        finisher.finish(photo, "png", PROVENANCE, ALL, max_bytes=whole // 2)


def test_a_signature_without_a_signer_is_an_error(photo: Picture) -> None:
    with pytest.raises(StageFailed, match="no signer"):
        Finisher().finish(photo, "jpeg", PROVENANCE, Marks(c2pa="signer"))


@pytest.mark.parametrize("name", FORMATS)
def test_rights_of_the_photo_are_kept(name: str, photo: Picture) -> None:
    rights = SourceRights(
        creator=("Ana Müller", "李"),
        copyright_notice="© 2026 Ana <&>",
        credit="Agency",
        usage_terms="editorial use only",
        web_statement="https://example.com/rights",
    )
    body = Finisher().finish(photo, name, replace(PROVENANCE, rights=rights), NO_MARKS).body
    found = read_provenance(body)
    assert found is not None
    assert found.rights == rights
    for part in (b"<dc:creator>", b"<photoshop:Credit>Agency", b"<xmpRights:UsageTerms>", b"<xmpRights:WebStatement>"):
        assert part in body


@pytest.mark.parametrize("name", FORMATS)
def test_pillow_drops_the_xmp_when_it_saves_again(name: str, photo: Picture) -> None:
    """The reason why the encoder writes it and nothing follows but the signature."""
    assert read_provenance(_resaved(encode(photo, name, PROVENANCE).body)) is None
