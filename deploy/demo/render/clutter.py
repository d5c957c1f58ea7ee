"""Things that happen to lie at the edge of the picture."""

import cv2
import numpy as np
from numpy.typing import NDArray

from deploy.demo.render.cloth import colour
from deploy.demo.render.curves import fill

Picture = NDArray[np.float32]


def scatter(picture: Picture, rng: np.random.Generator, light: tuple[float, float]) -> None:
    """Lay one or two things into the corners, half out of the frame, in place."""
    height, width = picture.shape[:2]
    corners = [(0.0, 0.03), (1.0, 0.03), (0.0, 0.98), (1.0, 0.98)]
    for index in rng.permutation(4)[: int(rng.integers(1, 3))]:
        x, y = corners[int(index)][0] * width, corners[int(index)][1] * height
        thing = (_book, _cable, _mug)[int(rng.integers(3))]
        thing(picture, rng, (x, y), light)


def _drop(picture: Picture, mask: NDArray[np.float32], light: tuple[float, float]) -> None:
    shift = np.array([[1, 0, -light[0] * 12], [0, 1, -light[1] * 12]], np.float32)
    shadow = cv2.GaussianBlur(cv2.warpAffine(mask, shift, mask.shape[::-1]), (0, 0), 9)
    picture *= (1 - 0.5 * shadow * (1 - mask))[..., None]


def _book(picture: Picture, rng: np.random.Generator, at: tuple[float, float], light: tuple[float, float]) -> None:
    centre, turn = np.array(at), rng.uniform(-25, 25)
    size = (float(rng.uniform(190, 250)), float(rng.uniform(130, 170)))
    mask = fill(picture.shape[:2], cv2.boxPoints((tuple(map(float, centre)), size, float(turn))).astype(np.float32))
    _drop(picture, mask, light)
    tint = np.array(colour(rng.choice(["#2f4858", "#7a3b2e", "#3d5a4c", "#c7a24a"])), np.float32)
    inner = (size[0] - 12, size[1] - 12)
    edge = fill(picture.shape[:2], cv2.boxPoints((tuple(map(float, centre)), inner, float(turn))).astype(np.float32))
    picture += (tint * (0.82 + 0.18 * edge)[..., None] - picture) * mask[..., None]


def _mug(picture: Picture, rng: np.random.Generator, at: tuple[float, float], light: tuple[float, float]) -> None:
    rows, columns = np.indices(picture.shape[:2], dtype=np.float32)
    distance = np.hypot(columns - at[0], rows - at[1])
    radius = float(rng.uniform(66, 84))
    mask = np.clip(radius - distance, 0, 1)
    _drop(picture, mask, light)
    tint = np.array(colour(rng.choice(["#e9e4da", "#33475b", "#b5533c"])), np.float32)
    picture += (tint - picture) * mask[..., None]
    inside = np.asarray(np.clip(radius - 9 - distance, 0, 1))[..., None]
    side = np.asarray(np.clip(0.5 + (columns - at[0]) / (2.4 * radius), 0, 1))[..., None]
    coffee = np.array([0.20, 0.12, 0.07], np.float32) * (0.7 + 0.5 * side)
    picture += (coffee - picture) * inside


def _cable(picture: Picture, rng: np.random.Generator, at: tuple[float, float], light: tuple[float, float]) -> None:
    t = np.linspace(0, 1, 60)
    inward = np.array([1 if at[0] < picture.shape[1] / 2 else -1, 1 if at[1] < picture.shape[0] / 2 else -1])
    reach = rng.uniform(120, 190, 2)
    xs = at[0] + inward[0] * (reach[0] * np.sin(t * 3.3) * (0.6 + 0.5 * t) - 30)
    ys = at[1] + inward[1] * ((reach[1] + 90) * t - 60 + 26 * np.sin(t * 7))
    points = [np.round(np.stack([xs, ys], axis=1) * 16).astype(np.int32)]
    line = np.zeros(picture.shape[:2], np.float32)
    cv2.polylines(line, points, False, 1.0, 8, cv2.LINE_8, 4)
    soft = np.asarray(cv2.GaussianBlur(line, (0, 0), 0.8), np.float32)
    _drop(picture, soft, (light[0] * 0.5, light[1] * 0.5))
    tint = 0.93 if rng.random() < 0.6 else 0.12
    picture += (tint - picture) * soft[..., None]
