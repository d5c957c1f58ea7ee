"""Asks the workers, or a Prometheus server, over HTTP. What comes back is bounded, or ignored."""

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Protocol
from urllib.parse import urlsplit

import httpx

from serve.scaling.figures import Figures
from serve.scaling.page import BadPage, Page, read_page
from serve.scaling.prometheus import BadAnswer, queries, read_figures
from serve.scaling.settings import ScalingSettings
from serve.scaling.tally import Tally

#: Below Serve's own logger, so that it stands in the controller's log.
log = logging.getLogger("ray.serve.scaling")

_MAX_BYTES = 4 * 2**20
_MAX_ADDRESSES = 256
_AT_ONCE = 16
_SAY_AGAIN_S = 60.0

Clock = Callable[[], float]


class Source(Protocol):
    """Who knows the load."""

    async def look(self) -> Figures | None:
        """The last figures that are known; None before there are any. What goes wrong is logged, not raised."""


class Complaints:
    """Says what goes wrong, once a minute for each address."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._said: dict[str, float] = {}

    def say(self, url: str, why: object) -> None:
        """There are no figures from this address."""
        if self._clock() - self._said.get(url, float("-inf")) >= _SAY_AGAIN_S:
            self._said[url] = self._clock()
            log.warning("no figures from %s: %s", url, str(why)[:500])


class Workers:
    """Reads the /metrics page of every worker."""

    def __init__(self, settings: ScalingSettings, http: httpx.AsyncClient, clock: Clock) -> None:
        self._settings = settings
        self._http = http
        self._clock = clock
        self._complaints = Complaints(clock)
        self._tally = Tally(settings)

    async def look(self) -> Figures | None:
        """See `Source`."""
        limit = asyncio.Semaphore(_AT_ONCE)
        found = await asyncio.gather(*(self._pages(url, limit) for url in self._settings.metrics_urls))
        return self._tally.take([page for pages in found for page in pages], self._clock())

    async def _pages(self, url: str, limit: asyncio.Semaphore) -> Iterable[Page]:
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                addresses = await _addresses(url)
        except (OSError, TimeoutError) as error:
            self._complaints.say(url, repr(error))
            return []
        pages = await asyncio.gather(*(self._page(url, address, limit) for address in addresses))
        read = [page for page in pages if isinstance(page, Page)]
        # A name may have an address more than its worker listens at, as localhost has.
        if not read:
            self._complaints.say(url, "; ".join(map(str, pages)))
        return read

    async def _page(self, url: str, address: str, limit: asyncio.Semaphore) -> Page | str:
        try:
            async with limit, asyncio.timeout(self._settings.timeout_s):
                text = await _get(self._http, url, address=address)
            return read_page(text)
        except (httpx.HTTPError, BadPage, OSError, TimeoutError) as error:
            return f"{address}: {error!r}"


class Prometheus:
    """Asks a Prometheus server."""

    def __init__(self, settings: ScalingSettings, http: httpx.AsyncClient, clock: Clock) -> None:
        self._settings = settings
        self._http = http
        self._clock = clock
        self._complaints = Complaints(clock)
        self._figures: Figures | None = None

    async def look(self) -> Figures | None:
        """See `Source`."""
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                asked = {name: self._ask(query) for name, query in queries(self._settings).items()}
                bodies = dict(zip(asked, await asyncio.gather(*asked.values()), strict=True))
            self._figures = read_figures(bodies, self._clock()) or self._figures
        except (httpx.HTTPError, BadAnswer, OSError, TimeoutError) as error:
            self._complaints.say(str(self._settings.prometheus_url), repr(error))
        return self._figures

    def _ask(self, query: str) -> Awaitable[str]:
        base = str(self._settings.prometheus_url).rstrip("/")
        return _get(self._http, f"{base}/api/v1/query", params={"query": query})


def open_source(settings: ScalingSettings, clock: Clock) -> Source:
    """The source that the settings name; for one event loop."""
    token = os.environ.get(settings.token_env, "") if settings.token_env else ""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    http = httpx.AsyncClient(headers=headers, timeout=settings.timeout_s, trust_env=False)
    return Workers(settings, http, clock) if settings.metrics_urls else Prometheus(settings, http, clock)


async def _addresses(url: str) -> list[str]:
    """The IP addresses behind a URL's name: those of all workers, where a name stands for several."""
    parts = urlsplit(url)
    found = await asyncio.get_running_loop().getaddrinfo(parts.hostname, parts.port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))[:_MAX_ADDRESSES]


async def _get(
    http: httpx.AsyncClient, url: str, *, address: str | None = None, params: Mapping[str, str] | None = None
) -> str:
    target = httpx.URL(url)
    headers, more = {}, {}
    if address is not None:
        # To this address, but for the name: certificates and virtual hosts go by it.
        headers["Host"] = target.netloc.decode()
        more["sni_hostname"] = target.host
        target = target.copy_with(host=address)
    body = bytearray()
    async with http.stream("GET", target, params=params, headers=headers, extensions=more) as answer:
        answer.raise_for_status()
        async for chunk in answer.aiter_bytes():
            body += chunk
            if len(body) > _MAX_BYTES:
                raise BadPage(f"more than {_MAX_BYTES:,} bytes")
    return body.decode("utf-8", "replace")
