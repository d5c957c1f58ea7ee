from datetime import timedelta
from threading import Event

from serve.errors import IndexUnavailable
from serve.housekeeping import Housekeeping


def test_rounds_go_on_after_an_outage_or_a_defect_until_they_are_stopped() -> None:
    asked: list[timedelta] = []
    enough = Event()

    def prune(older_than: timedelta) -> int:
        asked.append(older_than)
        if len(asked) == 1:
            raise IndexUnavailable
        if len(asked) == 2:
            raise ZeroDivisionError
        enough.set()
        return 0

    keeper = Housekeeping(prune, timedelta(days=3), every=timedelta(milliseconds=1))
    keeper.start()
    assert enough.wait(30)
    keeper.stop()
    keeper._thread.join(30)
    assert not keeper._thread.is_alive()
    assert set(asked) == {timedelta(days=3)}


def test_nothing_is_pruned_while_a_replica_starts_or_stops() -> None:
    asked: list[timedelta] = []
    keeper = Housekeeping(lambda keep: asked.append(keep) or 0, timedelta(days=3))
    keeper.start()
    keeper.stop()
    keeper._thread.join(30)
    assert not keeper._thread.is_alive()
    assert asked == []
