"""The way of one event, from the consumers' request to the answer."""

import asyncio
import logging
import math
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from datetime import UTC, date, datetime
from typing import ParamSpec, TypeVar

from serve.catalog.fitting import fit_recipe
from serve.codes import ListingCode
from serve.edition import Edition, Editions
from serve.errors import Overloaded, RequestError, ServeError
from serve.interfaces import Answered, Caller, ObjectStore, Removal, ResultIndex
from serve.logs import event_id
from serve.metrics import Metrics, Timings
from serve.photo import Photo
from serve.privacy.retention import Retention
from serve.production import Production
from serve.report import Report, answer, conclude, in_order
from serve.schemas.exchange import EnrichItem
from serve.schemas.outcome import Outcome
from serve.schemas.result import ListingResult

log = logging.getLogger(__name__)
P = ParamSpec("P")
R = TypeVar("R")


class Pipeline:
    """Answers events. Raises a `ServeError` where the event should come again; all else is an answer."""

    def __init__(
        self,
        *,
        editions: Editions,
        production: Production,
        store: ObjectStore,
        index: ResultIndex,
        metrics: Metrics,
        blocking: Executor,
        max_images: int = 24,
        photo_wait_s: float = 60.0,
        today: Callable[[], date] = lambda: datetime.now(UTC).date(),
        retention: Retention | None = None,
    ) -> None:
        """`retention` is about a cache of source photos; without it none is kept."""
        self._editions = editions
        self._production = production
        self._store = store
        self._index = index
        self._metrics = metrics
        self._blocking = blocking
        self._max_images = max_images
        self._photo_wait_s = photo_wait_s
        self._today = today
        self._retention = retention

    async def answer(self, item: EnrichItem, timeout_s: float = math.inf) -> ListingResult:
        """Answer one event: from the index, by removal, or by work that begins within `timeout_s`."""
        event_id.set(item.event_id)
        deadline = asyncio.get_running_loop().time() + timeout_s
        started_at = datetime.now(UTC)
        try:
            result = await self._answer(item, Caller(item.listing.tenant_id, deadline))
        except ServeError as error:
            self._metrics.event("error")
            log.warning("no answer", extra={"outcome": "error", "code": error.code, "reason": error.message})
            raise
        # One that was known already says nothing of this try.
        if result.started_at is not None:
            result = result.model_copy(update={"started_at": started_at})
        self._metrics.event(result.outcome)
        log.info("answered", extra={"outcome": result.outcome, "code": result.code, "outputs": len(result.outputs)})
        return result

    async def _answer(self, item: EnrichItem, caller: Caller) -> ListingResult:
        decision = await self._block(self._index.begin, item)
        if isinstance(decision, Answered):
            return decision.result
        if isinstance(decision, Removal):
            await self._block(self._erase, item, decision)
            result = answer(item, Outcome.REMOVED)
        else:
            edition = self._editions.of(item.listing.tenant_id, item.listing.listing_id)
            result = await self._enrich(item, caller, edition)
        return await self._block(self._finish, item, result)

    def _erase(self, item: EnrichItem, removal: Removal) -> None:
        self._store.delete(removal.keys)
        if self._retention is not None and not item.replay:
            self._retention.listing_deleted(item.listing)

    def _finish(self, item: EnrichItem, result: ListingResult) -> ListingResult:
        if self._retention is not None:
            self._retention.photos_removed(item.listing)
        result = self._index.finish(item, result)
        if self._retention is not None and result.outcome is Outcome.STALE:
            self._retention.came_too_late(item.listing)
        return result

    async def _enrich(self, item: EnrichItem, caller: Caller, edition: Edition) -> ListingResult:
        listing = item.listing
        try:
            recipe = edition.catalog.choose(listing)
            channels = edition.catalog.channels_of(listing.destination_profiles)
        except RequestError as error:
            return answer(item, Outcome.REJECTED, code=error.code, message=error.message)
        findings = await self._block(edition.catalog.policy.of_listing, listing)
        if findings and findings[0].action == "reject":
            message = findings[0].message
            return answer(item, Outcome.REJECTED, code=ListingCode.POLICY_BLOCKED, message=message)
        if not listing.images:
            message = "The listing has no photos."
            return answer(item, Outcome.REJECTED, code=ListingCode.NO_IMAGES, message=message, recipe=recipe.recipe)
        timings, on, bound = Timings(self._metrics), self._today(), listing.destination_profiles
        fitting = fit_recipe(recipe, lambda one: edition.catalog.channels_for(listing, one), bound, on)
        photos = [
            Photo(
                item=item,
                edition=edition,
                recipe=fitting.recipe,
                caller=caller,
                image_id=image_id,
                url=image.url,
                sha256=image.sha256 or None,
                timings=timings,
                changes=fitting.changes,
                on=on,
            )
            for image_id, image in in_order(listing)
        ]
        report = await self._make_all(photos) if fitting.recipe.variants else Report()
        report.refuse(fitting.refusals)
        if findings:
            report.holds[None] = "; ".join(one.message for one in findings)
        if again := report.another_try(final=item.final):
            raise again
        return conclude(item, recipe, report, timings.milliseconds(), channels=channels, on=on)

    async def _make_all(self, photos: Sequence[Photo]) -> Report:
        """Work on the photos side by side, as far as there is room; leaving early cancels the rest.

        Raise `Overloaded` while nothing is begun yet: waiting for room shall cost no attempt.
        """
        wanted, beyond = photos[: self._max_images], photos[self._max_images :]
        try:
            async with asyncio.timeout(self._photo_wait_s) as patience, asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._production.make(photo, lambda: _begun(patience))) for photo in wanted]
        except TimeoutError as error:
            raise Overloaded(f"No photo could be started within {self._photo_wait_s:g} s.") from error
        report = Report()
        for task in tasks:
            report.add(task.result())
        report.over_limit([photo.image_id for photo in beyond], self._max_images)
        return report

    async def _block(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Database and store answer in their own threads, never on the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._blocking, lambda: call(*args, **kwargs))


def _begun(patience: asyncio.Timeout) -> None:
    """Whoever has begun is let go on, however long it takes."""
    if not patience.expired():
        patience.reschedule(None)
