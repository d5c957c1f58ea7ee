"""The asyncio thread that talks to Serve: requests out, every answer line into the inbox the moment that it comes."""

import asyncio
import logging
from collections.abc import Coroutine
from threading import Event, Thread
from typing import Any

import httpx
from pydantic import TypeAdapter, ValidationError

from consumers.core.actions import CancelItems, Send
from consumers.core.signals import Answered, Break, CapacityChanged, StreamBroken, StreamEnded, StreamOpened
from consumers.settings import ConsumerSettings
from consumers.shell.inbox import Inbox
from serve.schemas.exchange import NDJSON, AnswerLine, Capacity, EnrichRequest

log = logging.getLogger(__name__)

_LINE: TypeAdapter[Any] = TypeAdapter(AnswerLine)
_CONNECT_S = 5.0
_WRITE_S = 30.0
#: The request as such is wrong; sent again it fails again.
_REJECTED = frozenset((400, 413, 422))
_HERE = frozenset(("127.0.0.1", "localhost", "::1"))
#: A person must mend the token, or its rights.
_NOT_LET_IN = frozenset((httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN))


class ServeClient:
    """Keeps the requests under way. All methods but the private ones may be called from any thread."""

    def __init__(self, settings: ConsumerSettings, inbox: Inbox) -> None:
        self._settings = settings
        self._inbox = inbox
        self._loop = asyncio.new_event_loop()
        # Made here, so that an address that cannot be used is told to whoever starts the worker.
        self._http = _http(settings)
        self._open: dict[int, tuple[asyncio.Task[None], set[int]]] = {}
        self._capacity: Capacity | None = None
        self._started = Event()
        self._thread = Thread(target=self._run, name="serve-client", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()
        self._started.wait()

    def send(self, request: Send) -> None:
        """Ask Serve; the answers come through the inbox."""
        self._loop.call_soon_threadsafe(self._begin, request)

    def cancel(self, cancelled: CancelItems) -> None:
        """Forget these items; a request of which nothing is left is closed."""
        self._loop.call_soon_threadsafe(self._forget, cancelled)

    def stop(self, timeout_s: float) -> None:
        """Close all requests and end the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout_s)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._spawn(self._watch_capacity())
        self._loop.call_soon(self._started.set)
        self._loop.run_forever()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(self._http.aclose())
        self._loop.close()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return self._loop.create_task(work)

    def _begin(self, request: Send) -> None:
        refs = {item.ref for item in request.items}
        self._open[request.request_id] = (self._spawn(self._exchange(request)), refs)

    def _forget(self, cancelled: CancelItems) -> None:
        task, refs = self._open.get(cancelled.request_id, (None, set[int]()))
        refs.difference_update(cancelled.refs)
        if task is not None and not refs:
            task.cancel()

    async def _exchange(self, request: Send) -> None:
        number = request.request_id
        try:
            self._inbox.put(await self._stream(request) or StreamEnded(number))
        except (httpx.ReadTimeout, httpx.DecodingError, ValidationError) as error:
            self._inbox.put(StreamBroken(number, Break.BROKEN, f"{type(error).__name__}: {error}"[:500]))
        except httpx.HTTPError as error:
            # Before the response began: nothing was taken. A break within the stream is caught further down.
            self._inbox.put(StreamBroken(number, Break.REFUSED, f"{type(error).__name__}: {error}"[:500]))
        except Exception as error:
            log.exception("request failed", extra={"action": "request_failed"})
            self._inbox.put(StreamBroken(number, Break.BROKEN, repr(error)[:500]))
        finally:
            self._open.pop(number, None)

    async def _stream(self, request: Send) -> StreamBroken | None:
        body = EnrichRequest(items=[item.exchange() for item in request.items]).model_dump_json(exclude_unset=True)
        headers = {"content-type": "application/json", "accept": NDJSON}
        async with self._http.stream("POST", "/v1/enrich", content=body, headers=headers) as response:
            if response.status_code != httpx.codes.OK:
                return await _refusal(request.request_id, response)
            self._inbox.put(StreamOpened(request.request_id))
            try:
                async for line in response.aiter_lines():
                    # A blank line says that Serve is still at work.
                    if line.strip():
                        self._line(request.request_id, line)
            except httpx.TransportError as error:
                return StreamBroken(request.request_id, Break.BROKEN, f"{type(error).__name__}: {error}"[:500])
        return None

    def _line(self, request_id: int, line: str) -> None:
        answer = _LINE.validate_json(line)
        _, refs = self._open.get(request_id, (None, set[int]()))
        refs.discard(answer.ref)
        self._inbox.put(Answered(answer))

    async def _watch_capacity(self) -> None:
        while True:
            try:
                answer = await self._http.get("/v1/capacity", timeout=_CONNECT_S)
                answer.raise_for_status()
                self._told(Capacity.model_validate_json(answer.content))
            except (httpx.HTTPError, ValidationError) as error:
                # The last known capacity stands; that Serve is away, or lets nobody in, shows in the requests.
                log.debug("no capacity: %r", error)
            await asyncio.sleep(self._settings.capacity_every_s)

    def _told(self, capacity: Capacity) -> None:
        if capacity != self._capacity:
            self._capacity = capacity
            self._inbox.put(CapacityChanged(capacity.max_in_flight, capacity.max_events_per_request))


def _http(settings: ConsumerSettings) -> httpx.AsyncClient:
    timeout = httpx.Timeout(_WRITE_S, connect=_CONNECT_S, read=settings.serve_idle_s)
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=32, keepalive_expiry=4.0)
    client = httpx.AsyncClient(
        base_url=settings.serve_url,
        headers=settings.serve_headers(),
        verify=settings.serve_tls(),
        timeout=timeout,
        limits=limits,
        trust_env=False,
    )
    if settings.serve_token is not None and in_the_open(client.base_url):
        facts = {"action": "token_in_the_open", "url": settings.serve_url}
        log.warning("the token goes to Serve unencrypted, for all on the way to read: use https", extra=facts)
    return client


def in_the_open(url: httpx.URL) -> bool:
    """Whether what is sent there can be read on the way."""
    return url.scheme == "http" and url.host not in _HERE


async def _refusal(request_id: int, response: httpx.Response) -> StreamBroken:
    """How to take an answer other than 200.

    500 says that something broke while working on it. Everything else says that nothing was taken: no room (503,
    429), nobody behind the gateway (502, 504), a wrong address or credential (401, 403, 404), which a person mends.
    Until then no event is given up: that the token is wrong says nothing of the events.
    """
    text = (await response.aread())[:300].decode("utf-8", "replace")
    if response.status_code in _NOT_LET_IN:
        facts = {"action": "serve_refuses_token", "status": response.status_code}
        log.error("Serve does not let us in: check VITRINE_CONSUMERS_SERVE_TOKEN. %s", text, extra=facts)
    kind = Break.REFUSED
    if response.status_code in _REJECTED:
        kind = Break.REJECTED
    elif response.status_code == httpx.codes.INTERNAL_SERVER_ERROR:
        kind = Break.BROKEN
    try:
        retry_after_s = float(response.headers["retry-after"])
    except (KeyError, ValueError):
        retry_after_s = None
    return StreamBroken(request_id, kind, f"HTTP {response.status_code}: {text}", retry_after_s)
