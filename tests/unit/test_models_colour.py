"""Colour spaces and CIEDE2000, against published values."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from models.colour import delta_e_2000, from_lab, lab_of, linear_to_srgb, parse_hex, srgb_to_linear, to_lab

# L1 a1 b1 L2 a2 b2 dE: Sharma, Wu, Dalal 2005, table 1, all 34 pairs.
SHARMA = """
50.0000 2.6772 -79.7751 50.0000 0.0000 -82.7485 2.0425
50.0000 3.1571 -77.2803 50.0000 0.0000 -82.7485 2.8615
50.0000 2.8361 -74.0200 50.0000 0.0000 -82.7485 3.4412
50.0000 -1.3802 -84.2814 50.0000 0.0000 -82.7485 1.0000
50.0000 -1.1848 -84.8006 50.0000 0.0000 -82.7485 1.0000
50.0000 -0.9009 -85.5211 50.0000 0.0000 -82.7485 1.0000
50.0000 0.0000 0.0000 50.0000 -1.0000 2.0000 2.3669
50.0000 -1.0000 2.0000 50.0000 0.0000 0.0000 2.3669
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0009 7.1792
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0010 7.1792
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0011 7.2195
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0012 7.2195
50.0000 -0.0010 2.4900 50.0000 0.0009 -2.4900 4.8045
50.0000 -0.0010 2.4900 50.0000 0.0010 -2.4900 4.8045
50.0000 -0.0010 2.4900 50.0000 0.0011 -2.4900 4.7461
50.0000 2.5000 0.0000 50.0000 0.0000 -2.5000 4.3065
50.0000 2.5000 0.0000 73.0000 25.0000 -18.0000 27.1492
50.0000 2.5000 0.0000 61.0000 -5.0000 29.0000 22.8977
50.0000 2.5000 0.0000 56.0000 -27.0000 -3.0000 31.9030
50.0000 2.5000 0.0000 58.0000 24.0000 15.0000 19.4535
50.0000 2.5000 0.0000 50.0000 3.1736 0.5854 1.0000
50.0000 2.5000 0.0000 50.0000 3.2972 0.0000 1.0000
50.0000 2.5000 0.0000 50.0000 1.8634 0.5757 1.0000
50.0000 2.5000 0.0000 50.0000 3.2592 0.3350 1.0000
60.2574 -34.0099 36.2677 60.4626 -34.1751 39.4387 1.2644
63.0109 -31.0961 -5.8663 62.8187 -29.7946 -4.0864 1.2630
61.2901 3.7196 -5.3901 61.4292 2.2480 -4.9620 1.8731
35.0831 -44.1164 3.7933 35.0232 -40.0716 1.5901 1.8645
22.7233 20.0904 -46.6940 23.0331 14.9730 -42.5619 2.0373
36.4612 47.8580 18.3852 36.2715 50.5065 21.2231 1.4146
90.8027 -2.0831 1.4410 91.1528 -1.6435 0.0447 1.4441
90.9257 -0.5406 -0.9208 88.6381 -0.8985 -0.7239 1.5381
6.7747 -0.2908 -2.4247 5.8714 -0.0985 -2.2286 0.6377
2.0776 0.0795 -1.1350 0.9033 -0.0636 -0.5514 0.9082
"""
LAB = st.tuples(st.floats(0, 100), st.floats(-120, 120), st.floats(-120, 120))


def test_ciede2000_gives_the_published_values() -> None:
    rows = np.array([[float(word) for word in line.split()] for line in SHARMA.strip().splitlines()])
    assert rows.shape == (34, 7)
    for first, second in ((rows[:, :3], rows[:, 3:6]), (rows[:, 3:6], rows[:, :3])):
        np.testing.assert_allclose(delta_e_2000(first, second), rows[:, 6], atol=1e-4)


@given(LAB, LAB)
def test_ciede2000_is_a_symmetric_difference(first: tuple[float, ...], second: tuple[float, ...]) -> None:
    one, two = np.array(first), np.array(second)
    # The formula jumps where two hues lie exactly opposite, so rounding alone may tell the two directions apart.
    apart = abs(np.degrees(np.arctan2(one[2], one[1]) - np.arctan2(two[2], two[1]))) % 360
    assume(abs(apart - 180) > 1)
    there, back = float(delta_e_2000(one, two)), float(delta_e_2000(two, one))
    assert there >= 0
    assert there == pytest.approx(back, abs=1e-3)
    assert float(delta_e_2000(one, one)) == 0


def test_known_colours_in_lab() -> None:
    np.testing.assert_allclose(lab_of((255, 255, 255)), [100, 0, 0], atol=0.1)
    np.testing.assert_allclose(lab_of((0, 0, 0)), [0, 0, 0], atol=0.1)
    np.testing.assert_allclose(lab_of((255, 0, 0)), [53.24, 80.09, 67.20], atol=0.3)


def test_lab_and_linear_light_there_and_back() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    assert np.abs(from_lab(to_lab(picture)).astype(int) - picture).max() <= 1
    values = np.linspace(0, 1, 256, dtype=np.float32)
    np.testing.assert_allclose(linear_to_srgb(srgb_to_linear(values)), values, atol=1e-5)
    assert float(srgb_to_linear(np.float32([0.5]))[0]) == pytest.approx(0.21404, abs=1e-4)


@given(st.tuples(*[st.integers(0, 255)] * 3))
def test_hex_there_and_back(colour: tuple[int, int, int]) -> None:
    assert parse_hex("#{:02x}{:02X}{:02x}".format(*colour)) == colour


@pytest.mark.parametrize("text", ["", "#fff", "#12345g", "##123456", "#1234567"])
def test_no_colour_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a hex colour"):
        parse_hex(text)
