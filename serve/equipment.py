"""An edition from the settings: the catalog, and the stages with the models that the settings name."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from serve.catalog.loader import load_catalog
from serve.edition import Edition
from serve.marking import check_marks
from serve.nets import Nets
from serve.privacy.faces import FaceBlur, load_face_blur
from serve.settings import ServeSettings
from serve.stages.generation import Generation
from serve.stages.quality_filter import QualityFilter
from serve.stages.style_transfer import StyleTransfer


class Swap(BaseModel):
    """What may be swapped while a replica works. Left out: as the settings say."""

    model_config = ConfigDict(extra="forbid")
    catalog_dir: Path | None = None
    default_recipe: str | None = None
    cutout: Literal["learned", "grabcut"] | None = None
    product_weights: str | None = None
    attribute_weights: str | None = None
    quality_weights: str | None = None
    restoration_weights: str | None = None
    style_weights: str | None = None

    def over(self, settings: ServeSettings) -> ServeSettings:
        """The settings with these changes."""
        return settings.model_copy(update=self.model_dump(exclude_none=True, include=set(Swap.model_fields)))


class Trial(Swap):
    """A second edition, which a share of the listings gets: what it says goes over the first one's."""

    share: float = Field(ge=0, le=1)


class Changes(Swap):
    """`user_config` in deploy/serve.yaml."""

    trial: Trial | None = None


def equip(settings: ServeSettings) -> Edition:
    """Read the catalog and the manifests of the weights; nets are loaded when their stage warms up.

    Raise `CatalogInvalid`, `MarksUnready` or `models.registry.manifest.WeightsError`.
    """
    nets = Nets(settings)
    facts = nets.style_facts
    catalog = load_catalog(settings.catalog_dir, default_recipe=settings.default_recipe, styles=facts.styles)
    check_marks(settings, catalog.channels.values())
    generation = Generation(nets.cutout_card, nets.cutting(), nets.restorer())
    stages = (generation, StyleTransfer(facts, nets.style), QualityFilter(catalog.quality))
    return Edition(catalog, stages, _face_blur(settings) if catalog.may_blur_faces else None)


def _face_blur(settings: ServeSettings) -> FaceBlur:
    """What the catalog asks for must be there, or photos would be published with faces."""
    return load_face_blur(settings.face_weights, least_score=settings.face_score, limit_s=settings.face_limit_s)
