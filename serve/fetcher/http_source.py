"""Photos over HTTP: every address is checked, redirects one by one, and the body is counted as it comes."""

import asyncio
import ssl
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import urljoin

import httpcore

from serve.errors import AddressRefused, SourceNotFound, SourceTooLarge, SourceUnreachable
from serve.fetcher.address import origin
from serve.fetcher.cache import KeptSource
from serve.fetcher.coding import decoded
from serve.fetcher.connecting import METER, GuardedBackend, Meter, Resolver
from serve.fetcher.freshness import Validators, validators
from serve.fetcher.guard import Verdict, is_clean, screen
from serve.fetcher.hosts import Hosts, Visit
from serve.fetcher.policy import FetchPolicy

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_OK, _NOT_MODIFIED = 200, 304
#: Answers below 500 that a later try may change.
_PASSING = frozenset({408, 421, 425, 429})
_HEADERS = [(b"accept", b"image/*"), (b"accept-encoding", b"identity"), (b"user-agent", b"vitrine")]
#: Bytes of everything before an answer's body, and of what is read ahead with it.
_HEAD_BYTES = 192 * 1024
#: Bytes of the network per byte of a body, beyond that: chunks of single bytes would keep the event loop busy.
_FRAMING = 2
#: The longest pause that a server may ask for, in seconds.
_LONGEST_PAUSE_S = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A photo as its server gave it."""

    body: bytes
    content_type: str | None
    #: The hash of the address that gave it in the end.
    came_from: str
    #: How to ask whether it still holds; None where it must not be kept.
    validators: Validators | None
    #: The kept copy still holds and is the body.
    kept: bool = False


class HttpSource:
    """GET with the guard. The caller sets the total time limit and says when it ends."""

    def __init__(self, policy: FetchPolicy, resolver: Resolver, ssl_context: ssl.SSLContext | None) -> None:
        self._policy = policy
        self.hosts = Hosts(policy)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl_context or httpcore.default_ssl_context(),
            max_connections=64,
            max_keepalive_connections=16,
            keepalive_expiry=10,
            network_backend=GuardedBackend(policy, resolver),
        )

    async def fetch(self, url: str, deadline: float, kept: KeptSource | None = None) -> Answer:
        """The photo, or the word that the kept one still holds; raise `SourceError` kinds."""
        target = self._screened(url)
        for _ in range(self._policy.max_redirects + 1):
            async with self.hosts.visit(origin(target.host, target.port or 0), deadline) as visit:
                answer = await self._asked(target, kept, visit)
            if isinstance(answer, Answer):
                return answer
            target = self._screened(answer)
        raise SourceNotFound(f"more than {self._policy.max_redirects} redirects")

    async def aclose(self) -> None:
        """Close the connections."""
        await self._pool.aclose()

    def _screened(self, url: str) -> Verdict:
        verdict = screen(url, self._policy)
        if not verdict.allowed:
            raise AddressRefused(f"the address is not allowed: {verdict.reason}")
        if verdict.scheme not in {"http", "https"}:
            raise AddressRefused("redirected away from http")
        return verdict

    async def _asked(self, target: Verdict, kept: KeptSource | None, visit: Visit) -> Answer | str:
        try:
            return await self._get(target, kept, visit)
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as error:
            visit.answered = False
            raise SourceUnreachable(f"{target.host} does not answer") from error
        except (ssl.SSLError, UnicodeError) as error:
            raise SourceUnreachable(f"{target.host} does not answer as it should") from error

    async def _get(self, target: Verdict, kept: KeptSource | None, visit: Visit) -> Answer | str:
        came_from = sha256(target.url.encode()).hexdigest()
        known = kept if kept is not None and kept.came_from == came_from else None
        headers = [(b"host", target.netloc.encode()), *_HEADERS, *(known.validators.asked() if known else ())]
        url = httpcore.URL(
            scheme=target.scheme.encode(), host=target.host.encode(), port=target.port, target=target.target.encode()
        )
        meter = Meter(_HEAD_BYTES)
        METER.set(meter)
        async with self._pool.stream("GET", url, headers=headers, extensions={"timeout": self._timeouts()}) as response:
            visit.answered = True
            meter.limit += _FRAMING * self._policy.max_bytes
            fields = {name.lower(): value.decode("latin-1") for name, value in response.headers}
            if response.status in _REDIRECTS and b"location" in fields:
                return _joined(target.url, fields[b"location"])
            if response.status == _NOT_MODIFIED and known is not None:
                return Answer(
                    body=known.body,
                    content_type=known.content_type,
                    came_from=came_from,
                    validators=known.validators,
                    kept=True,
                )
            _raise_for_status(response.status, fields.get(b"retry-after", ""))
            size = fields.get(b"content-length", "0")
            if size.isdigit() and int(size) > self._policy.max_bytes:
                raise SourceTooLarge
            coding = fields.get(b"content-encoding", "identity")
            body = await decoded(_lean(response.aiter_stream(), meter), coding, self._policy.max_bytes)
            return Answer(
                body=body,
                content_type=fields.get(b"content-type"),
                came_from=came_from,
                validators=validators(fields),
            )

    def _timeouts(self) -> dict[str, float]:
        silence_s = self._policy.read_s
        return {"connect": self._policy.connect_s, "read": silence_s, "write": silence_s, "pool": silence_s}


def loop_time() -> float:
    """The clock of deadlines."""
    return asyncio.get_running_loop().time()


async def _lean(pieces: AsyncIterable[bytes], meter: Meter) -> AsyncIterator[bytes]:
    """The same pieces; raise `SourceTooLarge` where there is more framing than photo."""
    taken = 0
    async for piece in pieces:
        taken += len(piece)
        if meter.used > _FRAMING * taken + _HEAD_BYTES:
            raise SourceTooLarge("the server of the photo sends more framing than photo")
        yield piece


def _joined(base: str, location: str) -> str:
    """Where a redirect leads, still to be checked. Header bytes beyond ASCII are UTF-8 where they can be."""
    with suppress(UnicodeError):
        location = location.encode("latin-1").decode("utf-8")
    if not is_clean(location):
        raise AddressRefused("redirected to something that is not a URL")
    try:
        return urljoin(base, location)
    except ValueError as error:
        raise AddressRefused("redirected to something that is not a URL") from error


def _raise_for_status(status: int, retry_after: str) -> None:
    if status == _OK:
        return
    if status >= 500 or status in _PASSING:
        pause = min(int(retry_after), _LONGEST_PAUSE_S) if retry_after.isdigit() and len(retry_after) < 9 else None
        raise SourceUnreachable(f"the server of the photo answers {status}", retry_after_s=pause)
    raise SourceNotFound(f"the server of the photo answers {status}")
