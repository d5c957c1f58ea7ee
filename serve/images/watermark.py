"""An invisible mark in the pixels that outlives what strips metadata: encoding again, resizing, cropping.

A tile of 128 x 128 pixels is spread-spectrum in the middle frequencies of its DCT (after Cox et al., 1997) and repeated
over the whole picture, stronger where the picture hides it. The reader folds the picture onto one tile, so that the
mark adds up and the picture does not, finds the tile's shift by phase correlation, and needs no original. 48 bits are
written: 32 of the object key's hash and a CRC of 16; six words of a biorthogonal code (first-order Reed-Muller) carry 8
bits each.

Pixels that are pure white stay so: channels demand white backgrounds.
"""

import binascii
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from serve.interfaces import Picture

Plane = NDArray[np.float32]

TILE = 128
#: What the mark costs: peak signal-to-noise ratio in dB, first as tried, then where the mark would not hold otherwise.
LOUDNESS = (43.0, 41.0)
#: Sizes, relative to the marked picture's, at which a reader looks, the likeliest first.
SCALES = (1.0, 0.5, 0.75, 2 / 3, 0.8, 0.6, 0.9, 1.25, 1.5, 2.0)
#: From so many standard deviations on, a peak of the phase correlation is looked into.
LEAST_PEAK = 5.5
#: A fresh mark should be so strong that encoding does not cost it.
_GOOD_PEAK = 12.0
#: Peaks that are looked into at each scale.
_PEAKS = 2
_WORDS, _CHIPS, _REPEATS = 6, 128, 2
#: Share of the energy that serves to find the tile.
_SYNC_SHARE = 0.45
#: In cycles per pixel: lower frequencies are seen, higher ones do not survive a resize by half.
_BAND = (0.04, 0.24)
#: Amplitude in flat places, per unit of local contrast, and at most; in levels of 0..255.
_FLAT, _SLOPE, _MOST = 0.7, 0.1, 4.0


@dataclass(frozen=True, slots=True)
class Reading:
    """What was found in a picture."""

    #: 0..2**32-1.
    payload: int
    #: Standard deviations of the correlation's peak above its mean.
    strength: float
    #: The picture's size relative to the one that was marked.
    scale: float


@dataclass(frozen=True, slots=True)
class _Code:
    """The secret: which coefficients of the tile's DCT carry what."""

    sync: Plane
    #: Flat positions, `int [words, chips, repeats]`.
    places: NDArray[np.int64]
    #: Signs times amplitude, of the same shape.
    signs: Plane


def payload_of(key: str) -> int:
    """The 32 bits that stand for an object key."""
    return int.from_bytes(hashlib.sha256(b"vitrine watermark " + key.encode()).digest()[:4])


def embed(pixels: Picture, payload: int, secret: bytes) -> Picture:
    """A marked copy of the picture: `LOUDNESS` dB from it; the same arguments give the same pixels.

    Nobody promises that the mark holds in a picture that is small or white all over: read it back.
    """
    change = _change(pixels, payload, secret)
    energy = float(np.mean(change * change))
    marked = pixels
    for loudness in LOUDNESS:
        allowed = 255.0**2 / 10 ** (loudness / 10)
        factor = np.float32(min(1.0, (allowed / energy) ** 0.5)) if energy else np.float32(0)
        marked = np.clip(np.rint(pixels + (change * factor)[..., None]), 0, 255).astype(np.uint8)
        found = read_watermark(marked, secret, scales=(1.0,))
        if found is not None and found.payload == payload and found.strength >= _GOOD_PEAK:
            break
    return marked


def read_watermark(pixels: Picture, secret: bytes, scales: Sequence[float] = SCALES) -> Reading | None:
    """The mark of a picture, wherever it was cropped and at whichever of `scales`; None if there is none."""
    code, luma = _code(secret), _luma(pixels)
    height, width = luma.shape
    for scale in scales:
        size = (max(1, round(width / scale)), max(1, round(height / scale)))
        smaller = scale > 1
        at = luma if scale == 1 else cv2.resize(luma, size, interpolation=_AREA if smaller else _CUBIC)
        for strength, tile in _tiles(np.asarray(at, np.float32), code):
            if (payload := _decoded(tile, code)) is not None:
                return Reading(payload, round(strength, 2), scale)
    return None


_AREA, _CUBIC = cv2.INTER_AREA, cv2.INTER_CUBIC


