"""The door as ASGI middleware: whoever is not let in is answered here, and nothing behind it sees the request."""

import asyncio
import logging
from collections.abc import Callable
from ipaddress import ip_address
from time import monotonic

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve.doors.door import Door, DoorLimits, Knock, Visitor
from serve.doors.refusal import response_to
from serve.errors import ServeError

log = logging.getLogger(__name__)

#: Told of every refusal: its code, and the name of the token or `-`.
Refused = Callable[[str, str], None]
#: A refused body up to this size is let come and thrown away, which keeps the connection; others end with it.
_SMALL_BODY_BYTES = 2**20
#: The same refusal of the same token is logged once in so long.
_LOG_EVERY_S = 10.0
_VISITOR = "vitrine.visitor"


class BodyTooSlow(HTTPException):
    """Raised where the body is read. FastAPI lets this kind of exception through when it parses forms."""

    def __init__(self) -> None:
        super().__init__(408, "The body did not come in full in time.")


def visitor_of(scope: Scope) -> Visitor:
    """Who was let in with this request."""
    visitor: Visitor = scope.get(_VISITOR) or Visitor()
    return visitor


class Guard:
    """Asks the door, counts what is open, and gives bodies that come too slowly up."""

    def __init__(self, app: ASGIApp, *, door: Door, refused: Refused = lambda _code, _name: None) -> None:
        self._app = app
        self._door = door
        self._refused = refused
        self._told = _Told()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        visitor = Visitor()
        knock = Knock(_path(scope), tuple(scope["headers"]), _server(scope))
        try:
            visitor = self._door.identify(knock)
            self._door.permit(visitor, knock.path)
            with self._door.inside(visitor, knock.path):
                scope[_VISITOR] = visitor
                await self._app(scope, patient(receive, self._door.limits), send)
        except ServeError as error:
            self._refused(error.code, visitor.name)
            self._told.say(error, visitor.name, knock.path)
            await response_to(error, close=not _small_body(knock))(scope, receive, send)


class _Told:
    """Logs refusals without letting whoever knocks fill the disk."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], tuple[float, int]] = {}

    def say(self, error: ServeError, name: str, path: str) -> None:
        now = monotonic()
        since, silent = self._last.get((error.code, name), (float("-inf"), 0))
        if now - since < _LOG_EVERY_S:
            self._last[error.code, name] = since, silent + 1
            return
        self._last[error.code, name] = now, 0
        facts = {"code": error.code, "token": name, "path": path[:100], "more": silent}
        log.warning("not let in: %s", error.message, extra=facts)


def patient(receive: Receive, limits: DoorLimits) -> Receive:
    """A `receive` that raises `BodyTooSlow` where the body stops coming, or takes too long as a whole."""
    ends_at = asyncio.get_running_loop().time() + limits.body_total_s
    whole = False

    async def patiently() -> Message:
        nonlocal whole
        if whole:
            # What comes now is that the client has gone: nobody waits for that.
            return await receive()
        now = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout_at(min(now + limits.body_idle_s, ends_at)):
                message = await receive()
        except TimeoutError:
            raise BodyTooSlow from None
        whole = not message.get("more_body", False)
        return message

    return patiently


def _path(scope: Scope) -> str:
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def _server(scope: Scope) -> str | None:
    """The address at which the request came in; None where it is not known, or no address."""
    host = (scope.get("server") or (None, None))[0]
    try:
        return str(ip_address(host)) if host else None
    except ValueError:
        return None


def _small_body(knock: Knock) -> bool:
    if knock.values(b"transfer-encoding"):
        return False
    lengths = knock.values(b"content-length") or ["0"]
    return all(length.isdigit() and len(length) < 12 and int(length) <= _SMALL_BODY_BYTES for length in lengths)
