"""Errors of this room as HTTP answers. Pure."""

from math import ceil

from starlette.responses import JSONResponse

from serve.errors import (
    DoorError,
    Forbidden,
    RateLimited,
    RequestTooLarge,
    RequestTooSlow,
    ServeError,
    SourceTooLarge,
    Unauthorized,
    UnknownRecipe,
)
from serve.schemas.outcome import RetryClass

#: The first that fits counts.
_STATUS: tuple[tuple[type[ServeError], int], ...] = (
    (Unauthorized, 401),
    (Forbidden, 403),
    (RateLimited, 429),
    (RequestTooSlow, 408),
    (DoorError, 403),
    (UnknownRecipe, 404),
    (SourceTooLarge, 413),
    (RequestTooLarge, 413),
)
#: Only these say that it is worth coming again by oneself; of a wrong token a person must hear.
_WAIT = (429, 503)


def status_of(error: ServeError) -> int:
    """The HTTP status that says most about the error."""
    for kind, status in _STATUS:
        if isinstance(error, kind):
            return status
    return 422 if error.retry is RetryClass.PERMANENT else 503


def response_to(error: ServeError, *, close: bool = False) -> JSONResponse:
    """The error as JSON; a sender that may try again is told when, in whole seconds."""
    status = status_of(error)
    headers: dict[str, str] = {}
    if status in _WAIT:
        headers["Retry-After"] = str(max(1, ceil(error.retry_after_s or 1)))
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="vitrine"'
    if close:
        headers["Connection"] = "close"
    return JSONResponse({"error": error.info().model_dump(mode="json")}, status_code=status, headers=headers)
