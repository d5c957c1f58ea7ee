"""A source photo of an event, and what the catalog and the policy say of it."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date

from serve.catalog.plan import PlannedShot
from serve.catalog.recipe import Recipe, Variant
from serve.catalog.rules import ALL_IN_FORCE
from serve.edition import Edition
from serve.errors import FaceBlurFailed, ServeError
from serve.interfaces import Caller, SourceOwner
from serve.metrics import Timings
from serve.report import Report
from serve.schemas.exchange import EnrichItem
from serve.schemas.result import ModelRef

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Photo:
    """A source photo of an event, and where its figures and its findings go."""

    item: EnrichItem
    edition: Edition
    recipe: Recipe
    caller: Caller
    image_id: str
    url: str
    #: The hash that the event gives; other bytes are not worked on.
    sha256: str | None = None
    timings: Timings
    #: What was changed of the recipe's variants so that the channels take their images, by name.
    changes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    #: The day on which the channels' rules are to hold.
    on: date = ALL_IN_FORCE
    report: Report = field(default_factory=Report)

    @property
    def owner(self) -> SourceOwner:
        """Whose photo it is."""
        return SourceOwner(tenant=self.item.listing.tenant_id, listing=self.item.listing.listing_id)

    @contextmanager
    def noting(self, stage: str, variant: str | None = None) -> Iterator[None]:
        """Turn an error of this step into a line of the report; a defect is logged with its stack."""
        try:
            yield
        except ServeError as error:
            self.report.fail(self.image_id, variant, stage, error)
        except Exception:
            log.exception("defect", extra={"stage": stage, "image_id": self.image_id, "variant": variant})
            hidden = ServeError("Something went wrong inside Vitrine; its log says what.")
            self.report.fail(self.image_id, variant, stage, hidden)

    @property
    def hides_faces(self) -> bool:
        """Whether faces go from the photo: then from all its images, for it is prepared once for all of them."""
        catalog, listing = self.edition.catalog, self.item.listing
        channels = [one for variant in self.recipe.variants for one in catalog.channels_for(listing, variant)]
        return catalog.blurs_faces(self.recipe, listing.tenant_id, channels)

    def models_for(self, variant: Variant) -> tuple[ModelRef, ...]:
        """The models of the stages, and what blurs faces; raise `FaceBlurFailed` where it is asked for in vain."""
        models = self.edition.models_for(variant)
        if not self.hides_faces:
            return models
        if self.edition.faces is None:
            raise FaceBlurFailed("Faces are to be blurred, and this replica cannot.")
        return (*models, self.edition.faces.model)

    def passes_policy(self, source_phash: str) -> bool:
        """Whether the photo may be worked on; what the block lists say of it goes into the report."""
        for finding in self.edition.catalog.policy.of_photo(self.item.listing.tenant_id, source_phash):
            if finding.action == "reject":
                self.report.block(self.image_id, finding.message)
                return False
            self.report.holds.setdefault(self.image_id, finding.message)
        return True

    def output_id(self, planned: PlannedShot) -> str:
        """The id of an output in the result."""
        return f"{self.image_id}-{planned.variant.name}"

    def adapted(self, planned: PlannedShot, width: int, height: int) -> list[str]:
        """What differs from the recipe's variant: for the channels, and for their byte limits."""
        told = list(self.changes.get(planned.variant.name, ()))
        if (width, height) != planned.variant.size:
            asked = "x".join(map(str, planned.variant.size))
            told.append(f"size {asked} -> {width}x{height} for at most {planned.max_bytes} bytes")
        return told
