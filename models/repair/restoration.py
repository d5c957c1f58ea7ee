"""Takes noise, blur and JPEG's traces out of photos that surely have them, and enlarges photos to twice their size.

A gate keeps good photos as they are: what the net thinks is wrong with a photo must go beyond what it thinks of hardly
any undamaged one. Pictures are `uint8 [H, W, 3]` sRGB of any size; large ones go through the net in tiles.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.compute.batches import in_batches
from models.nets.restoration import DAMAGES, RESTORATION_NET, Judged, RestorationNet, RestorationNetConfig
from models.pictures import Floats, Picture
from models.registry.checkpoint import fitted, load_weights
from models.registry.sources import Place, Source

Window = tuple[slice, slice]

#: A picture of so many pixels goes through the net as a whole; larger ones in tiles of this side and this overlap.
_WHOLE, _TILE, _MARGIN = 420_000, 448, 32
#: So many tiles, evenly spread, tell what is wrong with a large picture.
_JUDGES = 6
#: Pixels that go through the net together on a GPU.
_PIXELS_AT_ONCE = 24_000_000
#: How far beyond the innocent a severity must lie for the whole correction; between, a share of it is made.
_RAMP = 0.1
#: A picture with a shorter side is left alone.
_LEAST_SIDE = 16


@dataclass(frozen=True, slots=True, eq=False)
class Restoration:
    """A photo after the gate. Where nothing was surely wrong, `pixels` is the photo itself."""

    pixels: Picture
    #: Share of the correction that was made, 0..1.
    strength: float
    #: How much of each of `noise`, `compression`, `blur` and `error` the net sees: 0 for none, about 1 for the worst.
    severity: Mapping[str, float]


class Restorer:
    """A restoration net with its weights on a device. Holds no state between calls; safe to share between threads.

    On the CPU a picture comes out the same, bit by bit, in whatever company; on a GPU within 1/255, and so do tiles and
    whole pictures.
    """

    def __init__(self, net: RestorationNet, *, name: str, version: str, device: torch.device) -> None:
        self.name = name
        #: Changes whenever the weights do.
        self.version = version
        self._device, self._stride = device, net.stride
        self._net: RestorationNet = net.eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._innocent: Floats = self._net.innocent.float().cpu().numpy()

    @classmethod
    def load(cls, device: str = "cpu", source: Source | Place | None = None) -> "Restorer":
        """Load weights onto a torch device; the bundled ones where `source` is None.

        Raise `models.registry.sources.WeightsError` where they are missing, altered or do not fit.
        """
        loaded = load_weights("restoration", RESTORATION_NET, source)
        sizes = loaded.entry.config.items()
        net = fitted(
            loaded, lambda: RestorationNet(RestorationNetConfig(**{key: tuple(value) for key, value in sizes}))
        )
        return cls(net, name=loaded.name, version=loaded.entry.version, device=torch.device(device))

    @torch.inference_mode()
    def restore(self, pictures: Sequence[Picture], strength: float = 1.0) -> list[Restoration]:
        """Correct what is surely damaged, at most by `strength` 0..1; the results are in order.

        Raise `ValueError` for anything that is not uint8 [H, W, 3].
        """
        for picture in pictures:
            _check(picture)
        results: dict[int, Restoration] = {}
        groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for position, picture in enumerate(pictures):
            if min(picture.shape[:2]) < _LEAST_SIDE or strength <= 0:
                results[position] = Restoration(picture, 0.0, dict.fromkeys(DAMAGES, 0.0))
            elif picture.shape[0] * picture.shape[1] > _WHOLE:
                results[position] = self._restore_large(picture, strength)
            else:
                groups[picture.shape].append(position)
        for shape, positions in groups.items():
            most = _PIXELS_AT_ONCE // (shape[0] * shape[1])
            whole = partial(self._restore_whole, strength=strength)
            restored = in_batches([pictures[i] for i in positions], whole, device=self._device, most=most)
            results.update(zip(positions, restored, strict=True))
        return [results[position] for position in range(len(pictures))]

    @torch.inference_mode()
    def enlarge(self, pictures: Sequence[Picture]) -> list[Picture]:
        """Each picture at twice its size: cubic steps, then the whole correction of the blur that they leave."""
        enlarged = []
        for picture in pictures:
            _check(picture)
            height, width = picture.shape[:2]
            double = cv2.resize(picture, (2 * width, 2 * height), interpolation=cv2.INTER_CUBIC)
            found = np.asarray(double, np.uint8)
            enlarged.append(self._corrected(found, 1.0, self._severity(found)))
        return enlarged

    def _restore_whole(self, pictures: Sequence[Picture], strength: float) -> list[Restoration]:
        """Pictures of one size, in one pass each; those that pass as good skip the second half of the net."""
        batch = self._batch(pictures)
        judged = self._net.judge(batch)
        severities = judged.severity.cpu().numpy()
        shares = [float(_certainty(one, self._innocent)) * strength for one in severities]
        hurt = [i for i, share in enumerate(shares) if share > 0]
        results = [Restoration(p, s, _named(v)) for p, s, v in zip(pictures, shares, severities, strict=True)]
        if hurt:
            chosen = torch.tensor(hurt, device=self._device)
            kept = [finer[chosen] for finer in judged.kept]
            part = Judged(severity=judged.severity[chosen], bottom=judged.bottom[chosen], kept=kept)
            for i, correction in zip(hurt, _last(self._net.correct(part)), strict=True):
                pixels = _added(pictures[i], correction, shares[i])
                results[i] = Restoration(pixels, shares[i], results[i].severity)
        return results

    def _restore_large(self, picture: Picture, strength: float) -> Restoration:
        severity = self._severity(picture)
        share = float(_certainty(severity, self._innocent)) * strength
        pixels = self._corrected(picture, share, severity) if share > 0 else picture
        return Restoration(pixels, share, _named(severity))

    def _severity(self, picture: Picture) -> Floats:
        """float32 [4]; of a large picture what a few of its tiles show on average."""
        parts = [picture]
        if picture.shape[0] * picture.shape[1] > _WHOLE:
            windows = list(_tiles(*picture.shape[:2]))
            chosen = np.unique(np.linspace(0, len(windows) - 1, _JUDGES).round().astype(int))
            parts = [picture[windows[i][0]] for i in chosen]
        seen = [self._net.judge(self._batch([part])).severity[0].cpu().numpy() for part in parts]
        return np.asarray(np.mean(seen, axis=0), np.float32)

    def _corrected(self, picture: Picture, share: float, severity: Floats) -> Picture:
        """Tile by tile, each with a margin that is thrown away; all are told the severity of the whole."""
        if picture.shape[0] * picture.shape[1] <= _WHOLE:
            return _added(picture, self._correction(picture, severity), share)
        result = np.empty_like(picture)
        for window, inner, place in _tiles(*picture.shape[:2]):
            result[place] = _added(picture[place], self._correction(picture[window], severity)[inner], share)
        return result

    def _correction(self, picture: Picture, severity: Floats) -> Floats:
        judged = self._net.judge(self._batch([picture]))
        told = replace(judged, severity=torch.from_numpy(severity)[None].to(self._device))
        correction = _last(self._net.correct(told))[0]
        return np.asarray(correction[: picture.shape[0], : picture.shape[1]], np.float32)

    def _batch(self, pictures: Sequence[Picture]) -> Tensor:
        """uint8 [H, W, 3] each -> float32 [B, 3, H', W'] in 0..1 on the device, continued to the net's stride."""
        below, beside = (-side % self._stride for side in pictures[0].shape[:2])
        padded = np.stack([np.pad(p, ((0, below), (0, beside), (0, 0)), mode="symmetric") for p in pictures])
        return torch.from_numpy(padded).to(self._device).permute(0, 3, 1, 2).float() / 255


