"""What the event's `consent` allows. Pure."""

from typing import Protocol

from serve.schemas.listing import Consent


class Consenting(Protocol):
    """Anything that carries consent: a listing, or the result of its event."""

    @property
    def consent(self) -> Consent:
        """What was allowed."""
        ...


def may_train(of: Consenting) -> bool:
    """Whether photos, texts and images of it may be used to train models: only where the event plainly said so."""
    return of.consent.training is True
