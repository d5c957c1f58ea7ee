"""Product photos drawn by code: every seed is a garment on a seller's floor, the same on every machine."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from deploy.demo.render import backdrop, camera, cloth, clutter, emblem, folds
from deploy.demo.render.cloth import colour
from deploy.demo.render.garment import Garment
from deploy.demo.render.noise import smooth
from deploy.demo.render.sewing import Frame, Sewn, sew
from deploy.demo.render.wardrobe import Look, look

HEIGHT, WIDTH = 1000, 750


@dataclass(frozen=True, slots=True, kw_only=True)
class Photo:
    """A finished product photo: the file's bytes and what it shows."""

    body: bytes
    suffix: str
    content_type: str
    kind: str
    title: str
    colour: str


def render(seed: int, index: int, *, brightness: float = 1.0) -> Photo:
    """The photo with this number in the series of this seed; 0.3 s on one core. `brightness`: that of the room."""
    rng = np.random.default_rng([seed, index])
    chosen = look(index, rng)
    angle = rng.uniform(np.pi * 1.1, np.pi * 1.9)
    light = (float(np.cos(angle)), float(np.sin(angle)))
    frame = _frame(chosen.garment, rng)
    sewn = _fallen(_sewn(chosen, frame, rng), chosen, frame, light, rng)
    scene, on_wall = _backdrop(chosen, sewn, rng, light)
    if on_wall:
        _hanger(scene, frame, chosen.garment)
    elif rng.random() < 0.55:
        clutter.scatter(scene, rng, light)
    _lay_down(scene, sewn, light, hanging=on_wall)
    pixels = camera.exposed(scene * np.float32(brightness), rng, light)
    return _filed(pixels, chosen, index, rng)


def _frame(garment: Garment, rng: np.random.Generator) -> Frame:
    extent = garment.bottom - garment.top
    scale = min(0.80 * HEIGHT / extent, 0.90 * WIDTH / (2 * garment.half_width)) * rng.uniform(0.93, 1.0)
    spare = (HEIGHT - scale * extent) / 2
    return Frame(
        height=HEIGHT,
        width=WIDTH,
        scale=float(scale),
        x=float(WIDTH / 2 + rng.normal(0, 0.012) * WIDTH),
        y=float(spare - garment.top * scale + rng.normal(0, 0.008) * HEIGHT),
    )


