"""Faces in a picture, found by CenterFace as an ONNX file that the user's installation brings.

The net (Xu et al., "CenterFace: Joint Face Detection and Alignment Using Face as Point", 2019; MIT licence) has no
anchors: on a grid of every fourth pixel it gives how surely a face is centred there, the logarithm of its height and
width in grid steps, and where between the grid points its centre lies. Only these three are read.
"""

import threading
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import cv2
import numpy as np

from models.pictures import Floats, Picture
from models.registry.sources import WeightsError

#: Pixels of the net's input per step of its grid.
STRIDE = 4
#: Sides of the input are multiples of this many pixels.
_MULTIPLE = 32
#: Changes with everything here that changes what is found; part of object keys.
VERSION = 1
#: Boxes that cover more of each other than this are the same face.
_SAME = 0.3
#: More than a photo of clothes ever shows; bounds the work of a hostile picture.
MOST_FACES = 200
#: The shape of the only input as the authors' file fixes it, [10, 3, 32, 32] in ONNX's encoding, and the same with one
#: picture of open height and width. Both are as long, so no length field around them changes.
_FIXED = bytes.fromhex("0a02080a 0a020803 0a020820 0a020820")
_OPEN = bytes.fromhex("0a020801 0a020803 0a021200 0a021200")


class TooSlow(Exception):
    """The search took longer than its time limit and was stopped."""


@dataclass(frozen=True, slots=True)
class Face:
    """A box around a face in pixels of the picture, and how sure the net is, 0..1."""

    left: float
    top: float
    right: float
    bottom: float
    score: float


class CenterFace:
    """Finds faces on the CPU, one thread, holding no state between calls: the same picture gives the same faces."""

    def __init__(self, session: Any, *, least_score: float, longest: int, limit_s: float) -> None:
        self._session = session
        self._input = session.get_inputs()[0].name
        self._outputs = [one.name for one in session.get_outputs()[:3]]
        self._least = least_score
        self._longest = longest
        self._limit_s = limit_s

    @classmethod
    def load(cls, body: bytes, *, least_score: float = 0.5, longest: int = 1024, limit_s: float = 10.0) -> "CenterFace":
        """Open the file and try it once; raise `WeightsError` where it cannot be used or onnxruntime is missing.

        `longest` bounds the longer side of what the net sees, in pixels; `limit_s` the seconds of one search.
        """
        try:
            made = cls(_session(body), least_score=least_score, longest=longest, limit_s=limit_s)
            made.find(np.full((64, 96, 3), 127, np.uint8))
        except WeightsError:
            raise
        except Exception as error:
            raise WeightsError(f"the file cannot be used as CenterFace: {error}") from error
        return made

    def find(self, picture: Picture) -> list[Face]:
        """The faces of a `uint8 [H, W, 3]` sRGB picture, the surest first. Raise `TooSlow`."""
        height, width = picture.shape[:2]
        scale = min(1.0, self._longest / max(height, width))
        seen = max(1, round(height * scale)), max(1, round(width * scale))
        small = cv2.resize(picture, seen[::-1], interpolation=cv2.INTER_AREA) if scale < 1 else picture
        # Filled up, not stretched: a face keeps its shape. Edge pixels make no edge that could look like something.
        below, beside = -seen[0] % _MULTIPLE, -seen[1] % _MULTIPLE
        framed = np.asarray(cv2.copyMakeBorder(small, 0, below, 0, beside, cv2.BORDER_REPLICATE), np.uint8)
        heat, size, offset = self._look(framed)
        found = distinct(decoded(heat[0, 0], size[0], offset[0], self._least))
        up = width / seen[1], height / seen[0]
        return [face for one in found if (face := _in_picture(one, up, (height, width))) is not None]

    def _look(self, framed: Picture) -> list[Floats]:
        options = import_module("onnxruntime").RunOptions()
        options.log_severity_level = 4

        def stop() -> None:
            options.terminate = True

        clock = threading.Timer(self._limit_s, stop)
        clock.daemon = True
        clock.start()
        try:
            batch = np.ascontiguousarray(framed.transpose(2, 0, 1)[None], dtype=np.float32)
            found: list[Floats] = self._session.run(self._outputs, {self._input: batch}, options)
        except Exception as error:
            if options.terminate:
                raise TooSlow(f"not done within {self._limit_s:g} s") from error
            raise
        finally:
            clock.cancel()
        return found


def decoded(heat: Floats, size: Floats, offset: Floats, least_score: float) -> list[Face]:
    """The boxes that the grids mean: `heat [h, w]`, `size [2, h, w]`, `offset [2, h, w]`, height before width."""
    rows, columns = np.nonzero(heat > least_score)
    if len(rows) > MOST_FACES * 10:
        best = np.argsort(-heat[rows, columns], kind="stable")[: MOST_FACES * 10]
        rows, columns = rows[best], columns[best]
    # A face is no larger than 16,000 pixels; beyond that, numbers overflow.
    tall, wide = np.exp(np.minimum(size[:, rows, columns], 8.3)) * STRIDE
    down, right = offset[:, rows, columns]
    middle_y, middle_x = (rows + down + 0.5) * STRIDE, (columns + right + 0.5) * STRIDE
    scores = heat[rows, columns]
    edges = (middle_x - wide / 2, middle_y - tall / 2, middle_x + wide / 2, middle_y + tall / 2, scores)
    return [Face(*(float(value) for value in one)) for one in zip(*edges, strict=True)]


def distinct(faces: list[Face]) -> list[Face]:
    """The surest box of every face, surest first."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda one: (-one.score, one.top, one.left)):
        if len(kept) == MOST_FACES:
            break
        if all(overlap(face, other) <= _SAME for other in kept):
            kept.append(face)
    return kept


def overlap(one: Face, other: Face) -> float:
    """Shared area divided by joint area, 0..1."""
    wide = min(one.right, other.right) - max(one.left, other.left)
    tall = min(one.bottom, other.bottom) - max(one.top, other.top)
    if wide <= 0 or tall <= 0:
        return 0.0
    shared = wide * tall
    return shared / (_area(one) + _area(other) - shared)


def _area(face: Face) -> float:
    return (face.right - face.left) * (face.bottom - face.top)


def _in_picture(face: Face, up: tuple[float, float], frame: tuple[int, int]) -> Face | None:
    """The face in the picture's own pixels, cut off at its frame; None where nothing of it lies inside."""
    across, along = up
    left, right = max(0.0, face.left * across), min(float(frame[1]), face.right * across)
    top, bottom = max(0.0, face.top * along), min(float(frame[0]), face.bottom * along)
    return Face(left, top, right, bottom, face.score) if left < right and top < bottom else None


def opened(body: bytes) -> bytes:
    """The net's file with an input of open size; a file of another make stays as it is."""
    return body.replace(_FIXED, _OPEN) if body.count(_FIXED) == 1 else body


def _session(body: bytes) -> Any:
    try:
        runtime = import_module("onnxruntime")
    except ImportError as error:
        raise WeightsError("finding faces needs onnxruntime: pip install 'vitrine[faces]'") from error
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4
    return runtime.InferenceSession(opened(body), options, providers=["CPUExecutionProvider"])
