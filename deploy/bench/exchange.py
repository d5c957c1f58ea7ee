"""Events over HTTP: many per request with a streamed answer, against one by one. Both by the worker's own client."""

import tempfile
import time
from pathlib import Path

from consumers.core.actions import Item, Send
from consumers.core.signals import Answered, StreamBroken, StreamEnded
from consumers.settings import ConsumerSettings
from consumers.shell.client import ServeClient
from consumers.shell.inbox import Inbox
from deploy.bench import listings
from deploy.bench.answering import answering
from deploy.bench.figure import Figure, Progress, in_turns
from deploy.errors import ServiceFailed
from serve.schemas.exchange import MAX_EVENTS_PER_REQUEST

_GOAL = 10.0
#: 8 requests of 32: what a worker with a full credit of 256 has open.
_OPEN = 8
_LOOK_S = 0.0002


def run(progress: Progress, *, events: int = 4_000, singles: int = 400, rounds: int = 5) -> Figure:
    """Events per second through `POST /v1/enrich` of an ingress that answers at once."""
    with tempfile.TemporaryDirectory(prefix="vitrine-bench-") as folder, answering(Path(folder)) as url:
        inbox = Inbox()
        client = ServeClient(ConsumerSettings(serve_url=url), inbox)
        client.start()
        try:
            found = in_turns(
                lambda: ask(client, inbox, singles, per_request=1, most_open=1),
                lambda: ask(client, inbox, events, per_request=MAX_EVENTS_PER_REQUEST, most_open=_OPEN),
                progress,
                rounds=rounds,
            )
        finally:
            client.stop(5.0)
    return Figure.of("exchange", found, unit="events/s", goal=_GOAL)


def ask(client: ServeClient, inbox: Inbox, events: int, *, per_request: int, most_open: int) -> float:
    """Events per second; `ServiceFailed` unless every event is answered."""
    records = listings.records(events)
    known = listings.parsed(records)
    items = [Item(ref, known[record.tp, record.offset], record, 1, final=False) for ref, record in enumerate(records)]
    requests = [Send(start, items[start : start + per_request]) for start in range(0, events, per_request)]
    requests.reverse()
    answered = under_way = 0
    started = time.perf_counter()
    while requests or under_way:
        while requests and under_way < most_open:
            client.send(requests.pop())
            under_way += 1
        happened = inbox.drain()
        for signal in happened:
            match signal:
                case Answered():
                    answered += 1
                case StreamEnded():
                    under_way -= 1
                case StreamBroken():
                    raise ServiceFailed(f"the bench's own Serve failed: {signal.message}")
                case _:
                    pass
        if not happened:
            time.sleep(_LOOK_S)
    if answered != events:
        raise ServiceFailed(f"{answered} of {events} events were answered")
    return events / (time.perf_counter() - started)
