"""The drawn product photos."""

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from deploy.demo.products import HEIGHT, WIDTH, render
from deploy.demo.render import curves, noise
from deploy.demo.render.curves import knots
from deploy.demo.render.wardrobe import KINDS


def pixels(body: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(body)) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"), np.float32)


def test_same_seed_same_file() -> None:
    assert render(3, 1).body == render(3, 1).body


def test_another_seed_another_photo() -> None:
    assert np.abs(pixels(render(3, 1).body) - pixels(render(4, 1).body)).mean() > 5


@pytest.mark.parametrize("index", range(KINDS))
def test_every_kind_shows_a_garment(index: int) -> None:
    photo = render(11, index)
    picture = pixels(photo.body)
    assert picture.shape == (HEIGHT, WIDTH, 3)
    assert photo.title.lower().endswith(photo.kind)
    middle = picture[HEIGHT * 3 // 10 : HEIGHT * 7 // 10, WIDTH * 3 // 10 : WIDTH * 7 // 10]
    margin = picture[:, 8:40].mean((0, 1))
    apart = np.abs(middle - margin).max(axis=2) > 20
    assert apart.mean() > 0.4, "the garment does not stand out from the floor"
    assert picture.std() > 10


def test_formats_and_orientations_vary() -> None:
    files = [render(1, index) for index in (2, 5, 11)]
    opened = [Image.open(io.BytesIO(file.body)) for file in files]
    assert [image.format for image in opened] == ["JPEG", "PNG", "WEBP"]
    assert [file.content_type for file in files] == ["image/jpeg", "image/png", "image/webp"]
    turned = opened[0]
    assert turned.getexif()[0x0112] == 6
    assert turned.size == (HEIGHT, WIDTH)
    assert ImageOps.exif_transpose(turned).size == (WIDTH, HEIGHT)


def test_closed_spline_passes_its_knots() -> None:
    square = knots((0, 0, 1), (1, 0, 1), (1, 1), (0, 1))
    path = curves.spline(square, closed=True, steps=8)
    for knot in square:
        assert np.hypot(*(path - (knot.x, knot.y)).T).min() < 1e-6


def test_sharp_knots_make_straight_edges() -> None:
    path = curves.spline(knots((0, 0, 1), (1, 0, 1), (1, 1, 1)), closed=True, steps=5)
    assert np.allclose(path[:5, 1], 0)
    assert np.allclose(path[5:10, 0], 1)


@pytest.mark.parametrize("shape", [(40, 30), (120, 200)])
def test_noise_has_shape_and_range(shape: tuple[int, int]) -> None:
    field = noise.octaves(np.random.default_rng(1), shape, 5)
    assert field.shape == shape
    assert field.dtype == np.float32
    assert 0.1 < field.std() < 1
    assert np.abs(field).max() < 1.6
