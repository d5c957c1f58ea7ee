"""What came of a replay, in numbers."""

from collections import Counter
from dataclasses import dataclass, field

from consumers.core.actions import Finished, Outgoing, Publish, PublishDead, Retried
from consumers.records import SourceRecord
from serve.schemas.result import ListingResult

#: Failures that are told one by one; all are counted.
_MOST_FAILURES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An event that could not be answered."""

    topic: str
    partition: int
    offset: int
    event_id: str | None
    code: str
    message: str
    attempts: int


@dataclass(slots=True)
class Tally:
    """Counts what is done. A result counts when the broker has it."""

    read: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    #: Tries that failed and were repeated, by code.
    retries: Counter[str] = field(default_factory=Counter)
    images: int = 0
    #: Images whose object was in the store already: the same photo, recipe and models gave the same key.
    reused: int = 0
    #: Images whose key another event of this replay has as well.
    repeated: int = 0
    #: Offsets that retention removed while they were to be read.
    removed: int = 0
    interrupted: bool = False
    _keys: set[int] = field(default_factory=set)
    _answers: dict[tuple[str, int, int], ListingResult | PublishDead] = field(default_factory=dict)

    @property
    def done(self) -> int:
        """Events with an end."""
        return self.outcomes.total() + self.codes.total()

    def going_out(self, outgoing: Outgoing) -> None:
        """A message is on its way; it counts when its event is finished."""
        match outgoing:
            case Publish(record=record, result=result):
                self._answers[_place(record)] = result
            case PublishDead(record=record):
                self._answers[_place(record)] = outgoing

    def retried(self, retried: Retried) -> None:
        """A try failed."""
        self.retries[retried.error.code] += 1

    def finished(self, finished: Finished) -> None:
        """An event has its end."""
        answer = self._answers.pop(_place(finished.record), None)
        if finished.outcome is not None:
            self.outcomes[finished.outcome] += 1
        if isinstance(answer, ListingResult):
            self._count_images(answer)
        if isinstance(answer, PublishDead):
            self.codes[answer.error.code] += 1
            if len(self.failures) < _MOST_FAILURES:
                self.failures.append(_failure(answer, finished))

    def _count_images(self, result: ListingResult) -> None:
        for output in result.outputs:
            self.images += 1
            self.reused += output.reused
            # A number in place of the text: a replay may make millions.
            name = hash(output.key)
            self.repeated += name in self._keys
            self._keys.add(name)


def _failure(dead: PublishDead, finished: Finished) -> Failure:
    topic, partition, offset = _place(dead.record)
    return Failure(
        topic=topic,
        partition=partition,
        offset=offset,
        event_id=finished.event_id,
        code=dead.error.code,
        message=dead.error.message,
        attempts=dead.attempts,
    )


def _place(record: SourceRecord) -> tuple[str, int, int]:
    return record.tp.topic, record.tp.partition, record.offset
