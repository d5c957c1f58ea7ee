"""A bound on the bytes of a request, before any parser or disk sees them."""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class BodyTooLarge(HTTPException):
    """Raised where the body is read. FastAPI lets this kind of exception through when it parses forms."""

    def __init__(self, limit: int) -> None:
        super().__init__(413, f"The body has more than {limit:,} bytes.")


class BodyLimit:
    """ASGI middleware for one path: refuses what is announced too large unread, and counts what comes."""

    def __init__(self, app: ASGIApp, *, path: str, limit: int) -> None:
        self._app = app
        self._path = path
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        bounded = scope["type"] == "http" and scope["path"].removeprefix(scope.get("root_path", "")) == self._path
        await self._app(scope, self._counted(scope, receive) if bounded else receive, send)

    def _counted(self, scope: Scope, receive: Receive) -> Receive:
        announced = dict(scope["headers"]).get(b"content-length", b"")
        too_large = announced.isdigit() and int(announced) > self._limit
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            if too_large:
                raise BodyTooLarge(self._limit)
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._limit:
                raise BodyTooLarge(self._limit)
            return message

        return counted
