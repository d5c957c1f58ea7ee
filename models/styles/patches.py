"""Patches of one picture put in the place of the most similar ones of another. Pictures are float32 [H, W, C]."""

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from models.pictures import Floats

#: Side of a patch and step between two, in pixels: each pixel lies in four patches.
SIDE, STEP = 8, 4
_BOOK_STEP = 2
#: Numbers that stand for a patch when patches are compared.
_CODE = 20
#: Share of a patch's mean colour that does not count when patches are compared.
_PLAIN = 0.6
#: Patches that a book keeps at most, and how many are looked up together.
_LARGEST_BOOK, _AT_ONCE = 8_000, 4096


class PatchBook:
    """The patches of a picture, with short codes (principal components) to compare them by."""

    def __init__(self, picture: Floats) -> None:
        self.shape = picture.shape[:2]
        every = functional.unfold(_channels_first(picture), SIDE, stride=_BOOK_STEP)[0].T
        #: Which of all patches of the picture are in the book: int64 [N].
        self.places = torch.linspace(0, len(every) - 1, min(len(every), _LARGEST_BOOK)).round().long()
        self.patches = every[self.places].contiguous()
        described = _described(self.patches)
        self._mean = described.mean(dim=0)
        centred = described - self._mean
        _, axes = torch.linalg.eigh(centred.T @ centred)
        self._axes = axes[:, -_CODE:].contiguous()
        self._codes = centred @ self._axes
        self._half_norms = 0.5 * self._codes.square().sum(dim=1)

    def nearest(self, patches: Tensor) -> Tensor:
        """The number of the most similar patch of the book, for each patch [N, C * SIDE * SIDE]: int64 [N]."""
        codes = (_described(patches) - self._mean) @ self._axes
        return torch.cat(
            [torch.argmax(part @ self._codes.T - self._half_norms, dim=1) for part in codes.split(_AT_ONCE)]
        )


@torch.inference_mode()
def revoted(picture: Floats, book: PatchBook) -> Floats:
    """Replace all patches by the book's nearest and average where they overlap: float32 [H, W, C]."""
    return _voted(picture, book, book.patches, 1)


@torch.inference_mode()
def enlarged(picture: Floats, book: PatchBook, style: Floats) -> Floats:
    """As `revoted`, at twice the size: the patches come from `style`, which the book's picture is a smaller copy of.

    float32 [2 H, 2 W, C].
    """
    height, width = book.shape
    twice = np.asarray(cv2.resize(style, (2 * width, 2 * height), interpolation=cv2.INTER_AREA), np.float32)
    every = functional.unfold(_channels_first(twice), 2 * SIDE, stride=2 * _BOOK_STEP)[0].T
    return _voted(picture, book, every[book.places], 2)


def _voted(picture: Floats, book: PatchBook, patches: Tensor, factor: int) -> Floats:
    height, width = picture.shape[:2]
    padded = functional.pad(_channels_first(picture), _padding(width) + _padding(height), mode="reflect")
    found = book.nearest(functional.unfold(padded, SIDE, stride=STEP)[0].T)
    chosen = patches[found].T[None]
    size, side, step = (factor * padded.shape[2], factor * padded.shape[3]), factor * SIDE, factor * STEP
    window = _window(side).repeat(picture.shape[2])[None, :, None]
    total = functional.fold(chosen * window, size, side, stride=step)
    weight = functional.fold(window.expand_as(chosen), size, side, stride=step)
    voted = (total / weight)[0, :, side : side + factor * height, side : side + factor * width]
    return np.ascontiguousarray(voted.permute(1, 2, 0).numpy())


def _described(patches: Tensor) -> Tensor:
    """Patches with less of their mean colours, so that plain parts do not all find the one patch of their colour."""
    values = patches.reshape(len(patches), -1, SIDE * SIDE)
    return (values - _PLAIN * values.mean(dim=2, keepdim=True)).flatten(1)


def _padding(side: int) -> list[int]:
    """A patch before, and after as much as makes the steps come out even."""
    return [SIDE, SIDE + -side % STEP]


def _window(side: int) -> Tensor:
    """Weight of each pixel of a patch, least at the rim: float32 [side * side]."""
    ramp = torch.hann_window(side + 2, periodic=False)[1:-1]
    return torch.outer(ramp, ramp).flatten()


def _channels_first(picture: Floats) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))[None]
