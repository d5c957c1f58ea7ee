"""The two ways in which answers and offsets reach the broker. The engine knows neither; it is told what is done.

`AtLeastOnce`: messages first, offsets when they are acknowledged. A crash between the two repeats messages, which have
the same ids then; a reader that drops repeats sees each once (effectively once).

`Transactional`: messages and offsets in one transaction. Readers of committed records see each once.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Protocol

from consumers.core import signals
from consumers.core.actions import Action, Commit
from consumers.core.committer import Committer
from consumers.core.failures import Failures
from consumers.core.limits import Limits
from consumers.core.outbox import Outbox, Parcel
from consumers.core.retry import RetryPolicy
from consumers.core.task import Assignment
from consumers.core.transactor import Transactor
from consumers.records import TopicPartition

Owned = Mapping[TopicPartition, Assignment]
#: The full wait after a failed transaction, without jitter: transactions of one worker meet nobody.
_NO_JITTER = 1.0


class Delivery(Protocol):
    """How messages and offsets become the broker's."""

    @property
    def unanswered(self) -> int:
        """Commits or transactions in a row that came to nothing."""
        ...

    @property
    def waits_for_heads(self) -> bool:
        """Whether answers may have to wait for events before them, so that these must go on whatever waits."""
        ...

    def told(self, signal: signals.Signal, now: float, owned: Owned) -> Iterator[Parcel | Action]:
        """The parcels that the broker has now, and what to do about those that it has not."""
        ...

    def send(self, now: float, assignments: Collection[Assignment], *, closing: bool) -> Iterator[Action]:
        """What to send now."""
        ...

    def closing(self, gone: Collection[Assignment]) -> Commit | None:
        """The last commit of partitions that are leaving."""
        ...

    def close(self, now: float) -> None:
        """The worker ends: send what can still be sent."""
        ...

    def waiting(self, now: float) -> bool:
        """Whether the last of it waits for its answer, and still may."""
        ...


class AtLeastOnce:
    """Messages, then offsets."""

    def __init__(self, limits: Limits, _policy: RetryPolicy, outbox: Outbox, failures: Failures) -> None:
        self._outbox = outbox
        self._failures = failures
        self._committer = Committer(limits)
        self._flush = False

    @property
    def unanswered(self) -> int:
        """Commits in a row that were never answered."""
        return self._committer.unanswered

    @property
    def waits_for_heads(self) -> bool:
        """Never: what is acknowledged is done."""
        return False

    def told(self, signal: signals.Signal, now: float, owned: Owned) -> Iterator[Parcel | Action]:  # noqa: ARG002
        """Take an acknowledgement of the producer or of a commit."""
        match signal:
            case signals.Published(token):
                if (parcel := self._outbox.acknowledged(token)) is not None:
                    self._committer.completed()
                    yield parcel
            case signals.PublishFailed(token) as failed:
                if (parcel := self._outbox.failed(token)) is not None:
                    yield from self._failures.unpublished(parcel, failed, now)
            case signals.CommitDone(commit_id):
                self._committer.answered(commit_id, stored=True)
            case signals.CommitFailed(commit_id, _, refused):
                self._committer.answered(commit_id, stored=False, metadata_refused=refused)
            case _:
                raise TypeError(f"{type(signal).__name__} belongs to another delivery")

    def send(self, now: float, assignments: Collection[Assignment], *, closing: bool) -> Iterator[Action]:
        """New messages, and a commit if it is time."""
        for parcel in self._outbox.take(now):
            yield parcel.message
        if self._flush:
            commit = self._committer.flush(now, assignments)
        else:
            commit = None if closing else self._committer.due(now, assignments)
        self._flush = False
        if commit is not None:
            yield commit

    def closing(self, gone: Collection[Assignment]) -> Commit | None:
        """What is done there, for the last time."""
        return self._committer.closing(gone)

    def close(self, now: float) -> None:  # noqa: ARG002
        """One more commit."""
        self._flush = True

    def waiting(self, now: float) -> bool:
        """Whether that commit waits."""
        return self._flush or self._committer.waiting(now)


class Transactional:
    """Messages with offsets."""

    def __init__(self, limits: Limits, policy: RetryPolicy, outbox: Outbox, failures: Failures) -> None:
        self._limits = limits
        self._policy = policy
        self._outbox = outbox
        self._failures = failures
        self._transactor = Transactor(limits, outbox)
        self._closed_by = float("inf")

    @property
    def unanswered(self) -> int:
        """Transactions in a row that failed."""
        return self._transactor.failures

    @property
    def waits_for_heads(self) -> bool:
        """Where the broker refuses bitmaps only contiguous answers can become visible."""
        return not self._transactor.with_bitmap

    def told(self, signal: signals.Signal, now: float, owned: Owned) -> Iterator[Parcel | Action]:
        """Take the fate of a transaction."""
        match signal:
            case signals.Transacted(txn_id):
                yield from self._committed(txn_id)
            case signals.TransactionUnknown(txn_id, _, committed):
                if self._transactor.was_committed(txn_id, committed, owned):
                    yield from self._committed(txn_id)
                else:
                    self._again(txn_id, now)
            case signals.TransactionFailed(txn_id, message, too_large, refused):
                self._transactor.with_bitmap &= not refused
                if too_large is not None and (parcel := self._outbox.failed(too_large)) is not None:
                    culprit = signals.PublishFailed(too_large, message, permanent=True)
                    yield from self._failures.unpublished(parcel, culprit, now)
                self._again(txn_id, now)
            case _:
                raise TypeError(f"{type(signal).__name__} belongs to another delivery")

    def send(self, now: float, assignments: Collection[Assignment], *, closing: bool) -> Iterator[Action]:
        """A transaction if it is time."""
        transaction = self._transactor.due(now, assignments, at_once=closing)
        if transaction is not None:
            yield transaction

    def closing(self, gone: Collection[Assignment]) -> None:  # noqa: ARG002
        """Nothing: what is done there is committed."""
        return

    def close(self, now: float) -> None:
        """The transaction under way may end, and one more."""
        self._closed_by = now + 2 * self._limits.commit_deadline_s

    def waiting(self, now: float) -> bool:
        """Whether a transaction is under way."""
        return self._transactor.under_way and now < self._closed_by

    def _committed(self, txn_id: int) -> Iterator[Parcel]:
        for sent in self._transactor.committed(txn_id):
            # One whose partition left meanwhile is no longer ours.
            if (parcel := self._outbox.acknowledged(sent.message.token)) is not None:
                yield parcel
        self._transactor.stored()

    def _again(self, txn_id: int, now: float) -> None:
        wait = self._policy.wait(self._transactor.failures, _NO_JITTER)
        self._transactor.failed(txn_id, wait.delay_s, now)
