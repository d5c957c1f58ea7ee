"""When a run may not be believed: a sentence for every reason, and silence where all is well."""

import numpy as np
import pytest

from deploy.loadtest.judging.columns import Columns
from deploy.loadtest.judging.validity import doubts


def columns(
    lag_ms: float = 1.0, latency_ms: float = 100.0, count: int = 1000, sent: float = 1.0, answered: float = 1.0
) -> Columns:
    """100 events a second; `sent` and `answered` are shares, of which those at the end fall out."""
    due = np.arange(count) / 100
    was_sent = np.arange(count) < sent * count
    was_answered = np.arange(count) < answered * count
    return Columns(
        due_s=due,
        sent_s=np.where(was_sent, due + lag_ms / 1000, np.nan),
        visible_s=np.where(was_answered, due + latency_ms / 1000, np.nan),
        counts=np.ones(count, np.bool_),
        sent=was_sent,
        answered=was_answered,
        good=was_answered,
    )


def found(
    told: Columns, jumps: tuple[str, ...] = (), reasons: tuple[str, ...] = (), *, finished: bool = True
) -> list[str]:
    return doubts(told, told.due_s.size / 100, finished=finished, jumps=jumps, reasons=reasons)


def test_a_good_run_is_not_doubted() -> None:
    assert found(columns()) == []


def test_a_late_generator_makes_a_run_invalid() -> None:
    assert found(columns(lag_ms=9.9)) == []
    [why] = found(columns(lag_ms=10.1))
    assert why.startswith("The generator was late: the p99 of its lag is 10.1 ms, at most 10.0 ms are allowed")


def test_a_slow_system_excuses_a_little_lag() -> None:
    assert found(columns(lag_ms=19.9, latency_ms=2000)) == []
    assert "at most 20.0 ms" in found(columns(lag_ms=20.1, latency_ms=2000))[0]


def test_a_system_that_does_not_answer_excuses_nothing() -> None:
    assert "at most 10.0 ms" in found(columns(lag_ms=11, latency_ms=5000, answered=0.4))[0]


def test_a_single_late_event_of_a_few_is_no_doubt() -> None:
    few = columns(count=50)
    few.sent_s[7] += 0.3
    assert found(few) == []
    few.sent_s[8] += 0.3
    assert "The generator was late" in found(few)[0]


def test_the_p99_of_the_lag_counts_not_its_maximum() -> None:
    told = columns()
    told.sent_s[:10] += 0.5
    assert found(told) == []
    told.sent_s[10] += 0.5
    assert len(found(told)) == 1


def test_events_that_could_not_be_sent_make_a_run_invalid() -> None:
    assert found(columns(sent=0.99)) == []
    why = found(columns(sent=0.98))
    assert why[0] == "20 of 1000 scheduled events could not be sent (2.0%, at most 1 % are allowed)."


@pytest.mark.parametrize("late_s", [0.3, -0.3])
def test_events_sent_outside_of_the_window_make_a_run_invalid(late_s: float) -> None:
    told = columns()
    told.sent_s[:] += late_s
    assert any(why.startswith("970 events were sent in the measured window, 1000 were") for why in found(told))


def test_nothing_sent_is_nothing_measured() -> None:
    assert found(columns(sent=0.0, answered=0.0)) == ["Nothing was sent in the measured window."]


def test_the_other_reasons() -> None:
    assert found(columns(), finished=False) == ["The schedule was not sent to its end."]
    assert found(columns(), ("it slept",), ("consumer-1 died.",)) == ["consumer-1 died.", "A clock jumped: it slept."]
