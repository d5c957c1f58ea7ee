"""Events answered once more, into a topic of their own: the worker's engine, Serve client and producer without a group.

Nothing is committed, and nobody who consumes notices. Serve is told that each event is a replay, so it works on what
was answered or is stale, and changes none of its answers.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from random import Random

from consumers.core import actions
from consumers.core.engine import Engine
from consumers.core.signals import Assigned, CommitDone, Drain, Published, Received, Signal
from consumers.records import SourceRecord
from consumers.settings import ConsumerSettings
from consumers.shell.client import ServeClient
from consumers.shell.inbox import Inbox
from consumers.shell.producer import ResultProducer
from consumers.tools.log_reader import LogReader
from consumers.tools.pace import Pace
from consumers.tools.replay_feed import VIRTUAL, Feed
from consumers.tools.replay_range import Range
from consumers.tools.replay_tally import Tally
from serve.schemas.exchange import EnrichItem

_TURN_S = 0.01
_IDLE_S = 0.1
_JOIN_S = 5.0
#: Events and bytes that wait for their listing's turn; above them nothing is read.
_HELD = 2000
_HELD_BYTES = 32 * 1024 * 1024

Show = Callable[[Tally], None]


class _Again(actions.Item):
    """A try that Serve must know for a replay."""

    __slots__ = ()

    def exchange(self) -> EnrichItem:
        return super().exchange().model_copy(update={"replay": True})


class Replay:
    """One replay. `run` belongs to one thread; `stop` may be called from any, also from a handler."""

    def __init__(
        self,
        settings: ConsumerSettings,
        reader: LogReader,
        *,
        dead_letters: bool,
        rate: float | None = None,
        limit: int | None = None,
        seed: int | None = None,
    ) -> None:
        """`settings` name the topics of results and, where they are wanted, dead letters."""
        settings = settings.model_copy(update={"delivery": "effectively_once"})
        self._settings = settings
        self._reader = reader
        self._dead_letters = dead_letters
        self._limit = limit
        self._pace = Pace(rate)
        self._inbox = Inbox()
        self._client = ServeClient(settings, self._inbox)
        self._producer = ResultProducer(settings, self._inbox)
        self._feed = Feed()
        self._policy = settings.policy()
        random = Random(seed)  # noqa: S311 - jitter, no secret
        self._engine = Engine(settings.limits(), self._policy, random, self._feed.event)
        self._open = False
        self._stops = 0
        self._stopped = False
        self.tally = Tally()

    def run(self, chosen: Range, show: Show) -> None:
        """Replay all of it, or what `stop` leaves of it; `show` gets the figures with every turn."""
        self._client.start()
        self._producer.start()
        self._reader.start(chosen.spans)
        try:
            self._step([Assigned(VIRTUAL, 0)])
            while not (self._stopped or self._finished):
                self._step(self._received())
                show(self.tally)
        finally:
            self.tally.removed = chosen.removed + self._reader.removed
            self.tally.interrupted = not self._finished
            self._producer.stop(_JOIN_S)
            self._client.stop(_JOIN_S)

    def stop(self) -> None:
        """Begin nothing new, finish what is with Serve, and end; asked twice, do not wait for it."""
        self._stops += 1
        self._inbox.put(Drain(self._settings.drain_s if self._stops == 1 else 0.0))

    @property
    def _all_read(self) -> bool:
        return self._reader.done or (self._limit is not None and self.tally.read >= self._limit)

    @property
    def _finished(self) -> bool:
        return self._all_read and not self._feed.busy

    def _received(self) -> list[Signal]:
        self._read()
        records: list[SourceRecord] = []
        now = time.monotonic()
        while self._open and len(records) < self._settings.poll_batch and not self._pace.due_in(now):
            record = self._feed.next(now)
            if record is None:
                break
            records.append(record)
            self._pace.went(now)
        return [Received(records)] if records else []

    def _read(self) -> None:
        wait_s = _TURN_S if self._feed.busy else _IDLE_S
        if self._all_read or self._stops or self._feed.held >= _HELD or self._feed.held_bytes >= _HELD_BYTES:
            time.sleep(_TURN_S)
            return
        found = self._reader.poll(int(wait_s * 1000))
        if self._limit is not None:
            found = found[: self._limit - self.tally.read]
        self.tally.read += len(found)
        self._feed.add(found)

    def _step(self, happened: list[Signal]) -> None:
        now = time.monotonic()
        for action in self._engine.handle(now, [*happened, *self._inbox.drain()]):
            self._carry_out(action, now)

    def _carry_out(self, action: actions.Action, now: float) -> None:
        match action:
            case actions.Send():
                self._client.send(replace(action, items=[_Again._make(item) for item in action.items]))
            case actions.CancelItems():
                self._client.cancel(action)
            case actions.Publish() | actions.PublishDead() | actions.PublishRetry() | actions.Supersede():
                self._publish(action, now)
            case actions.Commit():
                self._inbox.put(CommitDone(action.commit_id))
            case _:
                self._take_note(action)

    def _publish(self, outgoing: actions.Outgoing, now: float) -> None:
        self.tally.going_out(outgoing)
        if isinstance(outgoing, actions.PublishRetry):
            # It waits here: there is no retry topic for a replay.
            self._feed.later(outgoing, now + self._policy.delayed_s[outgoing.tier])
        elif self._dead_letters or not isinstance(outgoing, actions.PublishDead):
            self._producer.put(outgoing)
            return
        self._inbox.put(Published(outgoing.token))

    def _take_note(self, action: actions.Action) -> None:
        match action:
            case actions.Pause():
                self._open = False
            case actions.Resume():
                self._open = True
            case actions.Finished():
                self._feed.done(action.record)
                self.tally.finished(action)
            case actions.Retried():
                self.tally.retried(action)
            case actions.Stopped():
                self._stopped = True
            case _:
                pass
