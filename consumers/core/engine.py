"""All decisions of a worker in one synchronous class: signals and the time go in, actions come out.

No I/O, no clock, no thread, no global randomness: the same signals at the same times with the same seed give the same
actions, whatever the machine does. What must hold is written at the classes that it is made of; the one rule over
all of them: an offset is complete only after the broker has acknowledged what its event ended in.
"""

from collections.abc import Callable, Iterable, Sequence
from enum import Enum, auto
from random import Random

from consumers.core import actions, signals
from consumers.core.delivery import AtLeastOnce, Delivery, Transactional
from consumers.core.dispatcher import Dispatcher
from consumers.core.failures import Failures
from consumers.core.flow import Buffer, Credit, Watermarks
from consumers.core.heads import Heads
from consumers.core.limits import Limits
from consumers.core.outbox import Outbox, Parcel
from consumers.core.partitions import Fresh, Partitions
from consumers.core.retry import RetryPolicy
from consumers.core.status import Status
from consumers.core.task import Assignment, Task
from consumers.events import BadEvent, ListingEvent, parse
from consumers.records import SourceRecord, TopicPartition
from serve.schemas.exchange import ErrorLine
from serve.schemas.outcome import RetryClass
from serve.schemas.result import ErrorInfo

Parser = Callable[[SourceRecord], ListingEvent | BadEvent]


class Phase(Enum):
    """The life of an engine; it never goes back."""

    RUNNING = auto()
    DRAINING = auto()  #: nothing new is taken or sent; what is in flight may finish
    CLOSING = auto()  #: the last commit waits for its answer
    STOPPED = auto()


