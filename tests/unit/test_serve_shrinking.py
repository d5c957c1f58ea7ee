"""Where no quality is low enough, the picture gets smaller; never smaller than its channels take."""

import numpy as np
import pytest

from serve.errors import OutputTooLarge
from serve.images.encoding import Encoded, encode
from serve.images.provenance import Provenance
from serve.images.shrinking import LEAST_FACTOR, until_it_fits
from serve.interfaces import Picture

NOISE = np.random.default_rng(5).integers(0, 256, (400, 600, 3), dtype=np.uint8)
MADE = Provenance(digital_source_type="algorithmicallyEnhanced", models=(), seed=1, key="k")


def limited(form: str, max_bytes: int) -> Encoded:
    def at(pixels: Picture) -> Encoded:
        return encode(pixels, form, MADE, max_bytes=max_bytes)

    return until_it_fits(NOISE, at)


@pytest.mark.parametrize("form", ["jpeg", "png", "webp", "avif"])
def test_a_file_that_no_quality_brings_under_the_limit_gets_fewer_pixels(form: str) -> None:
    plain = encode(NOISE, form, MADE, quality=50)
    limit = len(plain.body) // 2
    with pytest.raises(OutputTooLarge):
        encode(NOISE, form, MADE, max_bytes=limit)
    smaller = limited(form, limit)
    assert len(smaller.body) <= limit
    assert smaller.width < 600
    assert smaller.width / smaller.height == pytest.approx(1.5, abs=0.02)


def test_what_fits_keeps_its_size() -> None:
    assert limited("jpeg", 10_000_000).width == 600


def test_the_least_size_is_kept_and_then_it_is_said() -> None:
    tried: list[int] = []

    def never(pixels: Picture) -> Encoded:
        tried.append(pixels.shape[1])
        raise OutputTooLarge

    with pytest.raises(OutputTooLarge):
        until_it_fits(NOISE, never, least_factor=0.8)
    assert (tried[0], tried[-1]) == (600, 480)
    tried.clear()
    with pytest.raises(OutputTooLarge):
        until_it_fits(NOISE, never, least_factor=0)
    assert tried[-1] == 600 * LEAST_FACTOR
    assert tried == sorted(tried, reverse=True)
    tried.clear()
    with pytest.raises(OutputTooLarge):
        until_it_fits(NOISE, never, least_factor=1)
    assert tried == [600]
