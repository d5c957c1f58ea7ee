"""What becomes of an event whose try, or whose message, failed. The policy decides, this carries it out."""

from collections.abc import Iterator, Sequence
from random import Random

from consumers.core.actions import Action, Publish, PublishDead, Retried
from consumers.core.dispatcher import Dispatcher
from consumers.core.flow import Credit
from consumers.core.limits import Limits
from consumers.core.outbox import Outbox, Parcel
from consumers.core.retry import DeadLetter, RetryLater, RetryNow, RetryPolicy, Wait
from consumers.core.signals import Break, PublishFailed, StreamBroken
from consumers.core.task import Task
from serve.schemas.outcome import RetryClass
from serve.schemas.result import ErrorInfo

WORKER_LOST = "worker_lost"
DEADLINE_EXCEEDED = "deadline_exceeded"
REQUEST_REJECTED = "request_rejected"
RESULT_UNPUBLISHABLE = "result_unpublishable"


class Failures:
    """Sends failed tasks back to the dispatcher, or to the dead letters."""

    def __init__(
        self,
        limits: Limits,
        policy: RetryPolicy,
        random: Random,
        *,
        credit: Credit,
        dispatcher: Dispatcher,
        outbox: Outbox,
    ) -> None:
        self._limits = limits
        self._policy = policy
        self._random = random
        self._credit = credit
        self._dispatcher = dispatcher
        self._outbox = outbox

    def failed(self, task: Task, error: ErrorInfo, now: float, *, broken: bool = False) -> Iterator[Action]:
        """One try of one event failed."""
        decision = self._policy.decide(error, task.tries, self._random.random(), self._credit.waits)
        match decision:
            case Wait(delay_s):
                self._credit.close(now, delay_s)
                self._dispatcher.again([task])
            case RetryNow(delay_s) | RetryLater(delay_s):
                self._count(task, error, now, broken=broken)
                self._dispatcher.sleep(task, now + delay_s)
            case DeadLetter():
                self._count(task, error, now, broken=broken)
                yield self.bury(task, error, now)
                return
        yield Retried(task.event.id, error, decision)

    def stream(self, tasks: Sequence[Task], broken: StreamBroken, now: float) -> Iterator[Action]:
        """A request failed and left these unanswered."""
        match broken.kind:
            case Break.REFUSED:
                yield self._refused(tasks, broken, now)
            case Break.REJECTED if len(tasks) > 1:
                # One of them is wrong; by themselves they will show which.
                for task in tasks:
                    task.alone = True
                self._dispatcher.again(tasks)
            case Break.REJECTED:
                error = ErrorInfo(code=REQUEST_REJECTED, retry=RetryClass.PERMANENT, message=broken.message)
                yield from self.failed(tasks[0], error, now)
            case Break.BROKEN:
                error = ErrorInfo(code=WORKER_LOST, retry=RetryClass.TRANSIENT, message=broken.message)
                for task in tasks:
                    yield from self.failed(task, error, now, broken=True)

    def overdue(self, task: Task, now: float) -> Iterator[Action]:
        """A try took too long and was given up."""
        message = f"no answer within {self._limits.item_deadline_s:g} s"
        error = ErrorInfo(code=DEADLINE_EXCEEDED, retry=RetryClass.TRANSIENT, message=message)
        return self.failed(task, error, now, broken=True)

    def unpublished(self, parcel: Parcel, failed: PublishFailed, now: float) -> Iterator[Action]:
        """The broker did not take a message."""
        if failed.permanent and isinstance(parcel.message, Publish):
            self._outbox.acknowledged(failed.token)
            error = ErrorInfo(code=RESULT_UNPUBLISHABLE, retry=RetryClass.PERMANENT, message=failed.message)
            yield self.bury(parcel.task, error, now)
            return
        wait = self._policy.wait(parcel.failures - 1, self._random.random())
        self._outbox.wait(parcel, now + wait.delay_s)
        error = ErrorInfo(code="publish_failed", retry=RetryClass.BACK_PRESSURE, message=failed.message)
        yield Retried(parcel.task.event.id, error, wait)

    def bury(self, task: Task, error: ErrorInfo, now: float) -> PublishDead:
        """The dead letter of this event, on its way."""
        first = now if task.first_failed_at is None else task.first_failed_at
        attempts = task.tries.transient + task.tries.delayed
        dead = PublishDead(self._outbox.token(), task.record, task.event, error, attempts, first, now)
        self._outbox.add(task, dead)
        return dead

    def _refused(self, tasks: Sequence[Task], broken: StreamBroken, now: float) -> Retried:
        wait = self._policy.wait(self._credit.waits, self._random.random(), broken.retry_after_s)
        self._credit.close(now, wait.delay_s)
        self._dispatcher.again(tasks)
        error = ErrorInfo(code="serve_refused", retry=RetryClass.BACK_PRESSURE, message=broken.message)
        return Retried(tasks[0].event.id, error, wait)

    def _count(self, task: Task, error: ErrorInfo, now: float, *, broken: bool) -> None:
        task.tries = task.tries.plus(error.retry, broken=broken)
        task.alone = task.alone or task.tries.broken >= self._limits.alone_after_breaks
        if task.first_failed_at is None:
            task.first_failed_at = now
