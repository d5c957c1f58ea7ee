"""Watermarks, frames and backgrounds, on pictures that were drawn for it."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from models.evaluate.__main__ import main
from models.pictures import Picture
from models.quality.overlays import WATERMARK_SUSPECTED, border_of, watermark_of, whiteness_of
from tests.support.shirts import SHIRT


def photo(seed: int, side: int = 800) -> Picture:
    """A product on an uneven wall, with grain; nothing in it repeats."""
    rng = np.random.default_rng(seed)
    height, width = side, 3 * side // 4
    wall = 180 + 25 * cv2.resize(rng.normal(0, 1, (9, 7)), (width, height), interpolation=cv2.INTER_CUBIC)
    cloth = 90 + 30 * cv2.resize(rng.normal(0, 1, (40, 30)), (width, height), interpolation=cv2.INTER_CUBIC)
    inside = np.zeros((height, width), np.uint8)
    cv2.fillPoly(inside, [np.asarray(SHIRT * (width / 300), np.int32)], 1)
    light = np.where(inside > 0, cloth, wall) + rng.normal(0, 3, (height, width))
    return np.clip(light[..., None] * [1.0, 0.9, 0.8], 0, 255).astype(np.uint8)


def watermarked(picture: Picture, *, angle: float, share: float) -> Picture:
    """The picture under a word that repeats all over it, `share` opaque."""
    height, width = picture.shape[:2]
    side = 2 * max(height, width)
    layer = Image.new("L", (side, side), 0)
    draw, font = ImageDraw.Draw(layer), ImageFont.load_default(30)
    for row, y in enumerate(range(0, side, 75)):
        for x in range(-80 * (row % 2), side, 160):
            draw.text((x, y), "SAMPLE", font=font, fill=255)
    turned = layer.rotate(angle)
    left, top = (side - width) // 2, (side - height) // 2
    marks = np.asarray(turned.crop((left, top, left + width, top + height)), dtype=np.float32)[..., None] / 255
    return np.clip(picture + (255.0 - picture) * marks * share, 0, 255).astype(np.uint8)


def striped(picture: Picture, period: int) -> Picture:
    rows = np.arange(picture.shape[0])[:, None, None]
    return np.clip(picture + 12.0 * np.sign(np.sin(2 * np.pi * rows / period)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("angle", [0, 30, -45])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_word_all_over_the_picture_is_suspected(seed: int, angle: float) -> None:
    clean = photo(seed)
    assert watermark_of(clean) < WATERMARK_SUSPECTED
    assert watermark_of(watermarked(clean, angle=angle, share=0.35)) > WATERMARK_SUSPECTED


@pytest.mark.parametrize(
    "picture",
    [
        np.full((400, 400, 3), 255, np.uint8),
        np.full((400, 300, 3), 90, np.uint8),
        np.zeros((1, 1, 3), np.uint8),
        np.random.default_rng(0).integers(0, 256, (400, 400, 3), dtype=np.uint8),
        striped(photo(2), 24),
    ],
)
def test_flat_noisy_and_striped_pictures_are_not(picture: Picture) -> None:
    assert watermark_of(picture) < WATERMARK_SUSPECTED


def test_the_command_counts_what_is_found_and_what_is_taken_for_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in range(4):
        Image.fromarray(photo(seed)).save(tmp_path / f"{seed}.png")
    assert main(["watermarks", "--images", str(tmp_path), "--limit", "3"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert (figures["n"], figures["false_positives"]) == (3, 0)
    assert figures["found"] > 0.6
    assert main(["watermarks", "--images", str(tmp_path / "none")]) == 2


def test_a_drawn_frame_is_measured_and_a_product_on_white_has_none() -> None:
    inside = photo(1)
    framed = cv2.copyMakeBorder(inside, 20, 20, 20, 20, cv2.BORDER_CONSTANT, value=(10, 10, 10))
    assert border_of(framed) == pytest.approx(20 / 640, abs=1e-3)
    assert border_of(inside) == 0
    product = np.full((400, 400, 3), 255, np.uint8)
    cv2.circle(product, (200, 200), 150, (60, 20, 20), -1)
    assert border_of(product) == 0
    # Bars above and below alone are no frame.
    bars = cv2.copyMakeBorder(inside, 40, 40, 0, 0, cv2.BORDER_CONSTANT, value=(10, 10, 10))
    assert border_of(bars) == 0
    assert border_of(np.zeros((1, 1, 3), np.uint8)) == 0


def test_white_counts_only_where_it_is_pure() -> None:
    picture = np.full((100, 100, 3), 255, np.uint8)
    assert whiteness_of(picture) == 1
    picture[:, 0] = 254
    # A column of a hundred, and its two corners again in the rows above and below.
    assert whiteness_of(picture) == 1 - 102 / 400
    assert whiteness_of(picture - 1) == 0
