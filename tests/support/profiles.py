"""ICC profiles made by hand, and colours in their spaces: wide gamuts, grey, and a CMYK that is a table.

Matrix profiles (ICC.1:2022, 8.3.3) from primaries and white point by way of the Bradford adaptation to D50.
"""

import struct

import numpy as np
from numpy.typing import NDArray

from serve.interfaces import Picture

_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
D50, D65 = (0.3457, 0.3585), (0.3127, 0.3290)
#: Red, green and blue primaries, white point, and the exponent of the tone curve.
SPACES: dict[str, tuple[tuple[tuple[float, float], ...], tuple[float, float], float]] = {
    "display-p3": (((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)), D65, 2.2),
    "adobe-rgb": (((0.64, 0.33), (0.21, 0.71), (0.15, 0.06)), D65, 563 / 256),
    "prophoto": (((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001)), D50, 1.8),
}
#: CIELAB (D50) of each solid ink mixture of the table, in the order of bits C, M, Y: all in the gamut of sRGB.
INKS = ((100, 0, 0), (60, -15, -35), (55, 50, 0), (35, 10, -40), (88, -4, 60), (55, -40, 20), (52, 45, 30), (30, 0, 0))
#: With black over them; no lightness at all, so that nothing is compensated for.
BLACK = (0, 0, 0)


def _xyz(chromaticity: tuple[float, float]) -> NDArray[np.float64]:
    x, y = chromaticity
    return np.array([x / y, 1.0, (1 - x - y) / y])


def to_d50(space: str) -> NDArray[np.float64]:
    """From linear values of the space to XYZ under D50."""
    primaries, white, _ = SPACES[space]
    columns = np.stack([_xyz(one) for one in primaries], axis=1)
    matrix = columns * np.linalg.solve(columns, _xyz(white))
    gains = (_BRADFORD @ _xyz(D50)) / (_BRADFORD @ _xyz(white))
    return np.linalg.inv(_BRADFORD) @ np.diag(gains) @ _BRADFORD @ matrix


def _srgb_to_d50() -> NDArray[np.float64]:
    SPACES.setdefault("srgb", (((0.64, 0.33), (0.30, 0.60), (0.15, 0.06)), D65, 2.2))
    return to_d50("srgb")


def in_space(pixels: Picture, space: str) -> Picture:
    """The numbers that mean the sRGB colours of the picture in the other space."""
    values = pixels.astype(np.float64) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    meant = linear @ (np.linalg.inv(to_d50(space)) @ _srgb_to_d50()).T
    coded: Picture = np.rint(np.clip(meant, 0, 1) ** (1 / SPACES[space][2]) * 255).astype(np.uint8)
    return coded


def srgb_of_lab(lab: tuple[int, int, int]) -> tuple[int, ...]:
    """The sRGB colour of CIELAB under D50."""
    light = (lab[0] + 16) / 116
    root = np.array([light + lab[1] / 500, light, light - lab[2] / 200])
    xyz = np.where(root > 6 / 29, root**3, 3 * (6 / 29) ** 2 * (root - 4 / 29)) * _xyz(D50)
    linear = np.clip(np.linalg.inv(_srgb_to_d50()) @ xyz, 0, 1)
    values = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return tuple(int(value) for value in np.rint(values * 255))


def rgb_profile(space: str) -> bytes:
    """A matrix profile of the space."""
    matrix, exponent = to_d50(space), SPACES[space][2]
    tags = {name: _xyz_tag(matrix[:, index]) for index, name in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))}
    tags |= {name: _curve(exponent) for name in (b"rTRC", b"gTRC", b"bTRC")}
    return _profile(b"RGB ", b"XYZ ", tags, space)


def grey_profile(exponent: float) -> bytes:
    """Grey with a tone curve of its own."""
    return _profile(b"GRAY", b"XYZ ", {b"kTRC": _curve(exponent)}, "grey")


def cmyk_profile() -> bytes:
    """Four inks as a table of two steps each: `INKS` without black, `BLACK` with it."""
    table = b""
    for index in range(16):
        cyan, magenta, yellow, black = index >> 3 & 1, index >> 2 & 1, index >> 1 & 1, index & 1
        lab = BLACK if black else INKS[cyan | magenta << 1 | yellow << 2]
        table += struct.pack(">3B", round(lab[0] * 2.55), lab[1] + 128, lab[2] + 128)
    ramp = bytes(range(256))
    identity = struct.pack(">9i", 65_536, 0, 0, 0, 65_536, 0, 0, 0, 65_536)
    lut = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + identity + ramp * 4 + table + ramp * 3
    return _profile(b"CMYK", b"Lab ", {b"A2B0": lut, b"A2B1": lut}, "inks", kind=b"prtr")


def _curve(exponent: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(exponent * 256)) + bytes(2)


def _xyz_tag(values: NDArray[np.float64]) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(value * 65_536) for value in values))


def _profile(space: bytes, connection: bytes, tags: dict[bytes, bytes], name: str, kind: bytes = b"mntr") -> bytes:
    text = name.encode() + b"\0"
    tags = {b"desc": b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(78), **tags}
    tags[b"wtpt"] = _xyz_tag(np.array([0.9642, 1.0, 0.8249]))
    table, data = struct.pack(">I", len(tags)), b""
    for tag, content in tags.items():
        padded = content + bytes(-len(content) % 4)
        table += tag + struct.pack(">II", 132 + 12 * len(tags) + len(data), len(content))
        data += padded
    body = table + data
    head = struct.pack(">I4sI4s4s4s", 128 + len(body), b"lcms", 0x02400000, kind, space, connection)
    head += struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + struct.pack(">3i", 63_190, 65_536, 54_061)
    return head + bytes(128 - len(head)) + body
