"""Generation: correct the photo, cut the product out, give it other colours, set it into the studio."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Protocol

import cv2
import numpy as np

from models.backdrops import Backdrop, InScene, Plain
from models.enhance import Parts, Restorer, enhance
from models.quality.artefacts import noise_of
from models.recolor import recolor
from models.scenes.registry import SCENES
from models.studio import compose
from serve.catalog.operations import Enhance, Recolor, Scene, Studio
from serve.catalog.recipe import Variant
from serve.interfaces import Mask, Picture, Shot, ShotFailure
from serve.schemas.result import ModelRef
from serve.stages.cutting import Cut, Cutting
from serve.stages.isolation import each_apart
from serve.stages.loaded import Loaded, Model

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Canvas:
    """A shot between two operations. All three arrays have the same height and width."""

    picture: Picture
    alpha: Mask
    #: The product as the photo shows it.
    reference: Picture
    #: What was measured on the way, for the quality filter.
    figures: Mapping[str, float] = field(default_factory=dict)


class NamedRestorer(Restorer, Model, Protocol):
    """A restorer that says which one it is."""


def _enhance(canvas: Canvas, operation: Enhance, shot: Shot, restorer: Restorer | None = None) -> Canvas:
    """Correct the photo. From here on the corrected product is the reference.

    What follows must keep the colours that were decided on here; how far those are from the photo's is told by figures
    of their own. Held against the photo itself, every corrected exposure would count as a false colour.
    """
    parts = Parts(
        exposure=operation.exposure,
        white_balance=operation.white_balance,
        denoise=operation.denoise,
        sharpen=operation.sharpen,
    )
    done = enhance(canvas.picture, canvas.alpha, operation.strength, parts, restorer)
    if not done.applied:
        return canvas
    log.info("enhanced", extra={"key": shot.key, "applied": [asdict(one) for one in done.applied]})
    figures = {
        # What a net said of the photo as it came says nothing of what has become of it.
        **{name: value for name, value in canvas.figures.items() if name != "photo_score"},
        "noise": noise_of(done.pixels, canvas.alpha),
        "correction_light": done.shift("exposure"),
        "correction_colour": done.shift("white_balance"),
    }
    return Canvas(done.pixels, canvas.alpha, done.pixels, figures)


def _recolor(canvas: Canvas, operation: Recolor, _: Shot) -> Canvas:
    picture = recolor(canvas.picture, canvas.alpha, rgb(operation.colour), operation.strength)
    return replace(canvas, picture=picture)


def _studio(canvas: Canvas, operation: Studio, shot: Shot) -> Canvas:
    return _composed(canvas, operation, shot, Plain(rgb(operation.background)))


def _scene(canvas: Canvas, operation: Scene, shot: Shot) -> Canvas:
    scene = SCENES[operation.scene]
    light = scene.light if operation.light is None else replace(scene.light, side=operation.light)
    return _composed(canvas, operation, shot, InScene(scene, light))


def _composed(canvas: Canvas, operation: Studio | Scene, shot: Shot, backdrop: Backdrop) -> Canvas:
    made = compose(
        canvas.picture,
        canvas.alpha,
        size=shot.variant.size,
        backdrop=backdrop,
        fill=operation.fill,
        shadow=operation.shadow != "none",
        seed=shot.seed,
        # Laying the same picture out twice would cost as much as the first time.
        reference=None if canvas.reference is canvas.picture else canvas.reference,
    )
    return replace(canvas, picture=made.pixels, alpha=made.mask, reference=made.reference)


@dataclass(frozen=True, slots=True)
class Handler:
    """How an operation is carried out, and the name of the algorithm in object keys: raise its version with it."""

    apply: Callable[..., Canvas]
    model: ModelRef


#: The operations of this stage. A new one is a model in `serve.catalog.operations` and a line here.
HANDLERS: Mapping[type, Handler] = {
    Enhance: Handler(_enhance, ModelRef(name="enhance", version="1")),
    Recolor: Handler(_recolor, ModelRef(name="recolor", version="1")),
    Studio: Handler(_studio, ModelRef(name="studio", version="1")),
    Scene: Handler(_scene, ModelRef(name="scene", version="1")),
}


class Generation:
    """The stage that makes the product's picture; every shot leaves it in its final size."""

    name = "generation"

    def __init__(self, card: ModelRef, cutting: Cutting, restorer: Loaded[NamedRestorer] | None = None) -> None:
        self._card = card
        self._cutting = cutting
        self._restorer = restorer

    def models(self, variant: Variant) -> tuple[ModelRef, ...]:
        """The cut-out backend and the algorithms of the chain's own operations."""
        own = [HANDLERS[type(operation)].model for operation in variant.operations if operation.stage == self.name]
        if self._restorer is not None and any(isinstance(operation, Enhance) for operation in variant.operations):
            own.append(ModelRef(name=self._restorer.card.name, version=self._restorer.card.version))
        return (self._card, *dict.fromkeys(own))

    def bucket(self, _: Shot) -> tuple[str, str]:
        """The cut-out backend, which takes photos of any shape."""
        return self._card.name, self._card.version

    def run(self, batch: Sequence[Shot]) -> list[Shot | ShotFailure]:
        """Fill in pixels, mask, reference, confidence and figures.

        Each source is cut out once for all its shots, and corrected once for all that ask for the same correction.
        """
        cut = self._cutting.together({_name(shot): shot.source.pixels for shot in batch})
        corrected: dict[tuple[str, Enhance], Canvas] = {}
        restorer = None if self._restorer is None else self._restorer.model

        def work(shot: Shot) -> Shot:
            name = _name(shot)
            if name not in cut:
                cut.update(self._cutting.alone({name: shot.source.pixels}))
            found = cut[name]
            canvas = Canvas(found.photo, found.alpha, found.photo, found.figures)
            chain = [operation for operation in shot.variant.operations if operation.stage == self.name]
            if chain and isinstance(first := chain[0], Enhance):
                if (name, first) not in corrected:
                    corrected[name, first] = _enhance(canvas, first, shot, restorer)
                canvas, chain = corrected[name, first], chain[1:]
            for operation in chain:
                canvas = HANDLERS[type(operation)].apply(canvas, operation, shot)
            return _finished(shot, fitted(canvas, shot.variant.size), found)

        return each_apart(self.name, batch, work)

    def warm_up(self) -> None:
        """Load what cuts out and recognises, and look at one small picture."""
        small = np.full((64, 64, 3), 200, np.uint8)
        self._cutting.alone({"warm up": small})
        if self._restorer is not None:
            self._restorer.model.restore([small])


