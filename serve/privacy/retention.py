"""How long source photos may be kept, and when they must go before that."""

import logging
from collections.abc import Callable, Sequence
from datetime import timedelta

from serve.interfaces import SourceCache, SourceOwner
from serve.schemas.listing import Listing

log = logging.getLogger(__name__)


class Retention:
    """The rule about cached source photos.

    A cache belongs to one node, and the deletion of a listing is answered on one node: the others learn of it from the
    index with their next round, and photos whose time is over are gone everywhere.
    """

    def __init__(
        self, cache: SourceCache, keep: timedelta, deleted_since: Callable[[timedelta], Sequence[tuple[str, str]]]
    ) -> None:
        """`keep` is the longest time that a photo may lie in the cache; `deleted_since` is the index's."""
        self._cache = cache
        self._keep = keep
        self._deleted_since = deleted_since

    def prune(self) -> int:
        """One round: forget photos whose time is over and those of deleted listings; give how many.

        Raise what cache and index raise; the next round does it again.
        """
        gone = self._cache.prune(self._keep.total_seconds())
        for tenant, listing in self._deleted_since(self._keep):
            gone += self._cache.erase(SourceOwner(tenant=tenant, listing=listing))
        return gone

    def listing_deleted(self, listing: Listing) -> None:
        """Forget all photos of a listing. Raise what the cache raises: the deletion must come again then."""
        self._cache.erase(_owner(listing))

    def photos_removed(self, listing: Listing) -> None:
        """The listing does without some photos from now on. Raise what the cache raises."""
        if listing.removed_image_urls:
            self._cache.erase(_owner(listing), listing.removed_image_urls)

    def came_too_late(self, listing: Listing) -> None:
        """The event was overtaken while it was worked on, maybe by a deletion: what it fetched shall not stay."""
        try:
            self._cache.erase(_owner(listing))
        except Exception as error:  # noqa: BLE001 - the event is answered; the next round of `prune` sees to the rest
            log.warning("source photos were not erased", extra={"reason": type(error).__name__})


def _owner(listing: Listing) -> SourceOwner:
    return SourceOwner(tenant=listing.tenant_id, listing=listing.listing_id)
