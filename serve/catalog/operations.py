"""The operations that a recipe may chain. A new operation is a model here and a handler in its stage."""

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from models.scenes.registry import SCENES

HexColour = Annotated[str, StringConstraints(pattern=r"^#[0-9a-fA-F]{6}$")]


class _Operation(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    #: The stage that carries the operation out; a chain passes the stages in their order.
    stage: ClassVar[str]
    #: The IPTC digital source type that an image has after it.
    digital_source_type: ClassVar[str] = "algorithmicallyEnhanced"


class Enhance(_Operation):
    """Correct the light, noise and blur of the photo where they need it; first in its chain.

    What would do harm is weakened or left out, and a good photo stays as it is.
    """

    stage = "generation"
    op: Literal["enhance"] = "enhance"
    #: 1 makes the whole correction, 0 none.
    strength: float = Field(default=1.0, ge=0, le=1)
    exposure: bool = True
    white_balance: bool = True
    denoise: bool = True
    sharpen: bool = True


class Recolor(_Operation):
    """Give the product another colour, in LAB, inside the mask; folds and print keep their light and dark."""

    stage = "generation"
    op: Literal["recolor"] = "recolor"
    colour: HexColour
    #: 1 takes the new colour whole, 0 leaves the old one.
    strength: float = Field(default=1.0, ge=0, le=1)


class Studio(_Operation):
    """Cut the product out and set it on a seamless background with a contact shadow, cropped to the fill ratio."""

    stage = "generation"
    op: Literal["studio"] = "studio"
    background: HexColour = "#ffffff"
    #: Share of the frame's limiting side that the product takes.
    fill: float = Field(default=0.88, gt=0.2, le=1)
    shadow: Literal["contact", "none"] = "contact"


class Scene(_Operation):
    """Cut the product out and set it into a scene drawn by code, in the light and shadow of that place."""

    stage = "generation"
    # No model was trained for it, but part of the picture was never in front of a camera.
    digital_source_type = "compositeSynthetic"
    op: Literal["scene"] = "scene"
    scene: str
    #: Where the light comes from; left out, from the scene's own side.
    light: Literal["left", "right", "top"] | None = None
    #: Share of the frame's limiting side that the product takes; less where the scene leaves less room.
    fill: float = Field(default=0.78, gt=0.2, le=1)
    shadow: Literal["soft", "none"] = "soft"

    @field_validator("scene")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in SCENES:
            raise ValueError(f"unknown scene {name!r}; known: {', '.join(sorted(SCENES))}")
        return name


class Style(_Operation):
    """Redraw the picture with a trained style."""

    stage = "style_transfer"
    digital_source_type = "compositeWithTrainedAlgorithmicMedia"
    op: Literal["style"] = "style"
    style: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
    #: 0 leaves the picture as it is, 1 redraws it fully.
    strength: float = Field(default=1.0, ge=0, le=1)
    #: Where the style is laid: the whole picture, the product alone, or all but the product.
    area: Literal["picture", "product", "background"] = "picture"


Operation = Annotated[Enhance | Recolor | Studio | Scene | Style, Field(discriminator="op")]

#: The order of the stages; a chain of operations must follow it.
STAGE_ORDER = ("generation", "style_transfer", "quality_filter")
