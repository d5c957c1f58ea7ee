"""Photos as examples: seen otherwise, in another light, on another background, from a poorer camera."""

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.matting import decontaminate
from models.pictures import Picture
from models.scenes.light import Light
from models.scenes.painting import backdrop
from models.scenes.registry import SCENES
from models.training.photos import Disturbance, Photos, as_taken, in_other_light, place, warp

#: Views of each painted scene.
_VIEWS = 4


class Examples:
    """Makes an example of a photo; what is made depends on the generator that is handed in alone."""

    def __init__(self, photos: Photos, seed: int) -> None:
        self._photos = photos
        self._stored = photos.pictures.shape[1]
        self._scenes = painted_scenes(self._stored, seed)

    def draw(
        self, row: int, side: int, change: Disturbance, draw: np.random.Generator
    ) -> tuple[Picture, NDArray[np.uint8]]:
        """Picture `uint8 [side, side, 3]` and mask `uint8 [side, side]` of the photo in this row."""
        where = place(self._stored, side, change, draw)
        picture = warp(self._photos.pictures[row], where, side)
        mask = warp(self._photos.masks[row], where, side)
        if self._photos.trusted[row] and draw.random() < change.background and 0.02 < mask.mean() / 255 < 0.9:
            picture = self._elsewhere(picture, mask, side, draw)
        return as_taken(in_other_light(picture, change, draw), change, draw), mask

    def _elsewhere(self, picture: Picture, mask: NDArray[np.uint8], side: int, draw: np.random.Generator) -> Picture:
        """The product before another background: another photo's, a painted scene, or plain."""
        alpha = (mask.astype(np.float32) / 255)[..., None]
        ground = self._ground(side, draw)
        own = decontaminate(picture, np.asarray(alpha[..., 0], np.float32))
        mixed = own.astype(np.float32) * alpha + ground.astype(np.float32) * (1 - alpha)
        return np.asarray(mixed.round().astype(np.uint8))

    def _ground(self, side: int, draw: np.random.Generator) -> Picture:
        kind = draw.random()
        if kind < 0.5:
            other = int(draw.integers(len(self._photos.classes)))
            return without_product(
                np.asarray(cv2.resize(self._photos.pictures[other], (side, side)), np.uint8),
                np.asarray(cv2.resize(self._photos.masks[other], (side, side)), np.uint8),
            )
        if kind < 0.75:
            corner = draw.integers(0, self._stored - side + 1, 2)
            scene = self._scenes[int(draw.integers(len(self._scenes)))]
            return scene[corner[0] : corner[0] + side, corner[1] : corner[1] + side]
        corners = draw.uniform(90, 255, 3) + draw.normal(0, 12, (2, 2, 3))
        return np.asarray(cv2.resize(corners.astype(np.float32), (side, side)).clip(0, 255), np.uint8)


def painted_scenes(side: int, seed: int) -> list[Picture]:
    """A few views of each scene that the studio paints: backgrounds to set products on."""
    return [
        backdrop(scene, (side, side), seed + turn, Light()).astype(np.uint8)
        for scene in SCENES.values()
        for turn in range(_VIEWS)
    ]


def without_product(picture: Picture, mask: NDArray[np.uint8]) -> Picture:
    """The background alone: where the product was, its colours run on smoothly."""
    size = (picture.shape[1] // 4, picture.shape[0] // 4)
    away = cv2.resize((mask < 8).astype(np.float32), size, interpolation=cv2.INTER_AREA)[..., None]
    small = cv2.resize(picture.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    filled = np.zeros_like(small)
    for reach in (65, 25, 9):
        weight = cv2.blur(away, (reach, reach))[..., None]
        spread = cv2.blur(small * away, (reach, reach)) / np.maximum(weight, 1e-4)
        filled = np.where(weight > 0.02, spread, filled)
    wide = cv2.resize(filled, picture.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    alpha = cv2.blur((mask >= 8).astype(np.float32), (5, 5))[..., None]
    return np.asarray((picture * (1 - alpha) + wide * alpha).clip(0, 255), np.uint8)


def to_tensor(pictures: NDArray[np.uint8]) -> Tensor:
    """uint8 [B, H, W, 3] -> float32 [B, 3, H, W] in 0..1, channels last in memory."""
    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 255
