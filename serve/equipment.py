"""An edition from the settings: the catalog, and the stages with the models that the settings name."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from models.cutout import GrabCut
from models.manifest import find_weights
from serve.catalog.loader import load_catalog
from serve.edition import Edition
from serve.settings import ServeSettings
from serve.stages.generation import Generation
from serve.stages.quality_filter import QualityFilter
from serve.stages.style_transfer import StyleNet, StyleTransfer


class Changes(BaseModel):
    """What may be swapped while a replica works: `user_config` in deploy/serve.yaml. Left out: as the settings say."""

    model_config = ConfigDict(extra="forbid")
    catalog_dir: Path | None = None
    default_recipe: str | None = None
    style_weights: Path | None = None

    def over(self, settings: ServeSettings) -> ServeSettings:
        """The settings with these changes."""
        return settings.model_copy(update=self.model_dump(exclude_none=True))


@dataclass(frozen=True, slots=True)
class StyleFacts:
    """What the manifest says of a style net."""

    name: str
    version: str
    styles: tuple[str, ...]


def equip(settings: ServeSettings) -> Edition:
    """Read the catalog and the manifests of the weights; nets are loaded when their stage warms up.

    Raise `CatalogInvalid` or `models.manifest.WeightsError`.
    """
    facts = style_facts(settings)
    catalog = load_catalog(settings.catalog_dir, default_recipe=settings.default_recipe, styles=facts.styles)
    style = StyleTransfer(facts, lambda: _load_style(settings))
    return Edition(catalog, (Generation(GrabCut()), style, QualityFilter(catalog.quality)))


def style_facts(settings: ServeSettings) -> StyleFacts:
    """The style net that the settings mean, without loading it; raise `WeightsError`."""
    found = find_weights("style", "pu2-style", settings.style_weights)
    return StyleFacts(found.name, found.entry.version, tuple(found.entry.config.get("styles", ())))


def _load_style(settings: ServeSettings) -> StyleNet:
    # Only replicas that compute may pay for torch; the ingress imports this module too.
    from models.style_transfer import StyleTransfer as Net  # noqa: PLC0415

    batch = settings.batch_shots if settings.deterministic else None
    return Net.load(device=settings.device, weights=settings.style_weights, fixed_batch=batch)