@lru_cache(maxsize=4)
def _code(secret: bytes) -> _Code:
    seed = int.from_bytes(hashlib.sha256(b"vitrine watermark code " + secret).digest()[:16])
    rng = np.random.Generator(np.random.PCG64(seed))
    # The coefficient (u, v) is a wave of u / 2T and v / 2T cycles per pixel.
    along = np.arange(TILE) / (2 * TILE)
    radius = np.hypot(along[:, None], along[None, :])
    order = rng.permutation(np.flatnonzero((radius >= _BAND[0]) & (radius <= _BAND[1])))
    count = _WORDS * _CHIPS * _REPEATS
    carriers, rest = order[:count], order[count:]
    sync = np.zeros(TILE * TILE)
    sync[rest] = rng.choice([-1, 1], len(rest)) * (_SYNC_SHARE / len(rest)) ** 0.5
    signs = rng.choice([-1, 1], count) * ((1 - _SYNC_SHARE) / count) ** 0.5
    shape = (_WORDS, _CHIPS, _REPEATS)
    return _Code(
        sync.reshape(TILE, TILE).astype(np.float32), carriers.reshape(shape), signs.reshape(shape).astype(np.float32)
    )


def _hadamard(side: int) -> Plane:
    words = np.ones((1, 1), np.float32)
    while len(words) < side:
        words = np.kron(np.array([[1, 1], [1, -1]], np.float32), words)
    return words


_CODEWORDS = _hadamard(_CHIPS)


def _protected(payload: int) -> bytes:
    body = payload.to_bytes(4)
    return body + binascii.crc_hqx(body, 0xFFFF).to_bytes(2)


def _tile(payload: int, secret: bytes) -> Plane:
    """The tile in pixels, its mean square 1."""
    code = _code(secret)
    spectrum = code.sync.ravel().copy()
    for word, byte in enumerate(_protected(payload)):
        chips = _CODEWORDS[byte & 0x7F] * (-1 if byte & 0x80 else 1)
        spectrum[code.places[word]] = chips[:, None] * code.signs[word]
    return np.asarray(cv2.idct(spectrum.reshape(TILE, TILE)) * TILE, np.float32)


def _change(pixels: Picture, payload: int, secret: bytes) -> Plane:
    """What to add to each channel, before its loudness is bounded."""
    luma = _luma(pixels)
    height, width = luma.shape
    amplitude = np.minimum(_FLAT + _SLOPE * _contrast(luma), _MOST)
    amplitude[np.all(pixels == 255, axis=2)] = 0
    rows, columns = -(-height // TILE), -(-width // TILE)
    return np.asarray(amplitude * np.tile(_tile(payload, secret), (rows, columns))[:height, :width], np.float32)


def _luma(pixels: Picture) -> Plane:
    return cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)


def _contrast(luma: Plane) -> Plane:
    """Standard deviation in a window of 9 x 9."""
    mean, square = cv2.blur(luma, (9, 9)), cv2.blur(luma * luma, (9, 9))
    return np.sqrt(np.maximum(square - mean * mean, 0)).astype(np.float32)


def _tiles(luma: Plane, code: _Code) -> Iterator[tuple[float, Plane]]:
    """The folded picture, rolled to where the tile may begin, with the strength of that guess; the likeliest first."""
    spectrum = np.fft.fft2(_folded(luma))
    # Phases alone: else the weave of a fabric outshouts the mark.
    spectrum /= np.abs(spectrum) + 1e-6
    match = np.fft.ifft2(spectrum * np.conj(np.fft.fft2(cv2.idct(code.sync)))).real
    deviation = float(match.std())
    if deviation == 0:
        return
    match = (match - match.mean()) / deviation
    phases = np.fft.ifft2(spectrum).real.astype(np.float32)
    for place in np.argpartition(match.ravel(), -_PEAKS)[-_PEAKS:][::-1]:
        strength = float(match.flat[place])
        if strength >= LEAST_PEAK:
            yield strength, np.roll(phases, (-(int(place) // TILE), -(int(place) % TILE)), (0, 1))


def _folded(luma: Plane) -> Plane:
    """The sum of all tiles of the picture, after what is smooth or loud in it was taken down."""
    fine = (luma - cv2.GaussianBlur(luma, (0, 0), 3.0)) / (_contrast(luma) + 2.0)
    rows, columns = -(-luma.shape[0] // TILE), -(-luma.shape[1] // TILE)
    whole = np.zeros((rows * TILE, columns * TILE), np.float32)
    whole[: luma.shape[0], : luma.shape[1]] = fine
    return np.asarray(whole.reshape(rows, TILE, columns, TILE).sum((0, 2)), np.float32)


def _decoded(tile: Plane, code: _Code) -> int | None:
    """The payload, if its CRC fits."""
    spectrum = np.asarray(cv2.dct(tile)).ravel()
    found = bytearray()
    for word in range(_WORDS):
        match = _CODEWORDS @ (spectrum[code.places[word]] * code.signs[word]).sum(1)
        best = int(np.argmax(np.abs(match)))
        found.append(best | (0x80 if match[best] < 0 else 0))
    payload = int.from_bytes(found[:4])
    return payload if _protected(payload) == bytes(found) else None
