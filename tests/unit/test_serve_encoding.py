"""Encoding: colours, provenance and profile in the final bytes, nothing else, and the byte limit."""

import hashlib
import io

import numpy as np
import pytest
from PIL import Image, ImageCms, JpegImagePlugin

from serve.errors import OutputTooLarge, StageFailed
from serve.images.decoding import decode
from serve.images.encoding import MIN_QUALITY, SRGB_PROFILE, encode, suffix_of
from serve.images.provenance import Provenance, read_provenance
from serve.interfaces import FetchedBytes, Picture
from serve.schemas.result import ModelRef
from tests.support.pictures import PATCHES, centres, furthest, patches

FORMATS = {"jpeg": ".jpg", "png": ".png", "webp": ".webp", "avif": ".avif"}
PROVENANCE = Provenance(
    digital_source_type="compositeWithTrainedAlgorithmicMedia",
    models=(ModelRef(name="grabcut <1> & more", version="1"), ModelRef(name="Stil-Übertragung", version="2")),
    seed=2**64 - 1,
    key="shop/ab/cd.jpg",
)


@pytest.fixture(scope="module")
def photo() -> Picture:
    """Something between flat and noise, so that sizes depend on quality."""
    rng = np.random.default_rng(3)
    small = Image.fromarray(rng.integers(0, 255, (12, 16, 3), dtype=np.uint8)).resize(
        (320, 240), Image.Resampling.BICUBIC
    )
    noisy = np.asarray(small).astype(int) + rng.integers(-6, 7, (240, 320, 3))
    return np.clip(noisy, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("name", FORMATS)
def test_files_are_what_they_say(name: str, photo: Picture) -> None:
    encoded = encode(photo, name, PROVENANCE)
    assert (encoded.content_type, encoded.suffix) == (f"image/{name}", FORMATS[name])
    assert encoded.suffix == suffix_of(name)
    assert (encoded.width, encoded.height) == (320, 240)
    assert encoded.sha256 == hashlib.sha256(encoded.body).hexdigest()
    with Image.open(io.BytesIO(encoded.body)) as image:
        assert image.format == name.upper()
        assert image.size == (320, 240)
        assert image.info["icc_profile"] == SRGB_PROFILE


@pytest.mark.parametrize("name", FORMATS)
def test_colours_survive(name: str) -> None:
    body = encode(patches(), name, PROVENANCE).body
    image = decode(FetchedBytes(body=body, sha256=""), "x")
    assert furthest(centres(image.pixels), list(PATCHES)) <= (0 if name == "png" else 8)
    assert image.flags == ()


def test_noise_that_needs_more_than_a_byte_per_pixel_is_encoded_too() -> None:
    noise = np.random.default_rng(5).integers(0, 256, (400, 600, 3), dtype=np.uint8)
    body = encode(noise, "jpeg", PROVENANCE, quality=94).body
    assert len(body) > 600 * 400
    assert decode(FetchedBytes(body=body, sha256=""), "x").pixels.shape == (400, 600, 3)


@pytest.mark.parametrize("name", FORMATS)
def test_provenance_stands_in_the_final_bytes(name: str, photo: Picture) -> None:
    assert read_provenance(encode(photo, name, PROVENANCE).body) == PROVENANCE


@pytest.mark.parametrize("name", FORMATS)
def test_nothing_else_is_carried_along(name: str, photo: Picture) -> None:
    with Image.open(io.BytesIO(encode(photo, name, PROVENANCE).body)) as image:
        image.load()
        assert not image.getexif()
        known = {"jfif", "jfif_version", "jfif_unit", "jfif_density", "icc_profile", "xmp"}
        harmless = {"loop", "background", "timestamp", "duration", "XML:com.adobe.xmp"}
        assert set(image.info) <= known | harmless
        assert "comment" not in image.info


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_picture_gives_the_same_bytes(name: str, photo: Picture) -> None:
    assert encode(photo, name, PROVENANCE).sha256 == encode(photo.copy(), name, PROVENANCE).sha256


def test_the_profile_is_srgb_with_a_fixed_date() -> None:
    profile = ImageCms.ImageCmsProfile(io.BytesIO(SRGB_PROFILE)).profile
    assert profile.profile_description.startswith("sRGB")
    assert SRGB_PROFILE[24:36] == bytes.fromhex("07d000010001000000000000")


@pytest.mark.parametrize(("quality", "sampling"), [(95, 0), (92, 0), (90, 0), (89, 2), (60, 2)])
def test_jpeg_keeps_full_colour_from_quality_90_on(quality: int, sampling: int, photo: Picture) -> None:
    with Image.open(io.BytesIO(encode(photo, "jpeg", PROVENANCE, quality=quality).body)) as image:
        assert JpegImagePlugin.get_sampling(image) == sampling
        assert "progressive" not in image.info


@pytest.mark.parametrize("name", ["jpeg", "webp", "avif"])
def test_the_best_quality_under_the_byte_limit_is_found(name: str, photo: Picture) -> None:
    whole = encode(photo, name, PROVENANCE)
    smallest = encode(photo, name, PROVENANCE, quality=MIN_QUALITY)
    limit = (len(whole.body) + len(smallest.body)) // 2
    fitted = encode(photo, name, PROVENANCE, max_bytes=limit)
    assert len(fitted.body) <= limit
    assert fitted.quality is not None
    assert MIN_QUALITY <= fitted.quality < 92
    assert len(encode(photo, name, PROVENANCE, quality=fitted.quality + 1).body) > limit
    assert encode(photo, name, PROVENANCE, max_bytes=len(whole.body)).sha256 == whole.sha256


@pytest.mark.parametrize("name", FORMATS)
def test_a_limit_that_cannot_be_met_is_an_error(name: str, photo: Picture) -> None:
    with pytest.raises(OutputTooLarge, match="1,000 bytes"):
        encode(photo, name, PROVENANCE, max_bytes=1000)


def test_other_formats_are_a_mistake_of_the_caller(photo: Picture) -> None:
    with pytest.raises(ValueError, match="bmp"):
        encode(photo, "bmp", PROVENANCE)


def test_a_file_that_lost_its_provenance_never_leaves(photo: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serve.images.encoding.read_provenance", lambda body: None)
    with pytest.raises(StageFailed, match="provenance"):
        encode(photo, "jpeg", PROVENANCE)
