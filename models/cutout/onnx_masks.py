"""Cut-out by salient-object nets that others trained: IS-Net, BiRefNet and U²-Net as ONNX files, brought by the user.

None is bundled. Preparation and finish follow what the authors publish with each net:

- U²-Net (Qin et al., Pattern Recognition 2020) and IS-Net (Qin et al., ECCV 2022) give 0..1, stretched to full range;
- BiRefNet (Zheng et al., CAAI AIR 2024) gives logits.

All squeeze the whole photo into a square. The first output is the finest mask.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.cutout.backend import Cutout
from models.matting import EDGE_SIDE, refine
from models.pictures import Floats, Mask, Picture
from models.registry.sources import Place, Source, WeightsError, read_bytes, refuse_pickle, require_hash


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How one family of nets takes photos and gives masks."""

    #: Of the square, where the file leaves it open.
    side: int
    mean: tuple[float, float, float]
    spread: tuple[float, float, float]
    #: Levels are divided by the photo's own highest one, not by 255.
    own_white: bool = False
    #: The output goes through a sigmoid; otherwise it is stretched to 0..1.
    logits: bool = False


_IMAGENET = {"mean": (0.485, 0.456, 0.406), "spread": (0.229, 0.224, 0.225)}
LAYOUTS: Mapping[str, Layout] = {
    "isnet": Layout(side=1024, mean=(0.5, 0.5, 0.5), spread=(1.0, 1.0, 1.0)),
    "u2net": Layout(side=320, own_white=True, **_IMAGENET),  # type: ignore[arg-type]
    "birefnet": Layout(side=1024, logits=True, **_IMAGENET),  # type: ignore[arg-type]
}
_TYPES: Mapping[str, type[np.float32 | np.float16]] = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
_SMALLEST = 8
#: An output that spans less shows nothing; stretched, its noise would become a mask.
_LEAST_SPAN = 0.1


class OnnxCutout:
    """Cut-out by an ONNX file on the CPU. Holds no state between calls; same picture, same mask.

    `confidence` falls with the share of the mask that the net left undecided, see `confidence_of`. A picture in which
    nothing is found gives the full frame with confidence 0.
    """

    def __init__(self, session: Any, layout: str, version: str) -> None:
        self.name = layout
        #: Changes with the file, and with what is done to its mask here.
        self.version = version
        self._session = session
        self._layout = LAYOUTS[layout]
        self._input, self._type, self._size = _input_of(session, self._layout.side)

    @classmethod
    def load(cls, source: Source | Place, *, layout: str, sha256: str, threads: int = 1) -> "OnnxCutout":
        """Read the ONNX file at a path, or at a URI through the reader of a `Source`, and try it once.

        Only a file with this sha256 is taken: an error tells the hash that was found.
        Raise `ValueError` for an unknown layout; `WeightsError` where the file is missing, altered or broken, is no
        net from one picture to one mask, or onnxruntime is not installed.
        """
        if layout not in LAYOUTS:
            raise ValueError(f"unknown layout {layout!r}; known: {', '.join(LAYOUTS)}")
        source = source if isinstance(source, Source) else Source(source)
        place = "" if source.place is None else source.place
        refuse_pickle(str(place))
        body = read_bytes(place, source.read)
        require_hash(place, body, sha256, "the caller")
        try:
            made = cls(_session(body, threads), layout, f"1-{sha256[:8].lower()}")
            # A look at plain grey shows whether it runs at all.
            trial = made._look(np.full((64, 48, 3), 127, np.uint8))
        except WeightsError:
            raise
        except Exception as error:
            raise WeightsError(f"{place} cannot be used as {layout}: {error}") from error
        if not np.isfinite(trial).all():
            raise WeightsError(f"{place} gives masks that are not numbers")
        return made

    def cut(self, pictures: Sequence[Picture]) -> list[Cutout]:
        """One cut-out per picture, in order. One at a time goes through the net: many files take no more."""
        return [self._cut(picture) for picture in pictures]

    def _cut(self, picture: Picture) -> Cutout:
        height, width = picture.shape[:2]
        nothing = Cutout(np.ones((height, width), np.float32), 0.0)
        if min(height, width) < _SMALLEST:
            return nothing
        mask = mask_of(self._look(picture), self._layout)
        confidence = confidence_of(mask)
        if confidence == 0:
            return nothing
        framed = _in_frame(mask, (height, width))
        # A mask finer than the photo needs its edges moved little.
        radius = 1 if max(mask.shape) >= max(framed.shape) else 3
        return Cutout(refine(picture, framed, radius), confidence)

    def _look(self, picture: Picture) -> Floats:
        """The first output for a picture: float32 [h, w]."""
        batch = prepared(picture, self._layout, self._size).astype(self._type)
        found = np.asarray(self._run(batch))
        if found.ndim not in {3, 4} or any(side != 1 for side in found.shape[:-2]) or min(found.shape) == 0:
            raise WeightsError(f"the first output should be one mask [1, 1, h, w], not {list(found.shape)}")
        return np.asarray(found.reshape(found.shape[-2:]), np.float32)

    def _run(self, batch: NDArray[Any]) -> Any:
        try:
            return self._session.run([self._session.get_outputs()[0].name], {self._input: batch})[0]
        except Exception as error:
            # onnxruntime has no class for it.
            if "Failed to allocate memory" in str(error):
                raise MemoryError(str(error)) from error
            raise


