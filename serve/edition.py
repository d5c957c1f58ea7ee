"""What is made, and with which models: the catalog and the stages that belong together."""

import hashlib
from dataclasses import dataclass

from serve.catalog.catalog import Catalog
from serve.catalog.recipe import Variant
from serve.interfaces import Stage
from serve.privacy.faces import FaceBlur
from serve.schemas.result import ModelRef


@dataclass(frozen=True, slots=True)
class Edition:
    """A catalog and the stages in their order. An event keeps the edition that it began with."""

    catalog: Catalog
    stages: tuple[Stage, ...]
    #: Makes faces unrecognisable; None where nothing in the catalog asks for it.
    faces: FaceBlur | None = None

    def models_for(self, variant: Variant) -> tuple[ModelRef, ...]:
        """The models that the stages would use for a variant."""
        return tuple(model for stage in self.stages for model in stage.models(variant))


class Editions:
    """The editions that new events begin with: one, and perhaps a second one on trial for a share of the listings."""

    def __init__(self, first: Edition) -> None:
        self._current = first
        self._trial: Edition | None = None
        self._share = 0.0

    @property
    def current(self) -> Edition:
        """The edition of everything that is not on trial."""
        return self._current

    @property
    def all(self) -> tuple[Edition, ...]:
        """Every edition that new events may begin with."""
        return (self._current,) if self._trial is None else (self._current, self._trial)

    def of(self, tenant: str, listing: str) -> Edition:
        """The edition of a listing; ask once per event.

        The same listing always gets the same one, and a listing on trial stays there when the share grows.
        """
        if self._trial is None or _place(tenant, listing) >= self._share:
            return self._current
        return self._trial

    def swap(self, edition: Edition, trial: Edition | None = None, share: float = 0.0) -> None:
        """New events begin with these from now on; the others end with theirs. `share` of the listings, 0..1."""
        self._current, self._trial, self._share = edition, trial, share


def _place(tenant: str, listing: str) -> float:
    """Where a listing lies among all, evenly spread: 0 <= place < 1."""
    digest = hashlib.sha256(f"{tenant}\0{listing}".encode()).digest()
    return int.from_bytes(digest[:6]) / 2**48
