"""Replaces a Kafka client that hangs, in place: what is received, answered and done stays with the engine.

kafka-python 3.0 can wait for ever in `poll`, `committed` and `commit`, and lose the answer to a commit. Nothing
can end a thread, so the hung one is left behind: its lease is revoked, its sockets are cut, and it is told nothing any
more. A new client joins the group as a new member.
"""

import logging
import time
from collections.abc import Callable
from threading import Event, Thread

from kafka.errors import KafkaError

from consumers.core.signals import TransactionFailed
from consumers.shell import kafka_internals
from consumers.shell.inbox import Inbox
from consumers.shell.notices import ClientReplaced
from consumers.shell.poll import Poller

log = logging.getLogger(__name__)

_LOOK_S = 0.5
#: Who looks so much later than it should was stopped, or the machine slept.
_ASLEEP_S = 3.0
_CUT_S = 2.0
_AGAIN_S = 1.0


class Watchdog:
    """Runs pollers, one after another, until one of them ends by itself."""

    def __init__(
        self,
        make: Callable[[], Poller],
        inbox: Inbox,
        *,
        stall_s: float,
        tell: Callable[[ClientReplaced], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make = make
        self._inbox = inbox
        self._stall_s = stall_s
        self._tell = tell
        self._clock = clock
        self._looked_at = self._awake_since = clock()
        self._stopping = Event()

    def stop(self) -> None:
        """Replace nobody from now on."""
        self._stopping.set()

    def run(self) -> None:
        """Work until a poller has stopped; raise what ended it, if anything did."""
        run = _Run(self._make())
        while True:
            run.thread.join(_LOOK_S)
            if not run.thread.is_alive():
                if run.error is None:
                    return
                if not run.follows or run.poller.consumer is not None or not isinstance(run.error, KafkaError):
                    raise run.error
                # A broker that was there will be there again, and meanwhile nothing that is done is forgotten.
                log.warning("no new client yet: %r", run.error, extra={"action": "client_unready"})
                if self._stopping.wait(_AGAIN_S):
                    raise run.error
                run = self._next(run.poller)
            elif (reason := self._stalled(run.poller)) is not None:
                if run.poller.closing:
                    log.warning("left without a farewell: %s", reason, extra={"action": "close_hung"})
                    return
                self._tell(ClientReplaced(reason))
                run = self._next(run.poller)

    def _stalled(self, poller: Poller) -> str | None:
        """What does not move, unless the whole process stood still: then it deserves its time again."""
        now = self._clock()
        if now - self._looked_at > _ASLEEP_S:
            self._awake_since = now
        self._looked_at = now
        return poller.stall(self._stall_s) if now - self._awake_since >= self._stall_s else None

    def _next(self, old: Poller) -> "_Run":
        old.lease.revoke()
        if old.consumer is not None:
            cutter = Thread(target=kafka_internals.cut, args=(old.consumer, _CUT_S), name="cutter", daemon=True)
            cutter.start()
            cutter.join(2 * _CUT_S)
        poller = self._make()
        poller.take_over()
        if old.unhanded is not None:
            self._inbox.put(TransactionFailed(old.unhanded, "the client was replaced"))
        return _Run(poller, follows=True)


class _Run:
    """A poller on its thread."""

    def __init__(self, poller: Poller, *, follows: bool = False) -> None:
        self.poller = poller
        self.follows = follows
        self.error: BaseException | None = None
        self.thread = Thread(target=self._run, name="poll", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.poller.run()
        except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
            self.error = error
