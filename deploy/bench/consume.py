"""Poll, decide, commit, with nothing to do for the events: what order, bookkeeping and bitmap cost."""

import tempfile
import time
from pathlib import Path
from random import Random
from threading import Thread

from consumers.core.actions import CancelItems, Outgoing, Send
from consumers.core.engine import Engine
from consumers.core.signals import Answered, CapacityChanged, Drain, Published, StreamEnded
from consumers.events import ListingEvent
from consumers.records import SourceRecord
from consumers.settings import ConsumerSettings
from consumers.shell.inbox import Inbox
from consumers.shell.poll import Poller
from deploy.bench import listings
from deploy.bench.broker import PATIENCE_S, Clock, bare_loop, fill, kafka, settings_for
from deploy.bench.figure import Figure, Progress, frozen_heap, in_turns
from deploy.errors import ServiceFailed
from serve.schemas.exchange import ResultLine

_GOAL = 0.7
_LOOK_S = 0.005
_PARTITIONS = 4


class Props:
    """Events and answers, made beforehand."""

    def __init__(self, events: int) -> None:
        self.events = [listings.event(number) for number in range(events)]
        self.results = {one.event_id: one for one in (listings.answer(listings.item(n)).result for n in range(events))}


class Nothing:
    """Serve and producer in one: answers every event and acknowledges every message at once."""

    def __init__(self, inbox: Inbox, props: "Props") -> None:
        self._inbox = inbox
        self._props = props
        self.done = 0

    def parse(self, record: SourceRecord) -> ListingEvent:
        """An event for the record, whose bytes nobody looks at."""
        events = self._props.events
        return events[(record.offset * _PARTITIONS + record.tp.partition) % len(events)]

    def send(self, request: Send) -> None:
        """Answer at once."""
        for ref, event, *_ in request.items:
            self._inbox.put(Answered(ResultLine(ref=ref, result=self._props.results[event.id])))
        self._inbox.put(StreamEnded(request.request_id))

    def cancel(self, cancelled: CancelItems) -> None:
        """Nothing is under way."""

    def put(self, outgoing: Outgoing) -> None:
        """Acknowledge at once."""
        self.done += 1
        self._inbox.put(Published(outgoing.token))


def run(progress: Progress, *, events: int = 40_000, rounds: int = 5) -> Figure:
    """Events per second."""
    with tempfile.TemporaryDirectory(prefix="vitrine-bench-") as name, kafka(Path(name)) as (endpoints, note):
        fill(settings_for(endpoints, "fill"), events)
        groups = (f"group-{number}" for number in range(10**6))
        props = Props(events)
        with frozen_heap():
            found = in_turns(
                lambda: bare_loop(settings_for(endpoints, next(groups)), events),
                lambda: deciding_loop(settings_for(endpoints, next(groups)), props),
                progress,
                rounds=rounds,
                budget_s=40.0,
            )
    return Figure.of("consume", found, unit="events/s", goal=_GOAL, note=note)


def deciding_loop(settings: ConsumerSettings, props: Props) -> float:
    """The worker's own poll thread with the engine, and `Nothing` around it."""
    inbox, events = Inbox(), len(props.events)
    nothing, clock = Nothing(inbox, props), Clock(events)
    engine = Engine(settings.limits(), settings.policy(), Random(0), parser=nothing.parse)  # noqa: S311 - jitter
    inbox.put(CapacityChanged(settings.max_in_flight, 32))
    poller = Poller(settings, engine, inbox, client=nothing, producer=nothing)
    thread = Thread(target=poller.run, name="poll", daemon=True)
    thread.start()
    deadline = time.monotonic() + PATIENCE_S
    while not clock.ended and thread.is_alive() and time.monotonic() < deadline:
        time.sleep(_LOOK_S)
        clock.saw(nothing.done, time.perf_counter())
    inbox.put(Drain(0.0))
    thread.join(PATIENCE_S)
    if not clock.ended:
        raise ServiceFailed(f"{clock.done} of {events} events were decided")
    return clock.rate
