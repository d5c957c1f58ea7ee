"""Bitmap and tracker."""

import base64
import zlib
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.core import bitmap
from consumers.core.tracker import Snapshot, Tracker

bases = st.integers(0, 2**62)


@given(bases, st.sets(st.integers(0, bitmap.MAX_WINDOW - 1)))
def test_bitmap_round_trip(base, places):
    done = {base + place for place in places}
    text = bitmap.encode(base, done)
    assert bitmap.decode(base, text) == done
    assert len(text) <= bitmap.MAX_METADATA_CHARS


@pytest.mark.parametrize(("window", "most"), [(256, 48), (4096, 688)])
def test_bitmap_is_small(window, most):
    # Every place that is divisible by 3 or 7 or whose square is 1 mod 5: nothing for zlib to gain much on.
    done = [i for i in range(window) if (i * i * 2654435761 >> 7) % 2] + [window - 1]
    assert len(bitmap.encode(0, done)) <= most


def test_bitmap_of_a_run_is_deflated():
    assert len(bitmap.encode(0, range(1, 4096))) < 40


def test_bitmap_leaves_out_what_is_beyond_its_window():
    assert bitmap.decode(10, bitmap.encode(10, [3, 11, 10 + bitmap.MAX_WINDOW])) == {11}
    assert bitmap.encode(10, [9, 10 + bitmap.MAX_WINDOW]) == ""


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: base64.b64encode(raw).decode()))
def test_bitmap_decodes_any_text(text):
    assert all(0 <= offset < bitmap.MAX_WINDOW for offset in bitmap.decode(0, text))


@given(st.sets(st.integers(0, 4095), min_size=1), st.data())
def test_damaged_bitmap_never_marks_beyond_the_window(places, data):
    raw = bytearray(base64.b64decode(bitmap.encode(0, places)))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    assert all(0 <= offset < bitmap.MAX_WINDOW for offset in bitmap.decode(0, base64.b64encode(raw).decode()))


@pytest.mark.parametrize(
    "raw",
    [
        b"\x03\x00\x08\xff",  # unknown version
        b"\x01\x00\x09\xff",  # length and body disagree
        b"\x01\xff\xff" + b"\xff" * 8192,  # longer than any window
        b"\x02\x10\x00" + zlib.compress(bytes(10_000_000)),  # a bomb
        b"\x02\x00\x08" + zlib.compress(b"\xff")[:-2],  # cut short
        b"\x01",
    ],
)
def test_foreign_or_damaged_metadata_is_empty(raw):
    assert bitmap.decode(0, base64.b64encode(raw).decode()) == frozenset()


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=60),
    st.integers(0, 2**40),
    st.data(),
)
def test_tracker_commits_the_contiguous_part_and_marks_the_rest(gaps, start, data):
    offsets = list(accumulate(gaps, initial=start))[1:]
    last = offsets[-1]
    order = data.draw(st.permutations(offsets))
    done = set(order[: data.draw(st.integers(0, len(order)))])
    tracker = Tracker(start)
    assert all(tracker.deliver(offset) for offset in offsets)
    positions = [tracker.position]
    for offset in (offset for offset in order if offset in done):
        before = tracker.version
        tracker.complete(offset)
        assert tracker.version > before
        positions.append(tracker.position)
    open_ = [offset for offset in offsets if offset not in done]
    assert positions == sorted(positions)
    assert tracker.position == min(open_, default=last + 1)
    snapshot = tracker.snapshot()
    assert snapshot.offset == tracker.position
    assert bitmap.decode(*snapshot) == {offset for offset in done if offset > snapshot.offset}

    resumed = Tracker(*snapshot)
    assert resumed.snapshot() == snapshot
    again = [offset for offset in offsets if offset >= snapshot.offset and resumed.deliver(offset)]
    assert again == open_


def test_tracker_before_anything_is_known_commits_nothing():
    tracker = Tracker()
    assert tracker.snapshot() is None
    assert tracker.deliver(7)
    assert tracker.snapshot() == (7, "")


def test_tracker_takes_a_gap_as_done():
    tracker = Tracker(100)
    assert tracker.deliver(105)
    assert tracker.snapshot() == (105, "")
    tracker.complete(105)
    assert tracker.position == 106


def test_tracker_refuses_a_repeat_and_a_stranger():
    tracker = Tracker(0)
    assert tracker.deliver(3)
    assert not tracker.deliver(3)
    assert not tracker.deliver(1)
    for offset in (2, 4):
        with pytest.raises(ValueError, match="not in work"):
            tracker.complete(offset)
    tracker.complete(3)
    with pytest.raises(ValueError, match="not in work"):
        tracker.complete(3)


def test_marks_of_an_earlier_life_stay_in_the_next_commit():
    tracker = Tracker(10, bitmap.encode(10, [13, 15]))
    assert tracker.deliver(10)
    assert tracker.deliver(11)
    tracker.complete(10)
    assert tracker.position == 11
    assert bitmap.decode(*tracker.snapshot()) == {13, 15}


@given(known=st.integers(0, 30), committed=st.integers(0, 30), done=st.sets(st.integers(31, 60)))
def test_what_this_worker_knows_to_be_done_is_not_done_again(known, committed, done):
    remembered = Snapshot(known, bitmap.encode(known, done))
    tracker = Tracker(committed, "", remembered)
    fresh = [offset for offset in range(committed, 70) if tracker.deliver(offset)]
    assert fresh == [offset for offset in range(max(committed, known), 70) if offset not in done]


@given(offsets=st.sets(st.integers(0, 60), min_size=1), data=st.data())
def test_a_snapshot_of_the_future_is_the_snapshot_when_it_has_come(offsets, data):
    tracker = Tracker(0)
    for offset in sorted(offsets):
        tracker.deliver(offset)
    also = data.draw(st.sets(st.sampled_from(sorted(offsets))))
    foreseen = tracker.snapshot(also)
    for offset in also:
        tracker.complete(offset)
    assert tracker.snapshot() == foreseen
