"""Commits on their way: what the broker says of them, and whether it says anything."""

from collections.abc import Callable
from typing import Any

from kafka import KafkaConsumer
from kafka.errors import OffsetMetadataTooLargeError

from consumers.core.actions import Commit
from consumers.core.signals import CommitDone, CommitFailed
from consumers.shell.consumer import client_offsets
from consumers.shell.driver import Driver
from consumers.shell.notices import CommitRefused


class Commits:
    """The commits of one client. The client tells of their answers in later calls."""

    def __init__(self, consumer: KafkaConsumer, driver: Driver, clock: Callable[[], float]) -> None:
        self._consumer = consumer
        self._driver = driver
        self._clock = clock
        #: Those without an answer, and when they were sent.
        self._unanswered: dict[int, float] = {}

    def send(self, commit: Commit) -> Any:
        """Send it; the client's future of the answer, which the engine hears of as well."""
        self._unanswered[commit.commit_id] = self._clock()

        def done(_offsets: Any, response: Any) -> None:
            self.forget(commit)
            if not isinstance(response, BaseException):
                self._driver.put(CommitDone(commit.commit_id))
                return
            self._driver.tell(CommitRefused(type(response).__name__, str(response)))
            refused = isinstance(response, OffsetMetadataTooLargeError)
            self._driver.put(CommitFailed(commit.commit_id, repr(response), refused))

        return self._consumer.commit_async(client_offsets(commit.offsets), callback=done)

    def forget(self, commit: Commit) -> None:
        """Nobody waits for its answer."""
        self._unanswered.pop(commit.commit_id, None)

    def oldest(self) -> float | None:
        """When the oldest was sent that has no answer. May be called from any thread."""
        return min(list(self._unanswered.values()), default=None)
