"""What becomes of an event whose try, or whose message, failed. The policy decides, this carries it out."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random

from consumers.core.actions import Action, Outgoing, Publish, PublishDead, PublishRetry, Retried
from consumers.core.codes import REPLICA_LOST, FailureCode, LogCode
from consumers.core.dispatcher import Dispatcher
from consumers.core.flow import Credit
from consumers.core.limits import Limits
from consumers.core.outbox import Outbox, Parcel
from consumers.core.retry import DeadLetter, RetryLater, RetryNow, RetryPolicy, Wait
from consumers.core.signals import Break, PublishFailed, StreamBroken
from consumers.core.task import Company, Place, Task
from consumers.results import shortened
from serve.schemas.outcome import RetryClass
from serve.schemas.result import ErrorInfo


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

    def answered(self, task: Task, error: ErrorInfo, now: float) -> Iterator[Action]:
        """Serve answered with an error."""
        broken = Company.NONE if error.code == REPLICA_LOST else None
        return self._failed(task, error, now, broken=broken)

    def mismatched(self, task: Task, now: float) -> Iterator[Action]:
        """Serve answered for another event."""
        message = "the answer is for another event"
        error = ErrorInfo(code=FailureCode.ANSWER_MISMATCH, retry=RetryClass.TRANSIENT, message=message)
        return self._failed(task, error, now)

    def stream(self, tasks: Sequence[Task], broken: StreamBroken, now: float) -> Iterator[Action]:
        """A request failed and left these unanswered."""
        match broken.kind:
            case Break.REFUSED:
                yield self._refused(tasks, broken, now)
            case Break.REJECTED if len(tasks) > 1:
                # One of them is wrong; by themselves they will show which.
                for task in tasks:
                    task.company = max(task.company, Company.OWN_REQUEST)
                self._dispatcher.again(tasks)
            case Break.REJECTED:
                error = ErrorInfo(code=FailureCode.REQUEST_REJECTED, retry=RetryClass.PERMANENT, message=broken.message)
                yield from self._failed(tasks[0], error, now)
            case Break.BROKEN:
                error = ErrorInfo(code=FailureCode.WORKER_LOST, retry=RetryClass.TRANSIENT, message=broken.message)
                for task in tasks:
                    yield from self._failed(task, error, now, broken=Company.NONE)

    def divert(self, task: Task, now: float) -> Iterator[Action]:
        """The event holds back its partition: it goes on in a retry topic, or ends. One never tried spends no try."""
        message = "it was the last one open of a full window"
        error = ErrorInfo(code=FailureCode.HEAD_BLOCKED, retry=RetryClass.DELAYED, message=message)
        if task.place is Place.LANE:
            self._outbox.add(task, self._later(task, error, 0, now))
            yield Retried(task.event.id, error, RetryLater(self._policy.delayed_s[0], 0))
            return
        yield from self._dispatcher.give_up(task)
        yield from self._failed(task, error, now)

    def overdue(self, task: Task, now: float) -> Iterator[Action]:
        """A try took too long and was given up."""
        message = f"no answer within {self._limits.item_deadline_s:g} s"
        error = ErrorInfo(code=FailureCode.DEADLINE_EXCEEDED, retry=RetryClass.TRANSIENT, message=message)
        return self._failed(task, error, now, broken=Company.OWN_REQUEST)

    def unpublished(self, parcel: Parcel, failed: PublishFailed, now: float) -> Iterator[Action]:
        """The broker did not take a message."""
        wait = self._policy.wait(parcel.failures - 1, self._random.random())
        if failed.permanent and self._replaced(parcel, failed, now):
            return
        self._outbox.wait(parcel, now + wait.delay_s)
        error = ErrorInfo(code=LogCode.PUBLISH_FAILED, retry=RetryClass.BACK_PRESSURE, message=failed.message)
        yield Retried(parcel.task.event.id, error, wait)

    def bury(self, task: Task, error: ErrorInfo, now: float) -> None:
        """Give the event up."""
        self._outbox.add(task, self._dead(task, error, now))

    def _failed(self, task: Task, error: ErrorInfo, now: float, *, broken: Company | None = None) -> Iterator[Action]:
        """One try of one event failed; `broken`: nobody knows why, and from now on it travels in this company."""
        if error.retry is RetryClass.BACK_PRESSURE:
            task.waits = task.waits.plus(now, self._credit.proofs)
            if task.waits.stubborn(now, self._credit.proofs, self._limits):
                error = error.model_copy(update={"retry": RetryClass.TRANSIENT})
        decision = self._policy.decide(error, task.tries, self._random.random(), self._credit.breaker.waits)
        if isinstance(decision, Wait):
            self._credit.breaker.refused(now, decision.delay_s, request=False)
            # It sleeps by itself, longer each time: at the front of the queue it would keep all others out.
            own = self._policy.wait(task.waits.count - 1, self._random.random())
            self._dispatcher.sleep(task, now + max(decision.delay_s, own.delay_s))
            yield Retried(task.event.id, error, decision)
            return
        self._count(task, error, now, broken)
        match decision:
            case DeadLetter():
                self.bury(task, error, now)
                return
            case RetryLater(tier=tier):
                self._outbox.add(task, self._later(task, error, tier, now))
            case RetryNow(delay_s):
                self._dispatcher.sleep(task, now + delay_s)
        yield Retried(task.event.id, error, decision)

    def _replaced(self, parcel: Parcel, failed: PublishFailed, now: float) -> bool:
        """Find another way for a message that is too large; False where nothing can be left out any more."""
        task, smaller = parcel.task, self._smaller(parcel, failed, now)
        if smaller is None and not isinstance(parcel.message, PublishRetry):
            return False
        self._outbox.acknowledged(failed.token)
        if smaller is None:
            # It does not fit into a retry topic: it waits here.
            self._dispatcher.sleep(task, now + self._policy.delayed_s[max(0, task.tries.delayed - 1)])
        else:
            self._outbox.add(task, smaller)
        return True

    def _smaller(self, parcel: Parcel, failed: PublishFailed, now: float) -> Outgoing | None:
        """What to send instead of a message that is too large."""
        match parcel.message:
            case Publish(result=result) as message if not result.shortened:
                return replace(message, token=self._outbox.token(), result=shortened(result))
            case Publish():
                code = FailureCode.RESULT_UNPUBLISHABLE
                error = ErrorInfo(code=code, retry=RetryClass.PERMANENT, message=failed.message)
                return self._dead(parcel.task, error, now)
            case PublishDead(bare=False) as message:
                return replace(message, token=self._outbox.token(), bare=True)
        return None

    def _later(self, task: Task, error: ErrorInfo, tier: int, now: float) -> PublishRetry:
        first = now if task.first_failed_at is None else task.first_failed_at
        return PublishRetry(self._outbox.token(), task.origin, task.listing_event, error, task.tries, first, tier)

    def _dead(self, task: Task, error: ErrorInfo, now: float) -> PublishDead:
        first = now if task.first_failed_at is None else task.first_failed_at
        attempts = task.tries.transient + task.tries.delayed
        return PublishDead(self._outbox.token(), task.origin, task.event, error, attempts, first, now)

    def _refused(self, tasks: Sequence[Task], broken: StreamBroken, now: float) -> Retried:
        wait = self._policy.wait(self._credit.breaker.waits, self._random.random(), broken.retry_after_s)
        self._credit.breaker.refused(now, wait.delay_s, request=True)
        self._dispatcher.again(tasks)
        error = ErrorInfo(code=LogCode.SERVE_REFUSED, retry=RetryClass.BACK_PRESSURE, message=broken.message)
        return Retried(tasks[0].event.id, error, wait)

    def _count(self, task: Task, error: ErrorInfo, now: float, broken: Company | None) -> None:
        task.tries = task.tries.plus(error.retry, broken=broken is not None)
        if broken is not None and task.tries.broken >= self._limits.alone_after_breaks:
            task.company = max(task.company, broken)
        if task.first_failed_at is None:
            task.first_failed_at = now
