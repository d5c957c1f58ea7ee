"""Finished files are measured, whoever made them."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from models.cutout import Cutout
from models.pictures import Picture
from models.recognition.reader import NoReader, Reading, ReadingState, TextLine
from serve.errors import CorruptImage, SourceError, TooManyPixels, UnsupportedFormat
from serve.images.decoding import DecodeLimits
from serve.images.encoding import encode
from serve.images.measuring import measure
from serve.images.provenance import Provenance
from tests.support.photos import garment, huge_header


def product(size: tuple[int, int] = (200, 100), box: tuple[int, int, int, int] = (50, 10, 150, 90)) -> Image.Image:
    """A red box on white; sizes are width and height."""
    image = Image.new("RGB", size, "white")
    image.paste((150, 20, 30), box)
    return image


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


class Says:
    """A reader that has its answer ready."""

    name, version = "says", "1"

    def __init__(self, *texts: str, state: ReadingState = ReadingState.READ) -> None:
        box = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
        lines = tuple(TextLine(text=text, confidence=0.9, box=box) for text in texts)
        self._reading = Reading(state=state, lines=lines)

    def read(self, picture: Picture) -> Reading:
        return self._reading


@pytest.mark.parametrize(
    ("body", "form", "colour"),
    [
        (saved(product(), "JPEG"), "jpeg", "RGB 8"),
        (saved(product(), "PNG"), "png", "RGB 8"),
        (saved(product(), "WEBP", lossless=True), "webp", "RGB 8"),
        (saved(product(), "TIFF"), "tiff", "RGB 8"),
        (saved(product(), "BMP"), "bmp", "RGB 8"),
        (saved(product().convert("CMYK"), "JPEG"), "jpeg", "CMYK 8"),
        (saved(product().convert("L"), "PNG"), "png", "L 8"),
        (saved(product().convert("1"), "PNG"), "png", "1 1"),
        (saved(product().convert("RGBA"), "PNG"), "png", "RGBA 8"),
        (saved(Image.fromarray(np.full((50, 50), 40000, np.uint16)), "PNG"), "png", "I;16 16"),
    ],
)
def test_format_and_colour_are_those_of_the_file(body: bytes, form: str, colour: str) -> None:
    facts = measure(body)
    assert (facts.format, facts.bytes) == (form, len(body))
    assert facts.colour == colour or ((facts.colour or "").endswith(colour[-2:]) and colour.startswith("I;16"))


@pytest.mark.parametrize("quality", [30, 50, 75, 89, 90, 95, 100])
def test_the_quality_of_a_jpeg_is_read_from_its_tables(quality: int) -> None:
    assert measure(saved(product(), "JPEG", quality=quality)).jpeg_quality == quality
    assert measure(saved(product(), "PNG")).jpeg_quality is None


def test_background_and_fill_are_measured_on_plain_backgrounds() -> None:
    facts = measure(saved(product(), "PNG"))
    assert (facts.width, facts.height, facts.whiteness, facts.fill) == (200, 100, 1.0, 0.8)
    grey = Image.new("RGB", (100, 100), (250, 250, 250))
    assert measure(saved(grey, "PNG")).whiteness == 0
    assert measure(saved(grey, "PNG")).fill is None
    touching = product(box=(0, 10, 20, 90))
    assert (measure(saved(touching, "PNG")).whiteness or 0) < 0.98


def test_elsewhere_the_product_must_be_cut_out() -> None:
    noise = np.random.default_rng(1).integers(0, 255, (120, 120, 3), dtype=np.uint8)
    body = saved(Image.fromarray(noise), "PNG")

    def cutting(confidence: float) -> Callable[[Picture], Cutout]:
        alpha = np.zeros((120, 120), np.float32)
        alpha[30:90, 40:60] = 1
        return lambda _: Cutout(alpha, confidence)

    assert measure(body).fill is None
    assert measure(body, cut=cutting(0.9)).fill == 0.5
    assert measure(body, cut=cutting(0.0)).fill is None


def test_more_than_one_picture_in_a_file_is_told() -> None:
    frames = [product(), product(box=(0, 0, 10, 10))]
    moving = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    pages = saved(frames[0], "TIFF", save_all=True, append_images=frames[1:])
    assert measure(moving).animated
    assert measure(pages).animated
    assert not measure(saved(frames[0], "GIF")).animated


def test_text_is_sought_only_by_a_reader_that_can() -> None:
    body = saved(product(), "PNG")
    assert measure(body).text is None
    assert measure(body, reader=NoReader()).text is None
    assert measure(body, reader=Says(state=ReadingState.TOO_SLOW)).text is None
    # A single sign is a pattern of the ground.
    assert measure(body, reader=Says("SALE 50 %", "x")).text == 1
    assert measure(body, reader=Says()).text == 0


@pytest.mark.parametrize("form", ["jpeg", "png", "webp", "avif"])
def test_what_a_model_made_says_so_in_its_file(form: str) -> None:
    made = Provenance(digital_source_type="trainedAlgorithmicMedia", models=(), seed=1, key="k")
    encoded = encode(np.full((64, 64, 3), 200, np.uint8), form, made)
    assert measure(encoded.body).digital_source_type == "trainedAlgorithmicMedia"
    assert measure(saved(product(), "PNG")).digital_source_type == ""


@pytest.mark.parametrize(
    ("body", "error"),
    [(b"", UnsupportedFormat), (b"text", UnsupportedFormat), (garment()[:2000], CorruptImage)],
)
def test_what_is_no_picture_is_a_typed_error(body: bytes, error: type[SourceError]) -> None:
    with pytest.raises(error):
        measure(body)


def test_the_limits_of_decoding_hold() -> None:
    with pytest.raises(TooManyPixels):
        measure(huge_header())
    with pytest.raises(TooManyPixels):
        measure(saved(product(), "PNG"), limits=DecodeLimits(max_pixels=100))
    tiny = measure(saved(Image.new("RGB", (1, 1)), "PNG"))
    assert (tiny.width, tiny.height, tiny.watermark, tiny.border) == (1, 1, 0.0, 0.0)