def _name(shot: Shot) -> str:
    """The same for shots of the same pixels: one file may come with its faces and without, on one ground or another."""
    return f"{shot.source.sha256}{shot.source.treatment}"


def _finished(shot: Shot, canvas: Canvas, cut: Cut) -> Shot:
    return replace(
        shot,
        pixels=canvas.picture,
        mask=canvas.alpha,
        reference=canvas.reference,
        confidence=cut.confidence,
        figures=canvas.figures,
        subject=cut.subject,
    )


def fitted(canvas: Canvas, size: tuple[int, int]) -> Canvas:
    """Crop to the centre and scale to `size` (width, height): for chains that do not set the product anew."""
    width, height = size
    there_height, there_width = canvas.alpha.shape
    if (there_width, there_height) == size:
        return canvas
    scale = max(width / there_width, height / there_height)
    crop_width, crop_height = min(there_width, round(width / scale)), min(there_height, round(height / scale))
    left, top = (there_width - crop_width) // 2, (there_height - crop_height) // 2
    window = np.s_[top : top + crop_height, left : left + crop_width]
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC

    def scaled(picture: Picture) -> Picture:
        return np.asarray(cv2.resize(picture[window], size, interpolation=method), dtype=np.uint8)

    alpha = cv2.resize(canvas.alpha[window], size, interpolation=cv2.INTER_LINEAR)
    return Canvas(scaled(canvas.picture), np.asarray(alpha, dtype=np.float32), scaled(canvas.reference), canvas.figures)


def rgb(colour: str) -> tuple[int, int, int]:
    """`#rrggbb` as three numbers 0..255."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
