"""What came of the photos of one listing, and what the answer to its event is. Pure: no I/O but the clock's time."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from importlib.metadata import PackageNotFoundError, version

from serve.catalog.channel import Channel
from serve.catalog.fitting import Refusal
from serve.catalog.quality import breach, worse
from serve.catalog.recipe import Recipe
from serve.catalog.rules import ALL_IN_FORCE
from serve.codes import ListingCode
from serve.errors import ChannelUnfit, ServeError
from serve.schemas.clock import clock_name
from serve.schemas.exchange import EnrichItem
from serve.schemas.listing import Listing, ListingImage
from serve.schemas.outcome import Outcome, RetryClass, Verdict
from serve.schemas.result import ImageError, ListingResult, Output, Quality, RuleResult
from serve.schemas.subject import PhotoSubject

#: Codes of what was understood and is not wanted or cannot be, the one that says most first.
_STOPPED = (ListingCode.POLICY_BLOCKED, ListingCode.QUALITY_REJECTED, ChannelUnfit.code)


@dataclass(slots=True)
class Report:
    """Outputs and errors of a listing, or of one of its photos."""

    outputs: list[Output] = field(default_factory=list)
    errors: list[ImageError] = field(default_factory=list)
    #: What another try may mend.
    retryable: list[ServeError] = field(default_factory=list)
    #: Why a person must look at the images of a photo, by photo; under None: at all images of the listing.
    holds: dict[str | None, str] = field(default_factory=dict)
    #: When the last output was put into the store or found there.
    stored_at: datetime | None = None

    def stored(self, output: Output) -> None:
        """Note an image that is in the store now."""
        self.outputs.append(output)
        self.stored_at = datetime.now(UTC)

    def add(self, other: "Report") -> None:
        """Take over what came of another photo."""
        self.outputs += other.outputs
        self.errors += other.errors
        self.retryable += other.retryable
        self.holds |= other.holds
        self.stored_at = max(filter(None, (self.stored_at, other.stored_at)), default=None)

    def refuse(self, refusals: Sequence[Refusal]) -> None:
        """Note the variants that cannot be made for their channels, once for all photos."""
        for refusal in refusals:
            self.fail(None, refusal.variant, "plan", ChannelUnfit(str(refusal)))

    def fail(self, image_id: str | None, variant: str | None, stage: str, error: ServeError) -> None:
        """Note an error of a photo, or of one variant of it."""
        retryable = error.retry is not RetryClass.PERMANENT
        if retryable:
            self.retryable.append(error)
        self.errors.append(
            ImageError(
                image_id=image_id,
                variant=variant,
                stage=stage,
                code=error.code,
                retryable=retryable,
                message=error.message,
            )
        )

    def reject(self, image_id: str, variant: str, quality: Quality) -> None:
        """Note an image that the quality filter stopped."""
        self.errors.append(
            ImageError(
                image_id=image_id,
                variant=variant,
                stage="quality_filter",
                code=ListingCode.QUALITY_REJECTED,
                retryable=False,
                message="; ".join(quality.reasons) or "The image broke a rule.",
                quality=quality,
            )
        )

    def block(self, image_id: str, message: str) -> None:
        """Note a photo that is on a block list."""
        self.errors.append(
            ImageError(
                image_id=image_id,
                stage="policy",
                code=ListingCode.POLICY_BLOCKED,
                retryable=False,
                message=message,
            )
        )

    def held(self) -> "Report":
        """The report with the images that a person must look at marked so."""
        if not self.holds:
            return self
        return replace(self, outputs=[self._held(one) for one in self.outputs])

    def _held(self, output: Output) -> Output:
        reasons = [self.holds[one] for one in (None, output.source_image_id) if one in self.holds]
        if not reasons:
            return output
        judged = output.quality
        quality = judged.model_copy(
            update={"verdict": worse(judged.verdict, Verdict.REVIEW), "reasons": [*reasons, *judged.reasons]}
        )
        return output.model_copy(update={"quality": quality})

    def another_try(self, *, final: bool) -> ServeError | None:
        """Why the event should come again: always if store or index were away, else unless this is the last try."""
        away = [error for error in self.retryable if error.retry is RetryClass.BACK_PRESSURE]
        if away:
            return away[0]
        return self.retryable[0] if self.retryable and not final else None

    def over_limit(self, image_ids: Sequence[str], limit: int) -> None:
        """Note the photos beyond the limit of a listing."""
        message = f"Only the first {limit} photos of a listing are worked on."
        self.errors += [
            ImageError(image_id=one, stage="fetch", code=ListingCode.IMAGE_LIMIT, retryable=False, message=message)
            for one in image_ids
        ]


def conclude(
    item: EnrichItem,
    recipe: Recipe,
    report: Report,
    timings_ms: dict[str, float],
    *,
    channels: Sequence[Channel] = (),
    on: date = ALL_IN_FORCE,
) -> ListingResult:
    """The answer that the report amounts to; deploy/contracts/outcomes.md has the table.

    `channels` are those that the listing is bound for: their rules about all of its images are held here, on this day.
    """
    report = report.held()
    counted = [rule for channel in channels for rule in channel.check_count(len(report.outputs), on)]
    outcome, code, message = _outcome(report, counted)
    variants = [variant.name for variant in recipe.variants]
    images = [image_id for image_id, _ in in_order(item.listing)]
    outputs = sorted(report.outputs, key=lambda one: (images.index(one.source_image_id), variants.index(one.variant)))
    return answer(
        item,
        outcome,
        code=code,
        message=message,
        recipe=recipe.recipe,
        recipe_version=recipe.version,
        outputs=[one.model_copy(update={"subject": None}) for one in outputs],
        subjects=_subjects(outputs),
        errors=sorted(report.errors, key=lambda one: (images.index(one.image_id or images[0]), one.variant or "")),
        rules=counted if report.outputs else [],
        timings_ms=timings_ms,
        stored_at=report.stored_at,
    )


def _subjects(outputs: Sequence[Output]) -> list[PhotoSubject]:
    """What each photo shows, once, in the order of its first image."""
    known = {one.source_image_id: one.subject for one in outputs if one.subject is not None}
    return [PhotoSubject(image_id=image_id, **dict(subject)) for image_id, subject in known.items()]


def in_order(listing: Listing) -> list[tuple[str, ListingImage]]:
    """The photos with their ids, by position; a photo without a position or an id has that of its place in the list."""
    placed = [
        (number if image.position is None else image.position, image.image_id or str(number), image)
        for number, image in enumerate(listing.images)
    ]
    return [(image_id, image) for _, image_id, image in sorted(placed, key=lambda one: one[0])]


def _outcome(report: Report, counted: Sequence[RuleResult]) -> tuple[Outcome, str | None, str | None]:
    waiting = [output for output in report.outputs if output.quality.verdict is Verdict.REVIEW]
    too_many = [rule for rule in counted if not rule.passed and rule.severity != "advice"] if report.outputs else []
    if waiting or too_many:
        reasons = dict.fromkeys(reason for output in waiting for reason in output.quality.reasons)
        reasons |= dict.fromkeys(breach(rule.profile or "", rule) for rule in too_many)
        held = None in report.holds or any(output.source_image_id in report.holds for output in waiting)
        code = ListingCode.POLICY_REVIEW if held else ListingCode.QUALITY_REVIEW
        return Outcome.REVIEW_REQUIRED, code, "; ".join(reasons)
    if report.outputs:
        return Outcome.ENRICHED, None, None
    broken = [error for error in report.errors if error.code not in (*_STOPPED, ListingCode.IMAGE_LIMIT)]
    if broken:
        return Outcome.FAILED, broken[0].code, broken[0].message
    stopped = next(error for code in _STOPPED for error in report.errors if error.code == code)
    return Outcome.REJECTED, stopped.code, stopped.message


def answer(item: EnrichItem, outcome: Outcome, **fields: object) -> ListingResult:
    """A result for the event, with the fields that every result has; whoever took it up earlier says when."""
    listing, now = item.listing, datetime.now(UTC)
    return ListingResult.model_validate(
        {
            "event_id": item.event_id,
            "event_source": item.event_source,
            "position": item.position,
            "tenant_id": listing.tenant_id,
            "listing_id": listing.listing_id,
            "revision": listing.revision,
            "outcome": outcome,
            "consent": listing.consent,
            "started_at": now,
            "finished_at": now,
            "clock": clock_name(),
            "vitrine_version": software_version(),
            **fields,
        }
    )


def software_version() -> str:
    """The version of the installed package; `0` where it runs from a bare folder."""
    try:
        return version("vitrine")
    except PackageNotFoundError:
        return "0"