def _session(body: bytes, threads: int) -> Any:
    """A session that keeps to its threads, and reads nothing but these bytes."""
    try:
        runtime = import_module("onnxruntime")
    except ImportError as error:
        raise WeightsError("ONNX files need onnxruntime: pip install 'vitrine[onnx]'") from error
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    # Threads that wait for work by spinning take it from the other replicas.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # The hash covers these bytes alone: tensors kept in files beside them would be looked for in the working directory.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
    options.log_severity_level = 4
    return runtime.InferenceSession(body, options, providers=["CPUExecutionProvider"])


def _input_of(session: Any, side: int) -> tuple[str, type[np.float32 | np.float16], tuple[int, int]]:
    """Name, type, height and width of the only input."""
    inputs = session.get_inputs()
    if len(inputs) != 1:
        raise WeightsError(f"the net should take one picture, but takes {len(inputs)} inputs")
    (one,) = inputs
    shape = list(one.shape)
    fits = len(shape) == 4 and shape[1] in {3, None} | {name for name in shape if isinstance(name, str)}
    if not fits or one.type not in _TYPES:
        raise WeightsError(f"the net should take floats [1, 3, h, w], not {one.type} {shape}")
    height, width = (size if isinstance(size, int) else side for size in shape[2:])
    return one.name, _TYPES[one.type], (height, width)


def prepared(picture: Picture, layout: Layout, size: tuple[int, int]) -> Floats:
    """The picture as a net takes it, squeezed to `size` (height, width): float32 [1, 3, h, w]."""
    height, width = size
    method = cv2.INTER_AREA if max(picture.shape[:2]) > max(size) else cv2.INTER_LINEAR
    small = cv2.resize(picture, (width, height), interpolation=method).astype(np.float32)
    levels = small / max(float(small.max()) if layout.own_white else 255.0, 1e-6)
    normal = (levels - np.array(layout.mean, np.float32)) / np.array(layout.spread, np.float32)
    return np.ascontiguousarray(normal.transpose(2, 0, 1)[None], np.float32)


def mask_of(output: Floats, layout: Layout) -> Mask:
    """A net's output [h, w] as mask; all 0 where it holds anything but numbers, or shows nothing."""
    nothing = np.zeros(output.shape, np.float32)
    if not np.isfinite(output).all():
        return nothing
    if layout.logits:
        return np.asarray(1 / (1 + np.exp(-np.clip(output, -30, 30))), np.float32)
    low, high = float(output.min()), float(output.max())
    return np.asarray((output - low) / (high - low), np.float32) if high - low >= _LEAST_SPAN else nothing


def _in_frame(mask: Mask, shape: tuple[int, int]) -> Mask:
    """The squeezed mask in the shape of the photo's frame, no larger than the photo and than edges are sought at."""
    scale = min(EDGE_SIDE, max(mask.shape), max(shape)) / max(shape)
    size = (max(1, round(shape[1] * scale)), max(1, round(shape[0] * scale)))
    method = cv2.INTER_AREA if max(mask.shape) > max(size) else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(mask, size, interpolation=method), np.float32)


def confidence_of(mask: Mask) -> float:
    """How far a mask can be trusted, from itself: 0..1, 0 where it is empty or full.

    It falls with the share of the shape's area that is undecided (0.1 to 0.9) away from the outline: 1 at none, 0.8 at
    a tenth. It falls further for a product that takes less than a tenth of the frame or nearly all of it, or that runs
    along more than a third of the frame's edge. Of 341 masks by IS-Net, looked through by eye, 98 % of the good ones
    and none of the others come to `REVIEW_CONFIDENCE`.
    """
    small: NDArray[np.float32] = np.asarray(cv2.resize(mask, (256, 256), interpolation=cv2.INTER_AREA), np.float32)
    solid = small >= 0.5
    area = float(solid.mean())
    if not 0.005 < area < 0.995:
        return 0.0
    undecided = ((small > 0.1) & (small < 0.9)).astype(np.uint8)
    inner = cv2.morphologyEx(undecided, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    touching = float(np.concatenate([solid[0], solid[-1], solid[:, 0], solid[:, -1]]).mean())
    room = min(1.0, area / 0.1, (1 - area) / 0.1)
    return float(0.8 ** (float(inner.sum() / solid.sum()) / 0.1) * room * min(1.0, 1 - (touching - 1 / 3)))
