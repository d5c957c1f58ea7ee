"""A connection through the proxy: two directions, each with its toxics, which may change at any time."""

import asyncio
import random
import socket
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

from deploy.loadtest.proxy.toxics import Line, ResetPeer, Stream, Toxic

_CHUNK = 64 * 1024
#: Chunks that a direction holds while they are delayed; more are left with the sender.
_HELD = 256
#: SO_LINGER with no time at all: closing sends RST instead of FIN.
_RESET = struct.pack("ii", 1, 0)

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Connection:
    """One client, one server, two directions."""

    def __init__(self, client: Ends, server: Ends, chance: random.Random) -> None:
        self._writers = (client[1], server[1])
        self._links = {
            Stream.UPSTREAM: Link(client[0], server[1], self, chance),
            Stream.DOWNSTREAM: Link(server[0], client[1], self, chance),
        }
        self._chance = chance
        #: Whether a toxic is on this connection; drawn once for each.
        self._drawn: dict[str, bool] = {}

    async def run(self, toxics: Sequence[Toxic]) -> None:
        """Pass bytes until both directions have ended or the connection is cut."""
        self.set_toxics(toxics)
        try:
            await asyncio.gather(*(link.run() for link in self._links.values()))
        finally:
            self.set_toxics(())
            self.cut()

    def set_toxics(self, toxics: Sequence[Toxic]) -> None:
        """From now on these toxics are on; one that goes away and comes again is drawn anew."""
        self._drawn = {
            toxic.title: self._drawn.get(toxic.title, self._chance.random() < toxic.toxicity) for toxic in toxics
        }
        for stream, link in self._links.items():
            link.set_toxics([toxic for toxic in toxics if toxic.stream is stream and self._drawn[toxic.title]])

    def cut(self, *, reset: bool = False) -> None:
        """Close both sides at once; what was held is lost."""
        for writer in self._writers:
            if reset and (end := writer.get_extra_info("socket")) is not None:
                with suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort() if reset else writer.close()
        for link in self._links.values():
            link.stop()


class Link:
    """One direction."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        connection: Connection,
        chance: random.Random,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._connection = connection
        self._toxics: list[Toxic] = []
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._changed = asyncio.Event()
        self._held: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_HELD)
        self._tasks: list[asyncio.Task[None]] = []
        self._clock = asyncio.get_running_loop()
        self._line = Line(chance=chance, pause=self._pause, arrived=0.0, now=self._clock.time)

    async def run(self) -> None:
        """Pass bytes until the sender closes; a broken or cut connection just ends."""
        self._tasks = [asyncio.create_task(self._take()), asyncio.create_task(self._give())]
        try:
            await asyncio.gather(*self._tasks)
        except (asyncio.CancelledError, OSError):
            self._connection.cut()
        finally:
            self.stop()

    def stop(self) -> None:
        """Pass nothing more."""
        for task in self._tasks:
            task.cancel()

    def set_toxics(self, toxics: list[Toxic]) -> None:
        """Put these on; whoever waits because of one that is gone waits no longer."""
        known = {toxic.title for toxic in self._toxics}
        gone = known - {toxic.title for toxic in toxics}
        for title in gone & self._timers.keys():
            self._timers.pop(title).cancel()
        for toxic in toxics:
            if toxic.title not in known and (after_s := toxic.effect.cut_after_s) is not None:
                reset = isinstance(toxic.effect, ResetPeer)
                self._timers[toxic.title] = self._clock.call_later(after_s, self._cut, reset)
        self._toxics = toxics
        if gone:
            self._changed.set()
            self._changed = asyncio.Event()

    def _cut(self, reset: bool) -> None:
        self._connection.cut(reset=reset)

    async def _take(self) -> None:
        while True:
            chunk = await self._reader.read(_CHUNK)
            await self._held.put((self._clock.time(), chunk))
            if not chunk:
                return

    async def _give(self) -> None:
        while True:
            arrived, chunk = await self._held.get()
            toxics = list(self._toxics)
            if not chunk:
                for toxic in toxics:
                    await toxic.effect.before_close(self._line)
                # The other direction may still have something to say.
                if self._writer.can_write_eof():
                    self._writer.write_eof()
                return
            self._line.arrived = arrived
            async for piece in self._through(toxics, chunk):
                self._writer.write(piece)
                await self._writer.drain()
            if any(self._exhausted(toxic) for toxic in toxics):
                self._connection.cut()

    async def _through(self, toxics: Sequence[Toxic], chunk: bytes) -> AsyncIterator[bytes]:
        if not toxics:
            yield chunk
            return
        async for piece in toxics[0].effect.through(chunk, self._line):
            async for rest in self._through(toxics[1:], piece):
                yield rest

    def _exhausted(self, toxic: Toxic) -> bool:
        limit = toxic.effect.cut_after_bytes
        return limit is not None and self._line.passed >= limit

    async def _pause(self, seconds: float) -> None:
        if seconds > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), seconds)
