"""Codes that say what became of a listing or of one of its photos where nothing went wrong inside Vitrine.

Together with the `code` of every `ServeError` in `serve.errors` these are all codes that this room gives.
"""

from enum import StrEnum


class ListingCode(StrEnum):
    """Codes of answers and of their `errors` that are no errors of this room."""

    #: The listing carries no photos.
    NO_IMAGES = "no_images"
    #: A photo beyond the number that is worked on.
    IMAGE_LIMIT = "image_limit"
    #: Stored, but a person must look.
    QUALITY_REVIEW = "quality_review"
    #: An image, or all of them, broke a rule.
    QUALITY_REJECTED = "quality_rejected"
    #: The listing, or one of its photos, is on a block list.
    POLICY_BLOCKED = "policy_blocked"
    #: Stored, but a person must look: the listing or a photo is on a list.
    POLICY_REVIEW = "policy_review"
    #: The event was answered at another place.
    DUPLICATE_EVENT = "duplicate_event"
    #: A newer revision was answered before.
    STALE_REVISION = "stale_revision"
