"""An engine with one partition, told what happens by hand."""

from random import Random

from consumers.core import actions, signals
from consumers.core.actions import Item
from consumers.core.engine import Engine
from consumers.core.limits import Limits
from consumers.core.retry import RetryPolicy
from consumers.records import TopicPartition
from serve.schemas.exchange import ErrorLine, ResultLine
from serve.schemas.outcome import RetryClass
from serve.schemas.result import ErrorInfo
from tests.support.listing_events import result_for, source_record, structured_bytes

TP = TopicPartition("listings.new", 0)


class Driver:
    """An engine with one partition, and what it last said, by kind."""

    def __init__(self, *, offset: int | None = 0, metadata: str = "", **limits: object) -> None:
        self.engine = Engine(Limits(**({"initial_in_flight": 64} | limits)), RetryPolicy(), Random(1))
        self.now = 0.0
        self.tell(signals.Assigned(TP, offset, metadata))

    def tell(self, *happened: signals.Signal, after: float = 0.0) -> list[actions.Action]:
        self.now += after
        self.said = self.engine.handle(self.now, happened)
        return self.said

    def receive(self, *listings: str, start: int = 0) -> list[Item]:
        records = [
            source_record(TP, offset, structured_bytes(f"e{offset}", listing, offset) if listing else b"{")
            for offset, listing in enumerate(listings, start)
        ]
        self.tell(signals.Received(records))
        return self.sent()

    def got(self, kind: type) -> list:
        return [action for action in self.said if isinstance(action, kind)]

    def sent(self) -> list[Item]:
        return [item for send in self.got(actions.Send) for item in send.items]

    @staticmethod
    def line(item: Item) -> ResultLine:
        return ResultLine(ref=item.ref, result=result_for(item))

    def answers(self, *items: Item) -> list[signals.Signal]:
        return [signals.Answered(self.line(item)) for item in items]

    def answer(self, item: Item) -> actions.Publish:
        self.tell(*self.answers(item))
        (publish,) = self.got(actions.Publish)
        return publish

    def fail(self, item: Item, retry: RetryClass, after: float = 0.0) -> list[actions.Action]:
        error = ErrorInfo(code="code", retry=retry, message="m")
        return self.tell(signals.Answered(ErrorLine(ref=item.ref, error=error)), after=after)

    def lose(self, *items: Item) -> list[actions.Action]:
        error = ErrorInfo(code="replica_lost", retry=RetryClass.TRANSIENT, message="m")
        return self.tell(*(signals.Answered(ErrorLine(ref=item.ref, error=error)) for item in items))

    def finish(self, item: Item) -> None:
        self.tell(signals.Published(self.answer(item).token))

    def commit(self) -> tuple[int, str]:
        self.tell(after=1.0)
        (commit,) = self.got(actions.Commit)
        self.tell(signals.CommitDone(commit.commit_id))
        return commit.offsets[TP]
