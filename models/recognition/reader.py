"""Text in a photo: prints on the garment, and what somebody wrote over the picture.

Read with RapidOCR (Apache-2.0, extra `ocr`), whose nets lie in its package: nothing is fetched. Reading must never hold
a listing up, so it has a limit of time; what took longer counts as not read.
"""

import logging
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TookTooLong
from dataclasses import dataclass
from enum import Enum
from importlib import import_module
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from models.pictures import Mask, Picture

_LOG = logging.getLogger(__name__)
#: Longer side at which text is sought, in pixels: more costs time, less loses small print.
_SIDE = 960
#: Confidence from which a line counts as read.
_LEGIBLE = 0.6
_NETS = {
    "Det.model_path": "PP-OCRv6_det_small.onnx",
    "Cls.model_path": "ch_ppocr_mobile_v2.0_cls_mobile.onnx",
    "Rec.model_path": "PP-OCRv6_rec_small.onnx",
}


class ReadingState(Enum):
    """How a reading ended."""

    READ = "read"
    TOO_SLOW = "not read: took too long"
    FAILED = "not read: failed"
    NOT_WANTED = "not read: not wanted"
    NOT_INSTALLED = "not read: the extra `ocr` is not installed"


@dataclass(frozen=True, slots=True, kw_only=True)
class TextLine:
    """One line of text."""

    text: str
    #: 0..1, of the recogniser.
    confidence: float
    #: Corners clockwise from the upper left of the text, (x, y) in shares of the picture's width and height.
    box: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What was read in one photo, from top to bottom."""

    state: ReadingState
    lines: tuple[TextLine, ...] = ()


class Reader(Protocol):
    """Reads text in pictures."""

    @property
    def name(self) -> str:
        """Of the method."""
        ...

    @property
    def version(self) -> str:
        """Changes whenever readings may."""
        ...

    def read(self, picture: Picture) -> Reading:
        """All text of the picture; never raises for what a picture shows, never takes much longer than its limit."""
        ...


class NoReader:
    """Stands in where text is not wanted, or cannot be read."""

    name, version = "none", "0"

    def __init__(self, state: ReadingState = ReadingState.NOT_WANTED) -> None:
        self._state = state

    def read(self, picture: Picture) -> Reading:  # noqa: ARG002 -- the protocol's
        """Nothing is read; the state says why."""
        return Reading(state=self._state)


class RapidReader:
    """Reads with RapidOCR in a thread of its own. Calls wait for each other; waiting counts towards their limit."""

    name = "rapidocr"

    def __init__(self, engine: Any, *, version: str, limit_s: float) -> None:
        self.version = version
        self._engine, self._limit_s = engine, limit_s
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="reader")

    @classmethod
    def load(cls, *, limit_s: float = 5.0, threads: int = 1) -> "RapidReader":
        """Raise `ImportError` where the extra is missing."""
        package = import_module("rapidocr")
        folder = Path(str(files("rapidocr"))) / "models"
        # Named files: without them the package looks after a download.
        settings: dict[str, Any] = {key: str(folder / name) for key, name in _NETS.items()}
        settings["Global.log_level"] = "error"
        settings["EngineConfig.onnxruntime.intra_op_num_threads"] = threads
        settings["EngineConfig.onnxruntime.inter_op_num_threads"] = 1
        return cls(package.RapidOCR(params=settings), version=version("rapidocr"), limit_s=limit_s)

    def read(self, picture: Picture) -> Reading:
        """See `Reader`. An overrun goes on in its thread until it is done; its result is dropped."""
        coming = self._worker.submit(self._read, picture)
        try:
            return Reading(state=ReadingState.READ, lines=coming.result(self._limit_s))
        except TookTooLong:
            coming.cancel()
            return Reading(state=ReadingState.TOO_SLOW)
        except Exception:  # noqa: BLE001 -- foreign code on any picture; text is never worth a listing
            _LOG.warning("text could not be read", exc_info=True)
            return Reading(state=ReadingState.FAILED)

    def _read(self, picture: Picture) -> tuple[TextLine, ...]:
        scale = min(1.0, _SIDE / max(picture.shape[:2]))
        size = tuple(max(1, round(side * scale)) for side in picture.shape[1::-1])
        small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        found = self._engine(np.ascontiguousarray(small[..., ::-1]))
        if found.txts is None:
            return ()
        lines = [
            TextLine(text=str(text), confidence=round(float(score), 4), box=_shares(box, size))
            for text, score, box in zip(found.txts, found.scores, found.boxes, strict=True)
        ]
        return tuple(sorted(lines, key=lambda line: (min(y for _, y in line.box), min(x for x, _ in line.box))))


def open_reader(*, limit_s: float = 5.0, threads: int = 1) -> Reader:
    """The best reader that is installed."""
    try:
        return RapidReader.load(limit_s=limit_s, threads=threads)
    except ImportError:
        return NoReader(ReadingState.NOT_INSTALLED)


def _shares(box: NDArray[Any], size: tuple[int, ...]) -> tuple[tuple[float, float], ...]:
    return tuple((round(float(x) / size[0], 4), round(float(y) / size[1], 4)) for x, y in box)


def legible(line: TextLine) -> bool:
    """Whether this is text: single signs, and what is hardly legible, are mostly pattern of the ground."""
    return line.confidence >= _LEGIBLE and sum(sign.isalnum() for sign in line.text) > 1


def share_inside(line: TextLine, mask: Mask) -> float:
    """How much of the line's box lies on the product, 0..1: text beside it was not printed on it."""
    height, width = mask.shape
    corners = np.array(line.box) * (width, height)
    place = np.zeros(mask.shape, np.uint8)
    cv2.fillPoly(place, [np.asarray(corners.round(), np.int32)], 1)
    covered = place > 0
    return float(mask[covered].mean()) if covered.any() else 0.0
