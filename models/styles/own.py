"""Experimental: redraws a picture in the manner of one that the user brings, without any training.

Colours get the mean and spread of the style picture's (the idea of AdaIN: Huang and Belongie, "Arbitrary style transfer
in real-time with adaptive instance normalization", ICCV 2017, here on LAB values). Then, from coarse to fine, every
patch is replaced by the style picture's most similar one and overlapping patches are averaged, as in Kwatra, Essa,
Bobick and Kwatra, "Texture optimization for example-based synthesis" (SIGGRAPH 2005) and Elad and Milanfar, "Style
transfer via texture synthesis" (2017). At last each band of detail gets the style's contrast, after Heeger and Bergen,
"Pyramid-based texture analysis/synthesis" (SIGGRAPH 1995).

What comes out depends much on the style picture: palette and brushwork carry over, composition does not. Plain cloth of
a colour that the style hardly has may show a fine regular weave, for few patches are like it.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from models.pictures import Floats, Mask, Picture
from models.styles.blend import Where, laid
from models.styles.patches import SIDE, PatchBook, enlarged, revoted

#: Drawn at most at this long side; larger pictures get the change enlarged. Bounds time and memory.
LARGEST = 1024
#: From coarse to fine: size, as a share of the picture's; rounds of replacing; share of the picture kept in each.
_LEVELS = ((0.25, 3, 0.25), (0.5, 2, 0.2))
#: The last patches are laid twice as large, from the style at full size; so much of the picture's own detail is kept.
_KEPT = 0.25
#: A style picture needs some patches to choose from.
_SMALLEST = 64
#: How strongly the style's own strokes are sketched in at each level, and the blur that they stand out from, in px.
_SKETCH, _SKETCH_SIGMA = 0.7, 6.0
#: Paint covers fully from the inverse of this darkness on.
_COVER = np.float32(4.0)
#: Bands of detail whose contrast is matched, and how far at most.
_BANDS, _GAIN = 3, (0.7, 1.8)
#: Lightness from which on an almost grey pixel counts as background and tells nothing of the product's colours.
_WHITE = 97.0


class OwnStyle:
    """One style picture, ready to be applied. Holds no state between calls; the same input gives the same output."""

    name = "own_style"
    version = "experimental-1"

    def __init__(self, style: Picture) -> None:
        """Take a style picture `uint8 [H, W, 3]` sRGB; raise `ValueError` where it is none or smaller than 64 px."""
        _require(style, _SMALLEST)
        self._style = _lab(_fitted(style, LARGEST))
        self._mean, self._spread = _statistics(self._style)
        self._range = np.quantile(self._style.reshape(-1, 3), (0.01, 0.99), axis=0)

    def apply(self, picture: Picture, strength: float = 1.0, mask: Mask | None = None, where: Where = "all") -> Picture:
        """Redraw a picture `uint8 [H, W, 3]`; takes seconds. `strength`, `mask`, `where` as in `style_blend.laid`.

        Raise `ValueError` for anything that is no picture, and for what `laid` refuses.
        """
        _require(picture, 1)
        if strength == 0:
            return laid(picture, picture, strength, where, mask)
        height, width = picture.shape[:2]
        small = _fitted(picture, LARGEST)
        drawn = _rgb(self._drawn(_lab(small)))
        if drawn.shape != picture.shape:
            change = cv2.resize(drawn.astype(np.float32) - small, (width, height), interpolation=cv2.INTER_CUBIC)
            drawn = np.asarray(np.rint(np.clip(picture + change, 0, 255)), np.uint8)
        return laid(picture, _on_white(picture, drawn), strength, where, mask)

    def _drawn(self, picture: Floats) -> Floats:
        """LAB float32 [H, W, 3] in, redrawn out."""
        wanted = self._coloured(picture)
        size = max(picture.shape[:2]) / max(self._style.shape[:2])
        drawn = below = _scaled(wanted, _LEVELS[0][0])
        for share, rounds, kept in _LEVELS:
            content = _scaled(wanted, share)
            drawn = _resized(drawn, content) + content - _resized(below, content)
            drawn = drawn + np.float32(_SKETCH) * self._strokes(share * size, drawn.shape[:2])
            book = PatchBook(_scaled(self._style, share * size))
            for _ in range(rounds - 1):
                drawn = revoted(drawn, book)
                drawn = drawn + np.float32(kept) * (content - drawn)
            below = content
        drawn = _resized(enlarged(drawn, book, self._style), wanted)
        return self._contrasted(drawn + np.float32(_KEPT) * (wanted - drawn))

    def _strokes(self, share: float, shape: tuple[int, ...]) -> Floats:
        """The style's detail, mirrored to and fro over a picture: where that is plain, patches that were neighbours in
        the style are found again as neighbours, and none repeats itself like a grid.
        """
        style = _scaled(self._style, share)
        detail = style - cv2.GaussianBlur(style, (0, 0), _SKETCH_SIGMA)
        rows, columns = (_to_and_fro(wanted, given) for wanted, given in zip(shape, detail.shape[:2], strict=True))
        return np.asarray(detail[np.ix_(rows, columns)], np.float32)

    def _coloured(self, picture: Floats) -> Floats:
        """The picture with the style's mean and spread of colour."""
        mean, spread = _statistics(picture)
        gain = np.clip(self._spread / np.maximum(spread, 1.0), 0.4, 2.5)
        return np.asarray(np.clip((picture - mean) * gain + self._mean, *self._range), np.float32)

    def _contrasted(self, drawn: Floats) -> Floats:
        """Give each band of detail the style's contrast, as far as that is little."""
        result = drawn
        for band in range(_BANDS):
            ours, theirs = _band(drawn, band), _band(self._style, band)
            gain = np.clip(theirs.std(axis=(0, 1)) / np.maximum(ours.std(axis=(0, 1)), 1e-3), *_GAIN)
            result = result + (gain - 1).astype(np.float32) * ours
        return np.asarray(result, np.float32)


