"""What somebody laid over a picture, by plain formulas: a watermark all over it, a drawn frame; and what is behind it.

A watermark over everything is the same small mark again and again. So the picture's fine structure, with its contrast
evened out, is compared with itself: where it repeats after one certain step, and not after steps a little beside it,
the likeness has a sharp peak. Weaves and stripes repeat as well, but with shorter steps, or along a line. A low peak
counts too if every quarter of the frame has it at the same step: no product does that.
"""

import cv2
import numpy as np

from models.pictures import Floats, Picture

#: Above this score a picture is suspected; models/README.md has what it finds and how often it is wrong.
WATERMARK_SUSPECTED = 0.65
#: Long side at which marks are sought, and the shortest step between them, px at that side.
_SIDE, _STEP = 640, 26
#: Heights of a peak of the whole frame, and of one that all quarters share, at which the score is 0.5.
_PEAK, _SHARED_PEAK = 0.14, 0.036
#: A peak stands above everything on a ring of this radius around it, px.
_OUTER, _INNER = 9, 6
#: A frame is flat to this spread, in levels, and this far from what it encloses.
_FLAT, _APART = 4.0, 12.0


def watermark_of(picture: Picture) -> float:
    """How much the picture looks like one with a watermark all over it, 0..1; suspected above `WATERMARK_SUSPECTED`.

    0 for pictures under 128 px a side.
    """
    if min(picture.shape[:2]) < 128:
        return 0.0
    fine = _fine(picture)
    height, width = fine.shape[0] // 2, fine.shape[1] // 2
    quarters = [_peaks(fine[y : y + height, x : x + width]) for y in (0, height) for x in (0, width)]
    shared = np.min([cv2.dilate(one, np.ones((5, 5), np.uint8)) for one in quarters], axis=0)
    score = max(float(_peaks(fine).max()) / _PEAK, float(shared.max()) / _SHARED_PEAK) / 2
    return round(min(1.0, score), 4)


def border_of(picture: Picture) -> float:
    """Width of a drawn frame around the picture as a share of its shorter side; 0 without one.

    A frame is flat, as wide on all four sides, and ends at a straight edge along each of them.
    """
    short = min(picture.shape[:2])
    values = picture.astype(np.float32)
    edge = np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])
    colour = np.median(edge, axis=0)
    if float(np.abs(edge - colour).max(-1).mean()) > _FLAT:
        return 0.0
    off = np.abs(values - colour).max(-1) > _APART
    for width in range(1, short // 5):
        sides = (off[width, width:-width], off[-1 - width, width:-width], off[width:-width, width])
        shares = [float(side.mean()) for side in (*sides, off[width:-width, -1 - width])]
        if max(shares) > 0.05:
            return round(width / short, 4) if min(shares) > 0.9 else 0.0
    return 0.0


def whiteness_of(picture: Picture) -> float:
    """Share of the frame's outermost pixels that are pure white."""
    edge = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    return round(float((edge == 255).all(-1).mean()), 4)


def _fine(picture: Picture) -> Floats:
    """Fine structure, as strong on a flat wall as on the product's outline."""
    scale = min(1.0, _SIDE / max(picture.shape[:2]))
    size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
    grey = cv2.cvtColor(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY).astype(np.float32)
    fine = grey - cv2.GaussianBlur(grey, (0, 0), 5.0)
    strength = np.sqrt(cv2.GaussianBlur(fine * fine, (0, 0), 10.0))
    return np.asarray(np.clip(fine / (strength + 2), -2, 2), dtype=np.float32)


def _peaks(fine: Floats) -> Floats:
    """How far the likeness of the structure with itself stands out at each step `[down, across]`."""
    height, width = fine.shape
    size = (cv2.getOptimalDFTSize(2 * height), cv2.getOptimalDFTSize(2 * width))
    padded = np.zeros(size, np.float32)
    padded[:height, :width] = fine - fine.mean()
    spectrum = cv2.dft(padded)
    power = cv2.mulSpectrums(spectrum, spectrum, 0, conjB=True)
    whole = cv2.dft(power, flags=cv2.DFT_INVERSE | cv2.DFT_SCALE)
    if whole[0, 0] < 1e-3 * height * width:
        return np.zeros((height, 2 * width - 1), np.float32)
    # Half of all steps: the other half is the same turned around.
    alike = np.concatenate([whole[:height, 1 - width :], whole[:height, :width]], axis=1)
    down, across = np.arange(height)[:, None], np.abs(np.arange(1 - width, width))[None]
    overlap = (height - down) * (width - across) / (height * width)
    share = np.where(overlap > 0.15, alike / whole[0, 0] / np.maximum(overlap, 0.15), 0).astype(np.float32)
    peaks = share - np.maximum(cv2.dilate(share, _RING), 0)
    peaks[np.hypot(down, across) < _STEP] = 0
    return np.asarray(np.maximum(peaks, 0), dtype=np.float32)


def _ring() -> Picture:
    down, across = np.mgrid[-_OUTER : _OUTER + 1, -_OUTER : _OUTER + 1]
    far = np.hypot(down, across)
    return np.asarray((far <= _OUTER + 0.5) & (far > _INNER + 0.5), dtype=np.uint8)


_RING = _ring()
