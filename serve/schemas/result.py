"""What Vitrine answers: one result per event, with one record per image made."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from serve.schemas.listing import Consent, ListingId, Revision, TenantId
from serve.schemas.outcome import Outcome, RetryClass, Verdict
from serve.schemas.subject import PhotoSubject, Subject

#: What a broken rule of a channel leads to: the image is not stored, a person decides, or it is only told.
Severity = Literal["reject", "review", "advice"]


class _Record(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class ModelRef(_Record):
    """A model or algorithm that had a part in an image."""

    name: str
    version: str


class RuleResult(_Record):
    """One rule, what was measured, what was required."""

    rule: str
    passed: bool
    measured: float | str | None = None
    required: str
    #: What a breach leads to, for the rules of channels; what was not measured is no pass and asks a person.
    severity: Severity | None = None
    #: The channel whose rule it is; None for the rules of the quality filter.
    profile: str | None = None
    profile_version: str | None = None


class Quality(_Record):
    """The judgement of the quality filter on one image."""

    verdict: Verdict
    #: Share of the rules that hold, 0..1.
    score: float
    reasons: list[str] = []
    rules: list[RuleResult] = []


class Output(_Record):
    """One finished image in the object store."""

    image_id: str
    source_image_id: str
    source_sha256: str
    variant: str
    operations: list[str]
    s3_uri: str
    key: str
    sha256: str
    phash: str
    width: int
    height: int
    format: str
    content_type: str
    bytes: int
    models: list[ModelRef] = []
    seed: int
    #: The IPTC code, such as `algorithmicallyEnhanced`; it also stands in the image's XMP.
    digital_source_type: str
    #: Further marks of its making, read back from the file: `label`, `aigc`, `watermark`, `c2pa`.
    marks: list[str] = []
    quality: Quality
    #: What was changed of the variant so that the channels take the image, such as `size 1000x1000 -> 2200x2200`.
    adapted: list[str] = []
    #: The quality at which a lossy file was encoded, 1..100.
    encoding_quality: int | None = None
    #: Whether the image was made for this event or found already stored.
    reused: bool = False
    #: What the photo shows, as the index keeps it with the image; results have it in `subjects`, once per photo.
    subject: Subject | None = None
    #: How many faces were made unrecognisable; None where nobody asked for it.
    faces_blurred: int | None = None
    #: The perceptual hash of the source photo, which block lists are held against.
    source_phash: str | None = None


class ImageError(_Record):
    """Why a source photo, or one variant of it, gave no image."""

    image_id: str | None = None
    variant: str | None = None
    #: Where it happened: plan, policy, fetch, decode, faces, generation, style_transfer, quality_filter, encode, store.
    stage: str
    code: str
    retryable: bool
    message: str
    #: The rules that stopped the image, when the quality filter did.
    quality: Quality | None = None


class Position(_Record):
    """Where an event stands in Kafka. For a retried event: where it stood first."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    topic: Annotated[str, StringConstraints(max_length=249, pattern=r"^[^\x00-\x1f\x7f]+$")]
    partition: Annotated[int, Field(ge=0, le=2**31 - 1)]
    offset: Annotated[int, Field(ge=0, le=2**63 - 1)]


class ListingResult(_Record):
    """The `data` of a result event: exactly one per listing event."""

    event_id: str
    event_source: str
    position: Position | None = None
    tenant_id: TenantId
    listing_id: ListingId
    revision: Revision
    outcome: Outcome
    #: Machine-readable reason for every outcome but `enriched`; the table is in deploy/contracts/outcomes.md.
    code: str | None = None
    message: str | None = None
    recipe: str | None = None
    recipe_version: int | None = None
    outputs: list[Output] = []
    #: What the photos show, of which images were made.
    subjects: list[PhotoSubject] = []
    errors: list[ImageError] = []
    #: The channels' rules about the listing's images together, such as how many there may be.
    rules: list[RuleResult] = []
    #: What the event allowed; whoever keeps results for more than the listing goes by it.
    consent: Consent = Consent()
    #: Milliseconds spent per stage, summed over the images of the listing.
    timings_ms: dict[str, float] = {}
    #: Whether the rules that hold were left out of `quality.rules`, because the whole was too large for the broker.
    shortened: bool = False
    #: When a replica took the event up. None in an answer that was known already, as are the next two.
    started_at: datetime | None = None
    #: When the last of the images was put into the store or found there; None where there is none.
    stored_at: datetime | None = None
    finished_at: datetime
    #: The clock of these times: those of two clocks must not be subtracted. See `serve.schemas.clock`.
    clock: str | None = None
    vitrine_version: str


class ErrorInfo(_Record):
    """An error as it travels: what went wrong and how to treat it."""

    code: str
    retry: RetryClass
    message: str
    retry_after_s: float | None = None
    detail: dict[str, Any] = {}
