"""Decides who may enter: knows tokens, rates and what is open, but no bodies and no sockets."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import Protocol

from serve.doors.address import is_loopback
from serve.doors.rate import Bucket
from serve.doors.tokens import Register, Right, Token
from serve.errors import DoorError, Forbidden, Overloaded, RateLimited, RequestTooLarge, Unauthorized

Header = tuple[bytes, bytes]

#: Asked by whatever watches the process, which has no token.
OPEN_PATHS = frozenset({"/healthz", "/readyz"})
PREVIEW = "/v1/preview"
#: All other paths want `admin`.
_RIGHTS = {
    "/v1/enrich": Right.ENRICH,
    "/v1/capacity": Right.ENRICH,
    PREVIEW: Right.PREVIEW,
    "/v1/recipes": Right.CATALOG,
    "/v1/channels": Right.CATALOG,
    "/docs": Right.CATALOG,
    "/openapi.json": Right.CATALOG,
    "/metrics": Right.METRICS,
}


class Registers(Protocol):
    """Where the tokens come from."""

    def current(self) -> Register:
        """Those that count now."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorLimits:
    """What the door bears, whoever comes."""

    #: Requests open at once, previews among them; health checks do not count.
    max_requests: int = 180
    max_previews: int = 8
    max_header_bytes: int = 16 * 1024
    #: Seconds without a byte of a body that is on its way, and until all of it must be there.
    body_idle_s: float = 10.0
    body_total_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who was let in; `token` is None where the door asks for none."""

    token: Token | None = None

    @property
    def name(self) -> str:
        """For logs and figures."""
        return self.token.name if self.token else "-"

    def speaks_for(self, tenant: str) -> bool:
        """Whether events of the tenant are taken."""
        return self.token is None or self.token.speaks_for(tenant)


@dataclass(frozen=True, slots=True)
class Knock:
    """A request as the door sees it."""

    path: str
    headers: tuple[Header, ...]
    #: The address of this machine at which it came in, where the server knows it.
    server: str | None = None

    def values(self, name: bytes) -> list[str]:
        """All headers of this name, in small letters."""
        return [value.decode("latin-1") for key, value in self.headers if key == name]


class Door:
    """One per ingress replica; its counts are for this process."""

    def __init__(
        self,
        registers: Registers | None = None,
        *,
        limits: DoorLimits = DoorLimits(),
        open_door: bool = False,
        clock: Callable[[], float] = monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Without `registers` nobody is asked for a token, and only this machine is let in unless `open_door`."""
        self.limits = limits
        self._registers = registers
        self._open_door = open_door
        self._clock = clock
        self._now = now
        self._known: Register | None = None
        self._buckets: dict[Token, Bucket] = {}
        #: By token; `None` counts everybody.
        self._requests: Counter[str | None] = Counter()
        self._previews: Counter[str | None] = Counter()

    @property
    def open_requests(self) -> int:
        """Requests inside."""
        return self._requests[None]

    def identify(self, knock: Knock) -> Visitor:
        """Whom the request is from; raise `RequestTooLarge`, `Unauthorized`, or `DoorError` where no token is asked."""
        if sum(len(name) + len(value) + 4 for name, value in knock.headers) > self.limits.max_header_bytes:
            raise RequestTooLarge(f"The header has more than {self.limits.max_header_bytes:,} bytes.")
        if knock.path in OPEN_PATHS:
            return Visitor()
        if self._registers is not None:
            return Visitor(self._token(self._registers.current(), knock.values(b"authorization")))
        if not self._open_door:
            _require_neighbour(knock)
        return Visitor()

    def permit(self, visitor: Visitor, path: str) -> None:
        """Raise `Forbidden` or `RateLimited` where the visitor may not do this, or not now."""
        token = visitor.token
        if token is None:
            return
        if not token.may(_RIGHTS.get(path, Right.ADMIN)):
            raise Forbidden
        if wait_s := self._buckets.setdefault(token, Bucket(token.per_second, token.burst)).take(self._clock()):
            raise RateLimited(f"{token.per_second:g} requests a second are allowed.", retry_after_s=wait_s)

    @contextmanager
    def inside(self, visitor: Visitor, path: str) -> Iterator[None]:
        """Count the request while it is open; raise `RateLimited` or `Overloaded` where there is no room."""
        if path in OPEN_PATHS:
            yield
            return
        token = visitor.token
        counts = [(self._requests, self.limits.max_requests, token.max_requests if token else None)]
        if path == PREVIEW:
            counts.append((self._previews, self.limits.max_previews, token.max_previews if token else None))
        for count, most, most_of_token in counts:
            if most_of_token is not None and count[visitor.name] >= most_of_token:
                raise RateLimited(f"{most_of_token} of these requests may be open at once.")
            if count[None] >= most:
                raise Overloaded("The door has no room for another request.")
        keys = {None, visitor.name}
        for count, *_ in counts:
            count.update(keys)
        try:
            yield
        finally:
            for count, *_ in counts:
                count.subtract(keys)
                for key in keys:
                    if not count[key]:
                        del count[key]

    def _token(self, register: Register, given: list[str]) -> Token:
        if register is not self._known:
            living = set(register.tokens)
            self._known, self._buckets = register, {t: b for t, b in self._buckets.items() if t in living}
        token = register.find(_secret(given), self._now())
        if token is None:
            raise Unauthorized
        return token


def _secret(given: Iterable[str]) -> str:
    """What comes behind `Bearer`; raise `Unauthorized` where there is nothing, or more than one."""
    values = list(given)
    scheme, _, secret = values[0].strip().partition(" ") if len(values) == 1 else ("", "", "")
    if scheme.lower() != "bearer" or not secret.strip():
        raise Unauthorized("A token is needed: `Authorization: Bearer <token>`.")
    return secret.strip()


def _require_neighbour(knock: Knock) -> None:
    """Raise `DoorError` unless the request comes from this machine, and not from a page that its browser shows.

    A browser carries requests of any page to addresses that only its own machine reaches; `Origin` and a foreign name
    in `Host` give them away.
    """
    if knock.server is None:
        return
    if not is_loopback(knock.server):
        raise DoorError(
            f"Without tokens only this machine is let in, and this request came in at {knock.server}: see "
            "VITRINE_SERVE_DOOR_TOKENS."
        )
    hosts = [host_of(value) for value in knock.values(b"host")]
    hosts += [host_of(value.partition("://")[2]) for value in knock.values(b"origin")]
    if not all(is_loopback(host) for host in hosts):
        raise DoorError("Without tokens only this machine is let in, and this request names another host.")


def host_of(authority: str) -> str:
    """`host:port` without the port."""
    if authority.startswith("["):
        return authority[1:].partition("]")[0]
    return authority.partition("/")[0].partition(":")[0]
