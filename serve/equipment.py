"""An edition from the settings: the catalog, and the stages with the models that the settings name."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from models.cutout import GrabCut, MaskBackend
from models.cutout.version import learned_version
from models.registry.manifest import Source, find_weights
from serve.buckets import weights_reader
from serve.catalog.loader import load_catalog
from serve.edition import Edition
from serve.schemas.result import ModelRef
from serve.settings import ServeSettings
from serve.stages.cutting import Cutting, Recogniser
from serve.stages.generation import Generation
from serve.stages.loaded import Loaded
from serve.stages.quality_filter import QualityFilter
from serve.stages.style_transfer import StyleNet, StyleTransfer

if TYPE_CHECKING:
    from models.product import ProductModel


class Swap(BaseModel):
    """What may be swapped while a replica works. Left out: as the settings say."""

    model_config = ConfigDict(extra="forbid")
    catalog_dir: Path | None = None
    default_recipe: str | None = None
    cutout: Literal["learned", "grabcut"] | None = None
    product_weights: str | None = None
    attribute_weights: str | None = None
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


@dataclass(frozen=True, slots=True)
class StyleFacts:
    """What the manifest says of a style net."""

    name: str
    version: str
    styles: tuple[str, ...]


def equip(settings: ServeSettings) -> Edition:
    """Read the catalog and the manifests of the weights; nets are loaded when their stage warms up.

    Raise `CatalogInvalid` or `models.registry.manifest.WeightsError`.
    """
    facts = style_facts(settings)
    catalog = load_catalog(settings.catalog_dir, default_recipe=settings.default_recipe, styles=facts.styles)
    generation = Generation(card := _cutout_card(settings), _cutting(settings, card))
    style = StyleTransfer(facts, lambda: _load_style(settings))
    return Edition(catalog, (generation, style, QualityFilter(catalog.quality)))


def style_facts(settings: ServeSettings) -> StyleFacts:
    """The style net that the settings mean, without loading it; raise `WeightsError`."""
    found = find_weights("style", "pu2-style", _source(settings, settings.style_weights))
    return StyleFacts(found.name, found.entry.version, tuple(found.entry.config.get("styles", ())))


def _cutout_card(settings: ServeSettings) -> ModelRef:
    if settings.cutout == "grabcut":
        return ModelRef(name=GrabCut.name, version=GrabCut.version)
    found = find_weights("product", "lite-product", _source(settings, settings.product_weights))
    return ModelRef(name="learned", version=learned_version(found.entry.version))


# Only replicas that compute may pay for torch; the ingress imports this module too.
def _cutting(settings: ServeSettings, card: ModelRef) -> Cutting:
    """The cut-out and, where it knows products, the recognition that reads from the same pass."""
    if settings.cutout == "grabcut":
        return Cutting(Loaded(card, GrabCut))

    @cache
    def eye() -> "ProductModel":
        from models.product import ProductModel  # noqa: PLC0415

        source = _source(settings, settings.product_weights)
        return ProductModel.load(settings.device, source, fixed_batch=_fixed_batch(settings))

    def cutout() -> MaskBackend:
        from models.cutout.learned import LearnedCutout  # noqa: PLC0415

        return LearnedCutout(eye())

    @cache
    def recogniser() -> Recogniser:
        from models.recognition.attributes import AttributeModel  # noqa: PLC0415
        from models.recognition.reader import NoReader, open_reader  # noqa: PLC0415
        from models.recognition.recognise import Recogniser as Recognition  # noqa: PLC0415

        heads = AttributeModel.load(_source(settings, settings.attribute_weights), product=eye().version)
        reader = open_reader(limit_s=settings.read_text_limit_s) if settings.read_text else NoReader()
        return Recognition(eye(), heads, reader)

    return Cutting(Loaded(card, cutout), recogniser if settings.recognise else None)


def _load_style(settings: ServeSettings) -> StyleNet:
    from models.styles.transfer import StyleTransfer as Net  # noqa: PLC0415

    source = _source(settings, settings.style_weights)
    return Net.load(device=settings.device, weights=source, fixed_batch=_fixed_batch(settings))


def _fixed_batch(settings: ServeSettings) -> int | None:
    return settings.batch_shots if settings.deterministic else None


def _source(settings: ServeSettings, place: str | None) -> Source:
    return Source(place, read=weights_reader(settings))
