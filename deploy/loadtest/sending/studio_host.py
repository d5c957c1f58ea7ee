"""A Studio for the in-process driver.

    python -m deploy.loadtest.sending.studio_host SOCKET

As many events at once as a replica of deploy/serve.yaml takes; the others wait, which is the queue of an open loop.
"""

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from queue import SimpleQueue

import yaml
from prometheus_client import CollectorRegistry

from consumers.events import BadEvent
from deploy.loadtest.measuring.observations import Observation, Taken
from deploy.loadtest.sending.answers import is_overtaken, item_of, letter, line_seen, place_of
from deploy.loadtest.sending.child import connect
from deploy.loadtest.workload.planned import Planned
from deploy.services.ray_serve import CONFIG
from serve.doors.events import parse_items
from serve.logs import set_up
from serve.metrics import PrometheusMetrics
from serve.schemas.exchange import EnrichRequest
from serve.schemas.redaction import secrets_of
from serve.settings import ServeSettings
from serve.studio import Studio, build_studio

#: Stands for the topic where an event has none.
WAY = "inprocess"


def main(address: str) -> None:
    """Answer until the other end hangs up."""
    connection = connect(address)
    settings = ServeSettings()
    set_up(settings.log_level, secrets_of(settings))
    studio = build_studio(settings, PrometheusMetrics(CollectorRegistry()))
    connection.send("ready")
    asyncio.run(answer_all(studio, connection, events_at_once()))


def events_at_once() -> int:
    """`events_per_replica` of deploy/serve.yaml."""
    application = yaml.safe_load(CONFIG.read_text())["applications"][0]
    return int(application["args"]["events_per_replica"])


async def answer_all(studio: Studio, connection: Connection, at_once: int) -> None:
    """Answer what comes over the connection; when it ends, so does this process, whatever is still in work."""
    loop = asyncio.get_running_loop()
    events: asyncio.Queue[Planned] = asyncio.Queue()
    seen: SimpleQueue[Observation] = SimpleQueue()

    def read() -> None:
        while True:
            event = connection.recv()
            # Taken here and not by the loop, which computing threads may keep waiting.
            seen.put(Taken(event.number, time.monotonic_ns(), place_of(WAY, event)))
            loop.call_soon_threadsafe(events.put_nowait, event)

    def write() -> None:
        while True:
            connection.send(seen.get())

    for work in (read, write):
        threading.Thread(target=_until_hung_up, args=(work,), daemon=True).start()
    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(_work(studio, events, seen))


def _until_hung_up(work: Callable[[], None]) -> None:
    try:
        work()
    except (EOFError, OSError):
        os._exit(0)


async def _work(studio: Studio, events: asyncio.Queue[Planned], seen: SimpleQueue[Observation]) -> None:
    while True:
        seen.put(await _answer(studio, await events.get()))


async def _answer(studio: Studio, event: Planned) -> Observation:
    place = place_of(WAY, event)
    item = item_of(event, place)
    if isinstance(item, BadEvent):
        return letter(place, item.code.value, time.monotonic_ns())
    # Through the door's own check: it refuses what is too large.
    items, refused = parse_items(EnrichRequest(items=[item]).model_dump_json(exclude_unset=True).encode())
    if refused:
        return line_seen(WAY, refused[0], time.monotonic_ns())
    seen = line_seen(WAY, await studio.answer(items[0]), time.monotonic_ns())
    if is_overtaken(seen):
        seen = line_seen(WAY, await studio.answer(items[0]), time.monotonic_ns())
    return seen


if __name__ == "__main__":
    main(sys.argv[1])
