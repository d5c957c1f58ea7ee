"""A TCP proxy on loopback that spoils connections as it is told, for faults between two services.

In a thread of this process:

    with Proxy(upstream_port) as proxy:
        proxy.add(Toxic(effect=Latency(latency=500)))
"""

import asyncio
import random
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

from deploy.errors import DeployError
from deploy.loadtest.proxy.links import Connection
from deploy.loadtest.proxy.toxics import Toxic
from deploy.services.ports import free_ports

_HOST = "127.0.0.1"
_ANSWER_S = 10.0
T = TypeVar("T")


class Proxy:
    """Passes the connections of one port on to another; every method may be called from any thread."""

    def __init__(self, upstream_port: int, *, port: int | None = None, seed: int = 0) -> None:
        self.port = port or free_ports(1)[0]
        self._upstream_port = upstream_port
        self._chance = random.Random(seed)  # noqa: S311 - faults, not secrets
        self._toxics: dict[str, Toxic] = {}
        self._connections: set[Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"proxy-{self.port}", daemon=True)

    def start(self) -> None:
        """Listen."""
        self._thread.start()
        self._do(self._listen())

    def stop(self) -> None:
        """Close everything."""
        self._do(self._shut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_ANSWER_S)
        self._loop.close()

    def enable(self) -> None:
        """Listen again after `disable`."""
        self._do(self._listen())

    def disable(self) -> None:
        """The server is down: no connection is taken, those that were are cut."""
        self._do(self._shut())

    def redirect(self, upstream_port: int) -> None:
        """From now on pass connections on to another port; those that are open to the old one are cut."""
        self._do(self._redirect(upstream_port))

    async def _redirect(self, upstream_port: int) -> None:
        if upstream_port != self._upstream_port:
            self._upstream_port = upstream_port
            for connection in tuple(self._connections):
                connection.cut()

    def add(self, toxic: Toxic) -> None:
        """Put a toxic on all connections, those that are open too; `DeployError` if one of its name is there."""
        self._do(self._change(lambda: self._add(toxic)))

    def remove(self, title: str) -> None:
        """Take a toxic away; no error if it is not there."""
        self._do(self._change(lambda: self._toxics.pop(title, None)))

    def reset(self) -> None:
        """Take all toxics away and listen."""
        self._do(self._change(self._toxics.clear))
        self._do(self._listen())

    @property
    def toxics(self) -> list[Toxic]:
        """What is on."""
        return list(self._toxics.values())

    @property
    def open_connections(self) -> int:
        """How many connections pass."""
        return len(self._connections)

    def _add(self, toxic: Toxic) -> None:
        if toxic.title in self._toxics:
            raise DeployError(f"there is a toxic {toxic.title!r} already")
        self._toxics[toxic.title] = toxic

    async def _change(self, change: Callable[[], object]) -> None:
        change()
        for connection in tuple(self._connections):
            connection.set_toxics(self.toxics)

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, _HOST, self.port)

    async def _shut(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for connection in tuple(self._connections):
            connection.cut()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - asyncio calls this in a task of its own
        self._tasks.add(task)
        try:
            await self._pass_on(reader, writer)
        except asyncio.CancelledError:
            # The proxy was shut; asyncio would log a cancelled handler as a fault.
            writer.close()
        finally:
            self._tasks.discard(task)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(_HOST, self._upstream_port)
        except OSError:
            writer.transport.abort()
            return
        connection = Connection((reader, writer), (far_reader, far_writer), random.Random(self._chance.random()))  # noqa: S311
        self._connections.add(connection)
        try:
            await connection.run(self.toxics)
        finally:
            self._connections.discard(connection)

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_ANSWER_S)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