def _check(picture: Picture) -> None:
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or picture.size == 0:
        raise ValueError(f"a picture must be uint8 [H, W, 3], not {picture.dtype} {list(picture.shape)}")


def _certainty(severity: NDArray[Any], innocent: NDArray[Any]) -> float:
    """0 where no damage lies beyond what undamaged photos show, 1 where one lies well beyond."""
    return float(np.clip((severity - innocent).max() / _RAMP, 0, 1))


def _named(severity: NDArray[Any]) -> dict[str, float]:
    return {name: float(np.clip(value, 0, 1.5)) for name, value in zip(DAMAGES, severity, strict=True)}


def _added(picture: Picture, correction: Floats, share: float) -> Picture:
    """The picture with a share of its correction, which may be larger (it was padded)."""
    height, width = picture.shape[:2]
    scaled = correction[:height, :width] * np.float32(255 * share)
    return np.asarray(np.clip(picture + scaled + np.float32(0.5), 0, 255).astype(np.uint8))


def _last(batch: Tensor) -> Floats:
    """[B, 3, H, W] on a device -> [B, H, W, 3]."""
    return np.asarray(batch.permute(0, 2, 3, 1).cpu().numpy(), np.float32)


def _tiles(height: int, width: int) -> Iterator[tuple[Window, Window, Window]]:
    """What each tile sees of a picture, which part of that counts, and where in the picture it belongs."""
    for rows in _spans(height):
        for columns in _spans(width):
            window, inner, place = zip(rows, columns, strict=True)
            yield (window[0], window[1]), (inner[0], inner[1]), (place[0], place[1])


def _spans(length: int) -> Iterator[tuple[slice, slice, slice]]:
    """The same along one axis. Tiles start on the net's grid; a last one that were too small joins its neighbour."""
    starts = list(range(0, max(1, length - _TILE // 2), _TILE))
    for start, end in zip(starts, [*starts[1:], length], strict=True):
        first, last = max(0, start - _MARGIN), min(length, end + _MARGIN)
        yield slice(first, last), slice(start - first, end - first), slice(start, end)