def _on_white(picture: Picture, drawn: Picture) -> Picture:
    """Paint is laid in proportion to darkness, as all styles do it here: pure white stays, a soft shadow fades out."""
    darkness = (255 - cv2.GaussianBlur(picture.min(axis=2), (0, 0), 2.0)).astype(np.float32) / 255.0
    darkness[picture.min(axis=2) == 255] = 0
    return laid(picture, drawn, 1.0, "product", np.minimum(_COVER * darkness, 1))


def _to_and_fro(count: int, given: int) -> NDArray[np.intp]:
    """Places 0..given-1 forth and back again, `count` of them."""
    turn = np.arange(count) % (2 * given)
    return np.asarray(np.where(turn < given, turn, 2 * given - 1 - turn), np.intp)


def _statistics(lab: Floats) -> tuple[Floats, Floats]:
    """Mean and standard deviation of the colours that are not bare white: float32 [3] each."""
    pixels = lab.reshape(-1, 3)
    inked = pixels[(pixels[:, 0] < _WHITE) | (np.abs(pixels[:, 1:]).max(axis=1) > 3.0)]
    pixels = inked if len(inked) > 100 else pixels
    return pixels.mean(axis=0), pixels.std(axis=0)


def _band(lab: Floats, band: int) -> Floats:
    """Detail between two blurs, the finest first."""
    fine = lab if band == 0 else cv2.GaussianBlur(lab, (0, 0), 2.0 ** (band - 1))
    return np.asarray(fine - cv2.GaussianBlur(lab, (0, 0), 2.0**band), np.float32)


def _fitted(picture: Picture, longest: int) -> Picture:
    share = longest / max(picture.shape[:2])
    if share >= 1:
        return picture
    size = (max(1, round(picture.shape[1] * share)), max(1, round(picture.shape[0] * share)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _scaled(lab: Floats, share: float) -> Floats:
    """Resized by a factor, but never smaller than a few patches."""
    height, width = (max(2 * SIDE, round(side * share)) for side in lab.shape[:2])
    how = cv2.INTER_AREA if share < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(lab, (width, height), interpolation=how), np.float32)


def _resized(lab: Floats, like: Floats) -> Floats:
    return np.asarray(cv2.resize(lab, like.shape[1::-1], interpolation=cv2.INTER_CUBIC), np.float32)


def _lab(picture: Picture) -> Floats:
    return np.asarray(cv2.cvtColor(picture.astype(np.float32) / 255.0, cv2.COLOR_RGB2LAB), np.float32)


def _rgb(lab: Floats) -> Picture:
    lab = np.stack([np.clip(lab[..., 0], 0, 100), *np.moveaxis(np.clip(lab[..., 1:], -110, 110), 2, 0)], axis=2)
    rgb = np.clip(cv2.cvtColor(lab.astype(np.float32), cv2.COLOR_LAB2RGB), 0, 1)
    return np.asarray(np.rint(rgb * 255.0), np.uint8)


def _require(picture: NDArray[np.uint8], smallest: int) -> None:
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or min(picture.shape[:2]) < smallest:
        shape = list(picture.shape)
        raise ValueError(f"a picture must be uint8 [H, W, 3] of at least {smallest} px, not {picture.dtype} {shape}")
