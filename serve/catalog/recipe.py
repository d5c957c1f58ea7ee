"""Recipes: what to make of a listing, as data."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from serve.catalog.operations import STAGE_ORDER, Operation, Scene, Studio

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
Side = Annotated[int, Field(ge=64, le=5000)]


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Variant(_Data):
    """One output per source photo: a chain of operations, a size, a format, the channels that it must satisfy."""

    name: Name
    operations: Annotated[list[Operation], Field(min_length=1)]
    #: Width and height in pixels.
    size: tuple[Side, Side] = (1000, 1000)
    format: Literal["jpeg", "png", "webp", "avif"] = "jpeg"
    channels: list[Name] = []

    @property
    def background(self) -> str | None:
        """The colour that the chain asks for, `#rrggbb` in small letters; None for scenes and the photo's own."""
        grounds = [operation for operation in self.operations if isinstance(operation, Studio | Scene)]
        return grounds[-1].background.lower() if grounds and isinstance(grounds[-1], Studio) else None

    @model_validator(mode="after")
    def _stages_in_order(self) -> Self:
        ranks = [STAGE_ORDER.index(operation.stage) for operation in self.operations]
        if ranks != sorted(ranks):
            chain = " -> ".join(operation.op for operation in self.operations)
            raise ValueError(f"{chain}: operations must follow the stages {' -> '.join(STAGE_ORDER)}")
        if any(operation.op == "enhance" for operation in self.operations[1:]):
            raise ValueError("enhance corrects the photo as it came: it must be the first operation")
        return self


class Selection(_Data):
    """Which listings a recipe is for; an empty list means any. The most specific recipe wins."""

    tenants: list[str] = []
    categories: list[str] = []
    channels: list[str] = []
    locales: list[str] = []


class Recipe(_Data):
    """A named, versioned list of variants."""

    recipe: Name
    version: Annotated[int, Field(ge=1)]
    description: str
    select: Selection | None = None
    #: Whether faces are made unrecognisable before anything else is done with a photo.
    blur_faces: bool = False
    variants: Annotated[list[Variant], Field(min_length=1, max_length=64)]

    @model_validator(mode="after")
    def _unique_names(self) -> Self:
        names = [variant.name for variant in self.variants]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"variant names must differ: {', '.join(twice)}")
        return self
