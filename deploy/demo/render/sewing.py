"""Sewing: from a cut and its cloth to flat colour, cover and relief."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from deploy.demo.render.cloth import Swatch
from deploy.demo.render.curves import Knot, Path, fill, spline, stroke
from deploy.demo.render.garment import Band, Button, Garment, Piece, Seam
from deploy.demo.render.noise import Field


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Where the garment lies in the picture: height and width in pixels, the garment's scale and its origin."""

    height: int
    width: int
    scale: float
    x: float
    y: float

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.height, self.width

    def path(self, outline: tuple[Knot, ...], *, closed: bool) -> Path:
        """The spline in pixels."""
        return np.asarray(spline(outline, closed=closed) * self.scale + (self.x, self.y), np.float32)


@dataclass(slots=True, kw_only=True, eq=False)
class Sewn:
    """A garment before light: colour `[H, W, 3]` and cover `[H, W]` in 0..1, relief in pixels, shade around 1."""

    colour: NDArray[np.float32]
    cover: Field
    relief: Field
    shade: Field


def sew(garment: Garment, cloths: dict[str, Swatch], frame: Frame) -> Sewn:
    """Lay the layers of the garment over one another."""
    sewn = Sewn(
        colour=np.zeros((*frame.shape, 3), np.float32),
        cover=np.zeros(frame.shape, np.float32),
        relief=np.zeros(frame.shape, np.float32),
        shade=np.ones(frame.shape, np.float32),
    )
    for layer in garment.layers:
        if isinstance(layer, Piece):
            path = frame.path(layer.outline, closed=True)
            _lay(
                sewn, fill(frame.shape, path), cloths[layer.cloth], frame, grain=layer.grain, thickness=layer.thickness
            )
        elif isinstance(layer, Band):
            path = frame.path(layer.path, closed=False)
            mask = stroke(frame.shape, path, layer.width * frame.scale)
            _lay(sewn, mask, cloths[layer.cloth], frame, grain=90.0, thickness=0.7)
        elif isinstance(layer, Seam):
            _stitch(sewn, frame.path(layer.path, closed=False), layer, cloths["thread"][0, 0], frame)
        else:
            _button(sewn, layer, frame)
    return sewn


def _lay(sewn: Sewn, mask: Field, cloth: Swatch, frame: Frame, *, grain: float, thickness: float) -> None:
    x, y, w, h = cv2.boundingRect((mask > 0).astype(np.uint8))
    if w == 0 or h == 0:
        return
    pad = 14
    top, left = max(0, y - pad), max(0, x - pad)
    box = (slice(top, min(frame.height, y + h + pad)), slice(left, min(frame.width, x + w + pad)))
    inside = mask[box]
    turn = cv2.getRotationMatrix2D((float(frame.x), float(frame.y + 0.4 * frame.scale)), grain, 1.0)
    turn[:, 2] -= np.array((left, top))
    cut = cv2.warpAffine(_centred(cloth, frame), turn, inside.shape[::-1], borderMode=cv2.BORDER_WRAP)
    sewn.colour[box] += (cut - sewn.colour[box]) * inside[..., None]
    near = cv2.GaussianBlur(inside, (0, 0), 7)
    sewn.shade[box] *= 1 - 0.5 * near * (1 - inside)
    sewn.shade[box] += (1 - sewn.shade[box]) * inside
    roll = _roll(inside, 9 + 7 * thickness) * (5 + 4 * thickness)
    sewn.relief[box] += (roll + 1.5 - sewn.relief[box]) * inside
    sewn.cover[box] = np.maximum(sewn.cover[box], inside)


def _centred(cloth: Swatch, frame: Frame) -> Swatch:
    top, left = (max(0, (side - want) // 2) for side, want in zip(cloth.shape, frame.shape, strict=False))
    return cloth[top:, left:]


def _roll(mask: Field, reach: float) -> Field:
    """How far the edge has risen: 0 on the outline, 1 from `reach` pixels inside."""
    distance = cv2.distanceTransform((mask > 0.5).astype(np.uint8), cv2.DIST_L2, 3)
    ramp = np.clip(distance / reach, 0, 1)
    return np.asarray(np.sqrt(ramp * (2 - ramp)), np.float32)


def _stitch(sewn: Sewn, path: Path, seam: Seam, thread: NDArray[np.float32], frame: Frame) -> None:
    line = stroke(frame.shape, path, 2)
    x, y, w, h = cv2.boundingRect((line > 0).astype(np.uint8))
    pad = 10
    box = (slice(max(0, y - pad), y + h + pad), slice(max(0, x - pad), x + w + pad))
    groove = cv2.GaussianBlur(line[box], (0, 0), 2.2)
    sewn.relief[box] -= 4.0 * seam.depth * groove
    sewn.shade[box] *= 1 - np.minimum(0.4, 0.22 * groove * min(seam.depth, 1.6))
    if not seam.stitched:
        return
    offset = path + np.array((0, -0.006 * frame.scale))
    lengths = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(offset, axis=0).T))])
    step = 7.5
    for start in np.arange(0, lengths[-1], step):
        ends = [start, start + step * 0.6]
        points = np.stack([np.interp(ends, lengths, offset[:, axis]) for axis in (0, 1)], axis=1)
        (x1, y1), (x2, y2) = np.round(points * 16).astype(int).tolist()
        tint = tuple(float(channel) for channel in thread)
        cv2.line(sewn.colour, (x1, y1), (x2, y2), tint, 1, cv2.LINE_AA, 4)


def _button(sewn: Sewn, button: Button, frame: Frame) -> None:
    x, y = frame.x + button.x * frame.scale, frame.y + button.y * frame.scale
    radius = max(4.0, button.radius * frame.scale)
    box = (slice(int(y - 2 * radius), int(y + 2 * radius) + 1), slice(int(x - 2 * radius), int(x + 2 * radius) + 1))
    rows, columns = np.mgrid[box].astype(np.float32)
    distance = np.hypot(columns - x, rows - y)
    disc = np.clip(radius - distance + 0.5, 0, 1)
    tint = np.array((0.62, 0.55, 0.42) if button.metal else (0.93, 0.91, 0.87), np.float32)
    rim = np.exp(-(((distance - 0.8 * radius) / (0.14 * radius)) ** 2))
    face = tint * (1 - 0.3 * rim)[..., None]
    if not button.metal:
        for dx, dy in ((-1, -1), (1, -1), (-1, 1), (1, 1)):
            hole = np.hypot(columns - x - dx * 0.26 * radius, rows - y - dy * 0.26 * radius)
            face *= (1 - 0.7 * np.exp(-((hole / (0.14 * radius)) ** 2)))[..., None]
    shadow = np.clip(1.35 * radius - np.hypot(columns - x - 2, rows - y - 3), 0, 5) / 5
    sewn.shade[box] *= 1 - 0.35 * shadow * (1 - disc)
    sewn.colour[box] += (face - sewn.colour[box]) * disc[..., None]
    sewn.shade[box] += (1 - sewn.shade[box]) * disc
    sewn.relief[box] += 3 * disc