def _sewn(chosen: Look, frame: Frame, rng: np.random.Generator) -> Sewn:
    plan = chosen.plan
    main = cloth.swatch(plan, rng)
    if chosen.printed and chosen.garment.print_at:
        x, y, size = chosen.garment.print_at
        origin = ((cloth.SIDE - frame.width) // 2, (cloth.SIDE - frame.height) // 2)
        at = (origin[0] + frame.x + x * frame.scale, origin[1] + frame.y + y * frame.scale)
        emblem.press(main, plan, at, size * frame.scale, rng)
    trim_tint = plan.accent if plan.pattern in {"stripes", "blocks", "dots"} and rng.random() < 0.5 else plan.base
    thread = colour("#c48a4a") if plan.weave == "denim" else _shade(plan.base, 0.78)
    return sew(
        chosen.garment,
        {
            "main": main,
            "trim": cloth.plain(_shade(trim_tint, 0.92), "rib", rng),
            "lining": _flat(_shade(plan.base, 0.5)),
            "string": _flat(plan.accent),
            "thread": _flat(thread),
        },
        frame,
    )


def _flat(tint: cloth.Colour) -> cloth.Swatch:
    return np.full((8, 8, 3), tint, np.float32)


def _shade(tint: cloth.Colour, by: float) -> cloth.Colour:
    return (tint[0] * by, tint[1] * by, tint[2] * by)


def _fallen(sewn: Sewn, chosen: Look, frame: Frame, light: tuple[float, float], rng: np.random.Generator) -> Sewn:
    """Fold the cloth, light it, and bend outline and pattern along the folds and by a small turn."""
    shape = frame.shape
    untidy = 0.55 if chosen.floor == "wall" else float(rng.uniform(0.7, 1.15))
    drape = chosen.garment.drape + float(rng.normal(0, 12))
    fallen = folds.relief(rng, shape, drape=drape, folds=chosen.garment.folds, crumple=untidy)
    shade = sewn.shade * folds.lit(sewn.relief, light, 0.55) * folds.lit(fallen, light, 2.4)
    turn = float(rng.normal(0, 1.2 if chosen.floor == "wall" else 4.0))
    matrix = cv2.getRotationMatrix2D((shape[1] / 2, shape[0] / 2), turn, 1.0)
    rows, columns = np.indices(shape, dtype=np.float32)
    gx = cv2.Sobel(fallen, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8)
    gy = cv2.Sobel(fallen, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8)
    bend = 9.0
    x = matrix[0, 0] * columns + matrix[0, 1] * rows + matrix[0, 2] + bend * smooth(rng, shape, (5, 4)) + 5 * gx
    y = matrix[1, 0] * columns + matrix[1, 1] * rows + matrix[1, 2] + bend * smooth(rng, shape, (5, 4)) + 5 * gy
    x, y = x.astype(np.float32), y.astype(np.float32)
    return Sewn(
        colour=np.asarray(cv2.remap(sewn.colour, x, y, cv2.INTER_LINEAR), np.float32),
        cover=np.asarray(cv2.remap(sewn.cover, x, y, cv2.INTER_LINEAR), np.float32),
        relief=fallen,
        shade=np.asarray(cv2.remap(shade.astype(np.float32), x, y, cv2.INTER_LINEAR), np.float32),
    )


def _backdrop(
    chosen: Look, sewn: Sewn, rng: np.random.Generator, light: tuple[float, float]
) -> tuple[NDArray[np.float32], bool]:
    """A place that the garment stands out from, and whether it is a wall."""
    inside = sewn.cover[::8, ::8] > 0.9
    cloth_mean = sewn.colour[::8, ::8][inside].mean(axis=0)
    floors = [chosen.floor, chosen.floor, *rng.permutation(list(backdrop.FLOORS)).tolist()]
    scene = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    for floor in floors:
        scene = (backdrop.wall if floor == "wall" else backdrop.FLOORS[floor])(rng, (HEIGHT, WIDTH), light)
        if np.abs(scene[::40, ::40].mean((0, 1)) - cloth_mean).max() > 0.2:
            return scene, floor == "wall"
    return scene, False


def _hanger(scene: NDArray[np.float32], frame: Frame, garment: Garment) -> None:
    neck = frame.y + (0.01 if garment.kind == "dress" else 0.0) * frame.scale
    x = frame.x
    hook = np.array([(0, 20), (0, -28), (16, -48), (10, -72), (-12, -74), (-20, -58)], np.float32)
    wire = np.round((hook + np.array((x, neck))) * 16).astype(np.int32)
    for shift, tint, width in ((5, None, 7), (0, (0.62, 0.62, 0.63), 6), (0, (0.84, 0.84, 0.85), 2)):
        if tint is None:
            scene[:] *= (1 - 0.3 * _line(scene.shape[:2], wire + shift * 16, width))[..., None]
        else:
            cv2.polylines(scene, [wire], False, tint, width, cv2.LINE_AA, 4)
    arms = np.array([(-0.13, 0.035), (0, -0.012), (0.13, 0.035)], np.float32) * frame.scale + (x, neck)
    cv2.polylines(scene, [np.round(arms * 16).astype(np.int32)], False, (0.42, 0.28, 0.17), 17, cv2.LINE_AA, 4)


def _line(shape: tuple[int, int], points: NDArray[np.int32], width: int) -> NDArray[np.float32]:
    drawn = np.zeros(shape, np.float32)
    cv2.polylines(drawn, [points], False, 1.0, width, cv2.LINE_8, 4)
    return np.asarray(cv2.GaussianBlur(drawn, (0, 0), 4), np.float32)


def _softened(mask: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """A blurred mask; at a quarter of the size, which nobody sees in a shadow."""
    small = cv2.resize(mask, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma / 4)
    return np.asarray(cv2.resize(small, mask.shape[::-1], interpolation=cv2.INTER_LINEAR), np.float32)


def _lay_down(scene: NDArray[np.float32], sewn: Sewn, light: tuple[float, float], *, hanging: bool) -> None:
    """Set the garment into the scene with a contact shadow and a soft cast shadow, in place."""
    reach = 26 if hanging else 11
    for distance, blur, depth in ((3, 4, 0.38), (reach, 0.9 * reach, 0.40)):
        shift = np.array([[1, 0, -light[0] * distance], [0, 1, -light[1] * distance]], np.float32)
        moved = np.asarray(cv2.warpAffine(sewn.cover, shift, sewn.cover.shape[::-1]), np.float32)
        scene *= (1 - depth * _softened(moved, float(blur)))[..., None]
    scene += (sewn.colour * sewn.shade[..., None] - scene) * sewn.cover[..., None]


def _filed(pixels: NDArray[np.uint8], chosen: Look, index: int, rng: np.random.Generator) -> Photo:
    """The file: mostly JPEG, every 12th a PNG or WebP, every fifth turned by EXIF."""
    file_format: camera.FileFormat = {5: "PNG", 11: "WEBP"}.get(index % 12, "JPEG")  # type: ignore[assignment]
    orientation = (6, 8, 3)[index // 5 % 3] if index % 5 == 2 and file_format == "JPEG" else 1
    body = camera.encoded(pixels, file_format, int(rng.integers(80, 92)), orientation)
    suffix = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp"}[file_format]
    return Photo(
        body=body,
        suffix=suffix,
        content_type=f"image/{'jpeg' if suffix == 'jpg' else suffix}",
        kind=chosen.garment.kind,
        title=chosen.title,
        colour=chosen.colour_name,
    )
