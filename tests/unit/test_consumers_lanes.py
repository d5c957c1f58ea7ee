"""Lanes: one event of a listing at a time, and only the newest of those that wait. Ready: shares by weight."""

from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from consumers.core.lanes import Lanes
from consumers.core.ready import Ready
from consumers.core.task import Assignment, Place, Task
from consumers.core.tracker import Tracker
from consumers.events import ListingEvent, parse
from consumers.records import TopicPartition
from serve.schemas.listing import EventType
from tests.support.listing_events import source_record, structured_bytes

TP = TopicPartition("listings.new", 0)


def task_of(number: int, listing: str = "a", revision: int = 0, kind: str = "created", topic: str = TP.topic) -> Task:
    home = Assignment(TopicPartition(topic, 0), 1, Tracker(0))
    value = structured_bytes(f"e{number}", listing, revision, type=f"org.vitrine.catalog.listing.{kind}.v1")
    record = source_record(home.tp, number, value)
    event = parse(record)
    assert isinstance(event, ListingEvent)
    return Task(home, record, event)


arrivals = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 5), st.sampled_from(["created", "updated", "deleted"])), max_size=30
)


@given(arrivals, st.data())
def test_lanes_run_one_by_one_and_only_what_is_void_is_superseded(events, data):
    lanes = Lanes()
    tasks = [task_of(number, *event) for number, event in enumerate(events)]
    running: list[Task] = []
    finished: list[Task] = []
    superseded: list[Task] = []

    def finish() -> None:
        task = running.pop(data.draw(st.integers(0, len(running) - 1)))
        task.place = Place.GONE
        finished.append(task)
        if (follower := lanes.leave(task)) is not None:
            follower.place = Place.WITH_SERVE
            running.append(follower)

    for task in tasks:
        joined = lanes.join(task)
        for void in joined.superseded:
            assert void.place is Place.LANE
            assert void.event.type is not EventType.DELETED
            assert void.revision < joined.by_revision
            void.place = Place.ANSWERED
            superseded.append(void)
        if joined.head is not None:
            joined.head.place = Place.WITH_SERVE
            running.append(joined.head)
        assert len({other.key for other in running}) == len(running)
        if running and data.draw(st.booleans()):
            finish()
    while running:
        finish()
    assert len(lanes) == 0
    assert sorted(task.record.offset for task in (*finished, *superseded)) == list(range(len(tasks)))
    for listing in "ab":
        ran = [task for task in finished if task.key == f"acme:{listing}"]
        assert all(one.record.offset < other.record.offset for one, other in pairwise(ran))
        newest = [task for task in tasks if task.key == f"acme:{listing}"]
        assert not newest or max(newest, key=lambda task: task.revision).revision in {task.revision for task in ran}


def test_of_many_revisions_that_wait_only_the_newest_runs():
    lanes = Lanes()
    first = task_of(0, revision=0)
    lanes.join(first)
    first.place = Place.WITH_SERVE
    gone = []
    for revision in range(1, 10_001):
        for void in lanes.join(task_of(revision, revision=revision)).superseded:
            void.place = Place.ANSWERED
            gone.append(void.revision)
    assert gone == list(range(1, 10_000))
    assert lanes.leave(first).revision == 10_000


def test_a_head_that_only_waits_is_superseded_and_the_newer_one_takes_its_place():
    lanes = Lanes()
    old, new = task_of(0, revision=1), task_of(1, revision=2)
    lanes.join(old)
    old.place = Place.SLEEPING
    joined = lanes.join(new)
    assert (joined.head, joined.superseded, joined.by_revision) == (new, [old], 2)


def test_an_older_revision_that_comes_late_is_superseded_by_the_one_that_waits():
    lanes = Lanes()
    lanes.join(task_of(0, revision=5))
    late = task_of(1, revision=3)
    assert lanes.join(late).superseded == [late]


def test_a_deletion_is_never_superseded_but_supersedes():
    lanes = Lanes()
    head, update, deletion = task_of(0), task_of(1, revision=1), task_of(2, revision=2, kind="deleted")
    lanes.join(head)
    head.place = Place.WITH_SERVE
    lanes.join(update)
    assert lanes.join(deletion).superseded == [update]
    assert lanes.join(task_of(3, revision=9)).superseded == []
    assert lanes.leave(head) is deletion


def test_purge_frees_the_first_that_stays():
    lanes = Lanes()
    tasks = [task_of(number, revision=1) for number in range(4)]
    for task in (*tasks, task_of(9, "other")):
        lanes.join(task)
    tasks[0].place = tasks[1].place = Place.GONE
    assert lanes.purge(["acme:a", "acme:nobody"]) == [tasks[2]]
    tasks[3].place = Place.GONE
    assert lanes.purge(["acme:a"]) == []
    assert lanes.leave(tasks[2]) is None
    assert len(lanes) == 1


def test_topics_are_taken_by_weight_and_nobody_starves():
    ready = Ready({"high": 8, "normal": 4, "low": 1})
    for number in range(300):
        for topic in ("high", "normal", "low"):
            ready.push(task_of(number, topic=topic))
    taken: list[str] = []
    for _ in range(130):
        taken.append(ready.peek().origin.tp.topic)
        ready.pop()
    assert Counter(taken) == {"high": 80, "normal": 40, "low": 10}
    assert max(b - a for a, b in pairwise(n for n, topic in enumerate(taken) if topic == "low")) <= 14


def test_a_topic_that_was_empty_saves_up_no_turns():
    ready = Ready({"high": 1, "low": 1})
    for number in range(100):
        ready.push(task_of(number, topic="low"))
    for _ in range(50):
        ready.pop()
    for number in range(100):
        ready.push(task_of(number, topic="high"))
    taken = []
    for _ in range(20):
        taken.append(ready.peek().origin.tp.topic)
        ready.pop()
    assert Counter(taken)["low"] >= 9


@given(
    st.lists(st.tuples(st.sampled_from(["high", "low"]), st.booleans()), max_size=40),
    st.lists(st.sampled_from([False, False, False, True]), max_size=50),
)
def test_ready_keeps_the_order_within_a_topic_and_passes_by_what_has_left(pushed, put_back):
    ready = Ready({"high": 3})
    tasks = [task_of(number, topic=topic) for number, (topic, _) in enumerate(pushed)]
    for task in tasks:
        ready.push(task)
    for task, (_, left) in zip(tasks, pushed, strict=True):
        if left:
            task.place = Place.ANSWERED
    taken = []
    while (task := ready.peek()) is not None:
        ready.pop()
        task.place = Place.WITH_SERVE
        taken.append(task)
        if put_back and put_back.pop():
            ready.put_back([taken.pop()])
    for topic in ("high", "low"):
        assert [t for t in taken if t.home.tp.topic == topic] == [
            t for t in tasks if t.home.tp.topic == topic and t.place is Place.WITH_SERVE
        ]
