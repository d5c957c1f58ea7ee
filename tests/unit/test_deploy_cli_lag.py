"""`vitrine lag` without a broker: what is shown, and when it complains."""

import os
from dataclasses import replace

import pytest
from rich.console import Console

from consumers.records import TopicPartition
from consumers.tools.lag import Row, Totals
from consumers.tools.lag_reader import GroupState, Member
from deploy.cli.lag import _above
from deploy.cli.lag_view import facts, headline, line, table

NEW, RETRY = TopicPartition("listings.new", 0), TopicPartition("listings.retry.30s", 1)
ROW = Row(tp=NEW, committed=5, end=12, lag=7, done=2, member="worker-a", oldest=5, age_s=75.0)
STATE = GroupState(
    state="Stable",
    members=(Member(name="worker-a", host="10.0.0.1", partitions=(NEW, RETRY)),),
    rows=(
        ROW,
        replace(ROW, tp=RETRY, lag=3, done=0, age_s=9999.0),
        replace(ROW, tp=TopicPartition("listings.new", 1), committed=None, lag=0, done=0, age_s=None, note="no commit"),
        replace(ROW, tp=TopicPartition("listings.new", 2), removed=4, note="4 removed"),
    ),
    dead_letters=6,
    missing=("listings.new.low",),
)
RETRIES = ("listings.retry.30s",)


def test_the_table_shows_events_and_retries_apart() -> None:
    console = Console(width=120, record=True, file=open(os.devnull, "w"))  # noqa: SIM115, PTH123
    console.print(table("g", STATE, RETRIES, 3.0))
    lines = [" ".join(one.split()) for one in console.export_text().splitlines()]
    assert lines[0] == "group g, stable, 1 members, no progress for 3.0 s"
    assert "listings.new 0 5 12 7 2 5 75 s 1" in lines
    assert "listings.retry.30s 1 5 12 3 0 3 3 h 1" in lines
    assert "listings.new 2 5 12 7 2 5 75 s 1 4 removed" in lines
    assert "all events 14 4 10 75 s" in lines
    assert lines[-3:] == [
        "3 wait in retry topics, 6 in the dead-letter topic",
        "1 empty partitions without a commit",
        "missing topics: listings.new.low",
    ]


def test_programs_get_everything() -> None:
    told = facts("g", STATE, RETRIES)
    assert [(one["topic"], one["partition"], one["open"]) for one in told["partitions"]] == [
        ("listings.new", 0, 5),
        ("listings.new", 1, 0),
        ("listings.new", 2, 5),
    ]
    assert told["totals"] == {"lag": 14, "done": 4, "open": 10, "removed": 4, "age_s": 75.0}
    assert (told["retries_waiting"], told["dead_letters"], told["missing_topics"]) == (3, 6, ["listings.new.low"])
    assert told["members"] == [{"name": "worker-a", "host": "10.0.0.1", "partitions": 2}]


def test_a_line_holds_the_figures() -> None:
    told = line("g", STATE, RETRIES, 3.0)
    assert "lag 14, done beyond 4, open 10, oldest 75 s; 3 wait in retry topics, 6 in" in told
    unknown = replace(STATE, state=None, members=())
    assert headline("g", unknown, None) == "group g"


@pytest.mark.parametrize(
    ("max_lag", "max_age", "problems"),
    [(None, None, 0), (14, 75.0, 0), (13, None, 1), (None, 74.9, 1), (0, 0.0, 2)],
)
def test_it_complains_above_the_limits(max_lag: int | None, max_age: float | None, problems: int) -> None:
    assert len(_above(Totals(lag=14, age_s=75.0), max_lag, max_age)) == problems


def test_nothing_open_is_never_too_old() -> None:
    assert _above(Totals(), 0, 0.0) == []


def test_a_group_exists_where_somebody_is_or_was() -> None:
    nobody = replace(STATE, state="Dead", members=(), rows=())
    assert not nobody.exists
    assert replace(nobody, state="Empty").exists
    assert replace(nobody, state="Dead", rows=(ROW,)).exists
    assert replace(nobody, state=None).exists, "the embedded Kafka does not tell"
