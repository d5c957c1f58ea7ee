"""All decisions of a worker in one synchronous class: signals and the time go in, actions come out.

No I/O, no clock, no thread, no global randomness: the same signals at the same times with the same seed give the same
actions, whatever the machine does. What must hold is written at the classes that it is made of; the one rule over
all of them: an offset is complete only after the broker has acknowledged the result or dead letter of its event.
"""

from collections.abc import Callable, Iterable, Sequence
from enum import Enum, auto
from random import Random

from consumers.core import actions, signals
from consumers.core.committer import Committer
from consumers.core.dispatcher import Dispatcher
from consumers.core.failures import Failures
from consumers.core.flow import Credit, Watermarks
from consumers.core.limits import Limits
from consumers.core.outbox import Outbox
from consumers.core.retry import RetryPolicy
from consumers.core.status import Status
from consumers.core.task import Assignment, Task
from consumers.core.tracker import Tracker
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
        self._credit = Credit(limits)
        self._watermarks = Watermarks(limits)
        self._dispatcher = Dispatcher(limits, policy, self._credit)
        self._outbox = Outbox()
        self._committer = Committer(limits)
        self._failures = Failures(
            limits, policy, random, credit=self._credit, dispatcher=self._dispatcher, outbox=self._outbox
        )
        self._parse = parser
        self._assignments: dict[TopicPartition, Assignment] = {}
        self._epoch = 0
        self._items = 0
        self._bytes = 0
        self._now = 0.0
        self._phase = Phase.RUNNING
        self._drain_until = 0.0
        self._out: list[actions.Action] = []
        self._handlers: dict[type, Callable[..., None]] = {
            signals.Assigned: self._on_assigned,
            signals.Revoked: self._on_revoked,
            signals.Lost: self._on_lost,
            signals.Received: self._on_received,
            signals.Answered: self._on_answered,
            signals.StreamEnded: self._on_stream_ended,
            signals.StreamBroken: self._on_stream_broken,
            signals.Published: self._on_published,
            signals.PublishFailed: self._on_publish_failed,
            signals.CommitDone: lambda signal: self._committer.answered(signal.commit_id, stored=True),
            signals.CommitFailed: lambda signal: self._committer.answered(signal.commit_id, stored=False),
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
            self._handlers[type(signal)](signal)
        if self._phase is not Phase.STOPPED:
            self._pass_time()
        return self._out

    @property
    def busy(self) -> bool:
        """Whether anything is received and not done."""
        return self._items > 0

    def status(self) -> Status:
        """What the metrics show."""
        return Status.of(self._assignments.values(), self._watermarks.paused, self._dispatcher.in_flight, self._bytes)

    # -- assignment --

    def _on_assigned(self, signal: signals.Assigned) -> None:
        self._withdraw([signal.tp])
        self._epoch += 1
        tracker = Tracker(signal.offset, signal.metadata)
        self._assignments[signal.tp] = Assignment(signal.tp, self._epoch, tracker)
        self._watermarks.assign(signal.tp)

    def _on_revoked(self, signal: signals.Revoked) -> None:
        gone = self._withdraw(signal.tps)
        commit = self._committer.closing(gone)
        if commit is not None:
            self._out.append(commit)

    def _on_lost(self, signal: signals.Lost) -> None:
        self._withdraw(signal.tps)

    def _withdraw(self, tps: Iterable[TopicPartition]) -> list[Assignment]:
        gone = [assignment for tp in tps if (assignment := self._assignments.pop(tp, None)) is not None]
        tasks = [task for assignment in gone for task in assignment.tasks.values()]
        for task in tasks:
            task.live = False
            self._items -= 1
            self._bytes -= task.record.size
        self._out.extend(self._dispatcher.drop(tasks))
        self._outbox.drop(tasks)
        for assignment in gone:
            self._watermarks.withdraw(assignment.tp)
        return gone

    # -- the way of an event --

    def _on_received(self, signal: signals.Received) -> None:
        if self._phase is not Phase.RUNNING:
            return
        passed: dict[TopicPartition, list[int]] = {}
        for record in signal.records:
            assignment = self._assignments.get(record.tp)
            if assignment is None:
                continue
            if record.offset < assignment.tracker.expected:
                passed.setdefault(record.tp, []).append(record.offset)
            elif assignment.tracker.deliver(record.offset):
                self._begin(Task(assignment, record, self._parse(record)))
        for tp, offsets in passed.items():
            expected = self._assignments[tp].tracker.expected
            self._out.append(actions.WentBack(tp, offsets[0], expected, len(offsets)))

    def _begin(self, task: Task) -> None:
        task.home.tasks[task.record.offset] = task
        self._items += 1
        self._bytes += task.record.size
        if isinstance(task.event, BadEvent):
            error = ErrorInfo(code=task.event.code, retry=RetryClass.PERMANENT, message=task.event.message)
            self._out.append(self._failures.bury(task, error, self._now))
        else:
            self._dispatcher.admit(task)

    def _on_answered(self, signal: signals.Answered) -> None:
        line = signal.line
        task = self._dispatcher.answered(line.ref)
        if task is None:
            return
        if isinstance(line, ErrorLine):
            if line.error.retry is not RetryClass.BACK_PRESSURE:
                self._credit.relieve()
            self._out.extend(self._failures.answered(task, line.error, self._now))
            return
        self._credit.relieve(line.result.outcome)
        event = task.listing_event
        if line.result.event_id != event.id:
            self._out.extend(self._failures.mismatched(task, self._now))
            return
        message = actions.Publish(self._outbox.token(), task.record, event, line.result)
        self._outbox.add(task, message)
        self._out.append(message)

    def _on_stream_ended(self, signal: signals.StreamEnded) -> None:
        early = signals.StreamBroken(signal.request_id, signals.Break.BROKEN, "the stream ended early")
        self._on_stream_broken(early)

    def _on_stream_broken(self, signal: signals.StreamBroken) -> None:
        tasks = self._dispatcher.close(signal.request_id)
        if tasks:
            self._out.extend(self._failures.stream(tasks, signal, self._now))

    def _on_published(self, signal: signals.Published) -> None:
        parcel = self._outbox.acknowledged(signal.token)
        if parcel is None:
            return
        task, message = parcel.task, parcel.message
        task.live = False
        home, record = task.home, task.record
        del home.tasks[record.offset]
        home.tracker.complete(record.offset)
        self._items -= 1
        self._bytes -= record.size
        if isinstance(task.event, ListingEvent):
            self._dispatcher.finish(task)
        self._committer.completed()
        self._out.append(actions.Finished.of(task.event.id, message, task.tries.attempt))

    def _on_publish_failed(self, signal: signals.PublishFailed) -> None:
        parcel = self._outbox.failed(signal.token)
        if parcel is not None:
            self._out.extend(self._failures.unpublished(parcel, signal, self._now))

    # -- time --

    def _on_drain(self, signal: signals.Drain) -> None:
        until = self._now + signal.grace_s
        if self._phase is Phase.RUNNING:
            self._phase = Phase.DRAINING
            self._drain_until = until
        self._drain_until = min(self._drain_until, until)

    def _pass_time(self) -> None:
        now, assignments = self._now, self._assignments.values()
        self._out.extend(self._outbox.due(now))
        for task, cancel in self._dispatcher.overdue(now):
            self._out.append(cancel)
            self._out.extend(self._failures.overdue(task, now))
        if self._phase is Phase.RUNNING:
            self._dispatcher.wake(now)
            self._out.extend(self._dispatcher.chunks(now, len(self._outbox)))
        stop = self._phase is not Phase.RUNNING
        pause, resume = self._watermarks.update(assignments, self._items, self._bytes, stop=stop)
        if pause:
            self._out.append(actions.Pause(pause))
        if resume:
            self._out.append(actions.Resume(resume))
        if self._phase is Phase.DRAINING:
            self._drain()
        if self._phase is Phase.CLOSING:
            if not self._committer.waiting(now):
                self._phase = Phase.STOPPED
                self._out.append(actions.Stopped())
        elif (commit := self._committer.due(now, assignments)) is not None:
            self._out.append(commit)

    def _drain(self) -> None:
        if (self._dispatcher.in_flight or self._outbox) and self._now < self._drain_until:
            return
        self._out.extend(self._dispatcher.cancel_all())
        self._phase = Phase.CLOSING
        commit = self._committer.flush(self._now, self._assignments.values())
        if commit is not None:
            self._out.append(commit)
