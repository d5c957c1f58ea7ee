"""Events to Serve's door: one request each, as many open as there are events without an answer.

What is no event never reaches Serve: with Kafka a worker makes a dead letter of it, here a `Letter` stands for that at
once. An error instead of an answer is a `Letter` too; an event that a deletion overtook is sent once more. An answer
that ends without the line of its event is nothing: the event will be missing.
"""

import asyncio
import json
import logging
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError

from consumers.events import BadEvent
from consumers.settings import ConsumerSettings
from deploy.errors import ServiceFailed
from deploy.loadtest.measuring.observations import Answer, Letter, Observation, Place, Sent, Taken, Unsent
from deploy.loadtest.sending.answers import is_overtaken, item_of, letter, line_seen, place_of
from deploy.loadtest.sending.exchange import Broken, Exchanges, NoFileDescriptor, Refused
from deploy.loadtest.workload.planned import Planned
from serve.schemas.exchange import NDJSON, AnswerLine, EnrichItem, EnrichRequest

log = logging.getLogger(__name__)

#: Stands for the topic where an event has none.
WAY = "http"
_LINE: TypeAdapter[Any] = TypeAdapter(AnswerLine)
_WARM_S = 30.0
_CLOSE_S = 5.0


class HttpDriver:
    """A `Driver` with an event loop in a thread of its own."""

    def __init__(self, settings: ConsumerSettings, report: Callable[[Observation], None]) -> None:
        self._settings = settings
        self._report = report
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="http", daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()
        self._handed = 0
        self._out = 0
        self._exchanges: Exchanges

    def warm(self) -> None:
        """Ask for Serve's capacity over the connection that the first event will take."""
        settings = self._settings
        headers = {"accept": NDJSON, **settings.serve_headers()}
        tls = settings.serve_tls()
        self._exchanges = Exchanges(settings.serve_url, headers, tls, idle_s=settings.serve_idle_s)
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self._look(), self._loop).result(_WARM_S)
        except (Broken, Refused, NoFileDescriptor, TimeoutError) as error:
            raise ServiceFailed(f"no event can be sent to Serve at {settings.serve_url}: {error}") from error

    async def _look(self) -> None:
        async for _ in self._exchanges.stream("GET", "/v1/capacity"):
            pass

    def send(self, event: Planned) -> None:
        """Hand it to the loop."""
        self._handed += 1
        self._loop.call_soon_threadsafe(self._begin, event)

    @property
    def pending(self) -> int:
        """Events that the loop has not begun with."""
        return self._handed - self._out

    @property
    def open(self) -> int:
        """Requests whose answer has not ended."""
        return len(self._tasks)

    def forget_connections(self) -> None:
        """Close those that are kept; the next event opens one."""
        self._loop.call_soon_threadsafe(self._exchanges.close)

    def close(self) -> None:
        """Leave the requests that are open."""
        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._leave(), self._loop).result(_CLOSE_S)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(_CLOSE_S)

    async def _leave(self) -> None:
        open_ones = list(self._tasks)
        for task in open_ones:
            task.cancel()
        await asyncio.gather(*open_ones, return_exceptions=True)
        self._exchanges.close()

    def _begin(self, event: Planned) -> None:
        # Opening a connection is a matter of the door, so that it is slow must not look like a late event.
        self._report(Sent(event.number, time.monotonic_ns()))
        place = place_of(WAY, event)
        item = item_of(event, place)
        if isinstance(item, BadEvent):
            self._dead(event, place, item.code.value)
        else:
            self._spawn(self._exchange(event, place, item))
        self._out += 1

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _exchange(self, event: Planned, place: Place, item: EnrichItem) -> None:
        body = EnrichRequest(items=[item]).model_dump_json(exclude_unset=True).encode()
        try:
            if await self._stream(event, place, body):
                await self._stream(event, place, body, again=True)
        except NoFileDescriptor:
            self._report(Unsent(event.number, time.monotonic_ns(), "no_file_descriptors"))
        except Broken as error:
            self._dead(event, place, error.code)
        except Refused as error:
            self._dead(event, place, _code(error))
        except Exception:
            log.exception("event %d", event.number)
            self._dead(event, place, "harness_defect")

    async def _stream(self, event: Planned, place: Place, body: bytes, *, again: bool = False) -> bool:
        """Report what comes; whether the event is to be sent once more."""
        rest, taken = b"", again
        seen: list[Answer | Letter] = []
        try:
            async for piece in self._exchanges.stream("POST", "/v1/enrich", body):
                at_ns = time.monotonic_ns()
                if not taken:
                    taken = True
                    self._report(Taken(event.number, at_ns, place))
                *whole, rest = (rest + piece).split(b"\n")
                seen += self._lines(place, whole, at_ns, again=again)
            seen += self._lines(place, [rest], time.monotonic_ns(), again=again)
        except Broken as error:
            if not taken:
                raise
            # After the answer nobody misses the end of the stream.
            if not seen:
                self._report(letter(place, error.code, time.monotonic_ns()))
        return not again and any(map(is_overtaken, seen))

    def _lines(self, place: Place, lines: Sequence[bytes], at_ns: int, *, again: bool) -> list[Answer | Letter]:
        found = [_read(place, line, at_ns) for line in lines if line.strip()]
        for one in found:
            if again or not is_overtaken(one):
                self._report(one)
        return found

    def _dead(self, event: Planned, place: Place, code: str) -> None:
        """`Taken` comes with it: by that the place is known to be the event's."""
        at_ns = time.monotonic_ns()
        self._report(Taken(event.number, at_ns, place))
        self._report(letter(place, code, at_ns))


def _read(place: Place, line: bytes, at_ns: int) -> Answer | Letter:
    try:
        return line_seen(WAY, _LINE.validate_json(line), at_ns)
    except ValidationError:
        return letter(place, "unreadable_line", at_ns)


def _code(error: Refused) -> str:
    """The code that Serve gives, else `http_STATUS`."""
    try:
        return str(json.loads(error.body)["error"]["code"])
    except (ValueError, KeyError, TypeError):
        return f"http_{error.status}"