class Engine:
    """The decision core. Call `handle` with everything that happened since the last call, at least every 100 ms."""

    def __init__(self, limits: Limits, policy: RetryPolicy, random: Random, parser: Parser = parse) -> None:
        self._buffer = Buffer()
        self._partitions = Partitions(self._buffer)
        self._credit = Credit(limits)
        self._watermarks = Watermarks(limits)
        self._heads = Heads(limits, self._watermarks.window_high)
        self._dispatcher = Dispatcher(limits, policy, self._credit)
        self._outbox = Outbox()
        self._failures = Failures(
            limits, policy, random, credit=self._credit, dispatcher=self._dispatcher, outbox=self._outbox
        )
        delivery = Transactional if limits.transactional else AtLeastOnce
        self._delivery: Delivery = delivery(limits, policy, self._outbox, self._failures)
        self._parse = parser
        self._now = 0.0
        self._phase = Phase.RUNNING
        self._drain_until = 0.0
        self._out: list[actions.Action] = []
        self._handlers: dict[type, Callable[..., None]] = {
            signals.Assigned: self._on_assigned,
            signals.Repositioned: self._on_repositioned,
            signals.Revoked: self._on_revoked,
            signals.Lost: self._on_lost,
            signals.Received: self._on_received,
            signals.StreamOpened: lambda _: self._credit.breaker.accepted(),
            signals.Answered: self._on_answered,
            signals.StreamEnded: self._on_stream_ended,
            signals.StreamBroken: self._on_stream_broken,
            signals.CapacityChanged: lambda signal: self._credit.tell(
                signal.max_in_flight, signal.max_events_per_request
            ),
            signals.Drain: self._on_drain,
        }

    def handle(self, now: float, happened: Sequence[signals.Signal] = ()) -> list[actions.Action]:
        """Take note of what happened and say what to do. `now` in seconds of any clock; if it falls, time stands."""
        self._now = max(self._now, now)
        self._out = []
        for signal in happened:
            handler = self._handlers.get(type(signal))
            if handler is not None:
                handler(signal)
            else:
                self._settle(self._delivery.told(signal, self._now, self._partitions.owned))
        if self._phase is not Phase.STOPPED:
            self._pass_time()
        return self._out

    @property
    def busy(self) -> bool:
        """Whether anything is received and not done."""
        return self._buffer.all_items > 0

    def status(self) -> Status:
        """What the metrics show."""
        return Status.of(
            self._partitions.owned.values(),
            self._watermarks.paused,
            in_flight=self._dispatcher.in_flight,
            buffered_bytes=self._buffer.all_bytes,
            breaker=self._credit.breaker.state(self._now),
            unpublished=len(self._outbox),
            commits_unanswered=self._delivery.unanswered,
        )

    # -- assignment --

    def _on_assigned(self, signal: signals.Assigned) -> None:
        self._withdraw([signal.tp])
        self._partitions.assign(signal, self._now)
        self._watermarks.assign(signal.tp)

    def _on_repositioned(self, signal: signals.Repositioned) -> None:
        if signal.tp in self._partitions.owned:
            paused = signal.tp in self._watermarks.paused
            self._withdraw([signal.tp])
            self._partitions.reposition(signal)
            if paused:
                self._watermarks.assign(signal.tp)

    def _on_revoked(self, signal: signals.Revoked) -> None:
        commit = self._delivery.closing(self._withdraw(signal.tps))
        if commit is not None:
            self._out.append(commit)

    def _on_lost(self, signal: signals.Lost) -> None:
        self._withdraw(signal.tps, remember_at=self._now if signal.replaced else None)

    def _withdraw(self, tps: Iterable[TopicPartition], *, remember_at: float | None = None) -> list[Assignment]:
        gone = self._partitions.withdraw(tps, remember_at=remember_at)
        tasks = [task for assignment in gone for task in assignment.tasks.values()]
        self._out.extend(self._dispatcher.drop(tasks))
        self._outbox.drop(tasks)
        ended = {assignment.tp for assignment in gone}
        for tp in ended:
            self._watermarks.withdraw(tp)
        # The next stay of a partition may begin before that place, and must not be sent there.
        self._out = [a for a in self._out if not (isinstance(a, actions.SeekBack) and a.tp in ended)]
        return gone

    # -- the way of an event --

    def _on_received(self, signal: signals.Received) -> None:
        if self._phase is not Phase.RUNNING:
            return
        for found in self._partitions.receive(signal.records, self._now):
            if isinstance(found, Fresh):
                home, record = found
                self._begin(self._partitions.keep(home, record, self._parse(record)))
            else:
                self._out.append(found)

    def _begin(self, task: Task) -> None:
        if isinstance(task.event, BadEvent):
            error = ErrorInfo(code=task.event.code, retry=RetryClass.PERMANENT, message=task.event.message)
            self._failures.bury(task, error, self._now)
            return
        joined = self._dispatcher.admit(task)
        for void in joined.superseded:
            message = actions.Supersede(self._outbox.token(), void.origin, void.listing_event, joined.by_revision)
            self._outbox.add(void, message)

    def _on_answered(self, signal: signals.Answered) -> None:
        line = signal.line
        task = self._dispatcher.answered(line.ref)
        if task is None:
            return
        if isinstance(line, ErrorLine):
            if line.error.retry is not RetryClass.BACK_PRESSURE:
                self._credit.answered()
            self._out.extend(self._failures.answered(task, line.error, self._now))
            return
        self._credit.answered(line.result.outcome)
        event = task.listing_event
        if line.result.event_id != event.id:
            self._out.extend(self._failures.mismatched(task, self._now))
            return
        self._outbox.add(task, actions.Publish(self._outbox.token(), task.origin, event, line.result))

    def _on_stream_ended(self, signal: signals.StreamEnded) -> None:
        early = signals.StreamBroken(signal.request_id, signals.Break.BROKEN, "the stream ended early")
        self._on_stream_broken(early)

    def _on_stream_broken(self, signal: signals.StreamBroken) -> None:
        tasks = self._dispatcher.close(signal.request_id)
        if tasks:
            self._out.extend(self._failures.stream(tasks, signal, self._now))

    def _settle(self, settled: Iterable[Parcel | actions.Action]) -> None:
        """What the broker has is done; the rest is for the shell."""
        for found in settled:
            if not isinstance(found, Parcel):
                self._out.append(found)
                continue
            task = found.task
            self._partitions.done(task)
            if isinstance(task.event, ListingEvent):
                self._dispatcher.finish(task)
            finished = actions.Finished.of(task.event.id, found.message, task.tries.attempt)
            if finished is not None:
                self._out.append(finished)

    # -- time --

    def _on_drain(self, signal: signals.Drain) -> None:
        until = self._now + signal.grace_s
        if self._phase is Phase.RUNNING:
            self._phase = Phase.DRAINING
            self._drain_until = until
        self._drain_until = min(self._drain_until, until)

    def _pass_time(self) -> None:
        now, assignments = self._now, self._partitions.owned.values()
        for task, cancel in self._dispatcher.overdue(now):
            self._out.append(cancel)
            self._out.extend(self._failures.overdue(task, now))
        running = self._phase is Phase.RUNNING
        if running:
            if (head := self._heads.blocked(now, assignments)) is not None:
                self._out.extend(self._failures.divert(head, now))
            self._dispatcher.wake(now)
            unpublished = 0 if self._delivery.waits_for_heads else self._outbox.answers
            self._out.extend(self._dispatcher.chunks(now, unpublished))
        # With nothing in hand there would be nothing to try, and the breaker would stay open for ever.
        stop = not running or (self._credit.breaker.tripped and self.busy)
        pause, resume = self._watermarks.update(now, assignments, self._buffer, stop=stop)
        if pause:
            self._out.append(actions.Pause(pause))
        if resume:
            self._out.append(actions.Resume(resume))
        if self._phase is Phase.DRAINING:
            self._drain()
        self._out.extend(self._delivery.send(now, assignments, closing=self._phase is Phase.CLOSING))
        if self._phase is Phase.CLOSING and not self._delivery.waiting(now):
            self._phase = Phase.STOPPED
            self._out.append(actions.Stopped())

    def _drain(self) -> None:
        if (self._dispatcher.in_flight or self._outbox) and self._now < self._drain_until:
            return
        self._out.extend(self._dispatcher.cancel_all())
        self._phase = Phase.CLOSING
        self._delivery.close(self._now)
