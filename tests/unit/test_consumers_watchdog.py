"""When a Kafka client is replaced, and when it is left alone, with pollers that do what the test says."""

import threading
from collections.abc import Callable

import pytest
from kafka.errors import KafkaError, KafkaTimeoutError

from consumers.core.signals import TransactionFailed
from consumers.shell import watchdog
from consumers.shell.inbox import Inbox
from consumers.shell.lease import Lease
from consumers.shell.watchdog import Watchdog


class Poller:
    """Runs `work`, with itself."""

    def __init__(self, work: Callable[["Poller"], None], reason: str | None = None) -> None:
        self.work = work
        self.reason = reason
        self.lease = Lease()
        self.consumer: object | None = "client"
        self.closing = False
        self.unhanded: int | None = None
        self.released = threading.Event()
        self.took_over = False

    def run(self) -> None:
        self.work(self)

    def stall(self, _limit_s: float) -> str | None:
        return self.reason

    def take_over(self) -> None:
        self.took_over = True


def hang(poller: Poller) -> None:
    poller.released.wait(10)


def stop(_: Poller) -> None:
    """Ends by itself."""


def fail(error: BaseException) -> Callable[[Poller], None]:
    def work(_: Poller) -> None:
        raise error

    return work


@pytest.fixture
def cut(monkeypatch) -> list:
    """The clients that were cut."""
    gone: list = []
    monkeypatch.setattr(watchdog.kafka_internals, "cut", lambda client, _within: gone.append(client))
    monkeypatch.setattr(watchdog, "_LOOK_S", 0.01)
    monkeypatch.setattr(watchdog, "_AGAIN_S", 0.01)
    return gone


def run(pollers: list[Poller], **more: object) -> tuple[Inbox, list]:
    inbox, told, left = Inbox(), [], list(pollers)
    dog = Watchdog(lambda: left.pop(0), inbox, stall_s=0.0, tell=told.append, **more)
    try:
        dog.run()
    finally:
        for poller in pollers:
            poller.released.set()
    assert left == []
    return inbox, told


def test_a_poller_that_ends_is_the_end(cut):
    _, told = run([Poller(stop)])
    assert told == cut == []
    with pytest.raises(KafkaTimeoutError):
        run([Poller(fail(KafkaTimeoutError()))])


def test_one_that_hangs_loses_its_lease_and_its_sockets_and_another_takes_over(cut):
    hung, second = Poller(hang, "it hangs"), Poller(stop)
    hung.unhanded = 7
    inbox, told = run([hung, second])
    assert [news.reason for news in told] == ["it hangs"]
    assert not hung.lease.held
    assert cut == ["client"]
    assert second.took_over
    assert second.lease.held
    assert inbox.drain() == [TransactionFailed(7, "the client was replaced")]


def test_the_next_client_is_tried_until_the_brokers_are_back_but_no_error_of_ours_is_hidden(cut):
    away = Poller(fail(KafkaTimeoutError()))
    away.consumer = None
    last = Poller(stop)
    run([Poller(hang, "it hangs"), away, last])
    assert last.took_over
    broken = Poller(fail(ValueError("ours")))
    broken.consumer = None
    with pytest.raises(ValueError, match="ours"):
        run([Poller(hang, "it hangs"), broken])
    late = Poller(fail(KafkaError("after it had joined")))
    with pytest.raises(KafkaError, match="after it had joined"):
        run([Poller(hang, "it hangs"), late])


def test_one_that_hangs_while_it_leaves_is_left_behind(cut):
    leaving = Poller(hang, "it hangs")
    leaving.closing = True
    _, told = run([leaving])
    assert told == []


def test_after_a_sleep_of_the_whole_process_everybody_has_its_time_again(cut):
    """The clock jumps by an hour at the third look; only a stall that lasts after that counts."""
    times = [0.0, 0.1, 0.2, 3600.0]
    looks = []

    def clock() -> float:
        looks.append(times[min(len(looks), 3)] + (len(looks) - 3 if len(looks) > 3 else 0))
        return looks[-1]

    hung = Poller(hang)
    hung.stall = lambda limit_s: "it hangs" if looks[-1] >= 3600.0 else None
    told: list = []
    left = [hung, Poller(stop)]
    dog = Watchdog(lambda: left.pop(0), Inbox(), stall_s=2.0, tell=told.append, clock=clock)
    dog.run()
    hung.released.set()
    assert len(told) == 1
    assert looks[-1] >= 3602.0
