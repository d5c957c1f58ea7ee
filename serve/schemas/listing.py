"""A listing, as the platform's event describes it."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StringConstraints

#: Part of every object key and metric label, hence the narrow alphabet.
TenantId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
#: Control characters break logs, file names and databases.
ListingId = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]+$")]
#: Revisions of a listing are ordered by this number; a platform without counters sends its update time in ms.
Revision = Annotated[int, Field(ge=0, le=2**63 - 1)]


#: Only a plain `true` allows anything; a platform that sends null means that nobody said so.
Allowed = Annotated[StrictBool, BeforeValidator(lambda value: False if value is None else value)]


class EventType(StrEnum):
    """The event types that Vitrine answers."""

    CREATED = "org.vitrine.catalog.listing.created.v1"
    UPDATED = "org.vitrine.catalog.listing.updated.v1"
    DELETED = "org.vitrine.catalog.listing.deleted.v1"


class ImageRole(StrEnum):
    """What an image is for in its listing."""

    MAIN = "main"
    ADDITIONAL = "additional"
    SWATCH = "swatch"
    LIFESTYLE = "lifestyle"


class _Open(BaseModel):
    """Unknown fields survive: a newer producer must not be refused by an older Vitrine."""

    model_config = ConfigDict(extra="allow", frozen=True)


class Category(_Open):
    """Where the platform files the product."""

    id: str | None = None
    path: str | None = None
    taxonomy: str | None = None


class ListingImage(_Open):
    """One source photo. Only `url` is needed; the id defaults to the position in the listing."""

    url: Annotated[str, StringConstraints(min_length=1, max_length=4096)]
    image_id: Annotated[str, StringConstraints(min_length=1, max_length=128)] | None = None
    role: ImageRole = ImageRole.ADDITIONAL
    position: int | None = None
    alt: str | None = None
    width: int | None = None
    height: int | None = None
    sha256: str | None = None
    content_type: str | None = None
    updated_at: datetime | None = None
    rights: str | None = None


class ListingVariant(_Open):
    """A buyable version of the product, such as a size or colour."""

    variant_id: str | None = None
    sku: str | None = None
    options: dict[str, str] = {}
    image_ids: list[str] = []


class Consent(_Open):
    """What may be done with photos and texts beyond the listing's own images; what is not said is not allowed."""

    personalisation: Allowed = False
    #: To train models with them.
    training: Allowed = False


class Listing(_Open):
    """The `data` of a listing event. Tenant, listing and revision are required; `images` may be empty."""

    tenant_id: TenantId
    listing_id: ListingId
    revision: Revision
    marketplace: str | None = None
    seller_id: str | None = None
    product_id: str | None = None
    sku: str | None = None
    gtin: str | None = None
    status: str | None = None
    title: str | None = None
    description: str | None = None
    brand: str | None = None
    category: Category | None = None
    product_type: str | None = None
    attributes: dict[str, Any] = {}
    locale: str | None = None
    currency: str | None = None
    tags: list[str] = []
    variants: list[ListingVariant] = []
    images: list[ListingImage] = []
    removed_image_urls: list[str] = []
    #: Name of the recipe to use; without it the catalog chooses by tenant, category, channel and locale.
    recipe: str | None = None
    #: Channels that every output must satisfy, beside those that its variant names.
    destination_profiles: list[str] = []
    consent: Annotated[Consent, BeforeValidator(lambda value: {} if value is None else value)] = Consent()

    @property
    def key(self) -> str:
        """`tenant:listing`, the Kafka key and the unit of order."""
        return f"{self.tenant_id}:{self.listing_id}"
