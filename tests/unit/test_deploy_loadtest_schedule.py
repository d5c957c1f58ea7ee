"""A schedule is read as it was written, whatever bytes it holds; a broken one is told."""

import gzip
import hashlib
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations, islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.errors import DeployError
from deploy.loadtest.options import DriverKind, RunOptions
from deploy.loadtest.workload.arrivals import Arrivals
from deploy.loadtest.workload.mix import load_mix
from deploy.loadtest.workload.planned import Kind, Planned
from deploy.loadtest.workload.schedule import plan_schedule, replay_schedule, write_schedule
from deploy.loadtest.workload.schedule_file import Due, ScheduleFacts, ScheduleHead, open_schedule

MIX = load_mix()
OPTIONS = RunOptions(
    driver=DriverKind.KAFKA, rate=100, duration_s=20, seed=7, out=Path("out"), warmup_s=5, namespace="run1"
)


class Photos:
    """A source that nobody asks."""

    def __init__(self, origin: str = "http://127.0.0.1:8000") -> None:
        self.origin = origin

    def url(self, name: str) -> str:
        return f"{self.origin}/{name}"


def planned(folder: Path, name: str = "a.gz", photos: Photos | None = None, **changes: object) -> ScheduleFacts:
    options = replace(OPTIONS, **changes)  # type: ignore[arg-type]
    return plan_schedule(options, Arrivals.parse(options.arrivals), MIX, photos or Photos(), folder / name)


def read(file: Path, shard: int = 0, shards: int = 1) -> list[Due]:
    return list(open_schedule(file, shard=shard, shards=shards)[1])


def head(count: int) -> ScheduleHead:
    return ScheduleHead(seed=1, rate=1, duration_s=1, arrivals="constant", count=count)


words = st.text(max_size=20)
events = st.builds(
    Planned,
    number=st.integers(0, 2**40),
    topic=words,
    key=words.map(str.encode),
    value=st.binary(max_size=50) | words.map(str.encode),
    kind=st.sampled_from(Kind),
    event_id=words,
    listing=st.none() | words,
    revision=st.integers(0, 2**62),
    loose=st.booleans(),
    images=st.integers(0, 40),
)


@settings(max_examples=100)
@given(
    some=st.lists(events, max_size=8),
    times=st.lists(st.floats(0, 1e6), min_size=8, max_size=8),
    shards=st.integers(1, 4),
)
def test_whatever_is_written_is_read_again(
    some: list[Planned], times: list[float], shards: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.getbasetemp() / "schedule.gz"
    due = [Due(at_s, event) for at_s, event in zip(sorted(times), some, strict=False)]
    facts = write_schedule(file, head(len(due)), [one.at_s for one in due], [one.event for one in due])
    assert read(file) == due
    assert facts.count == sum(facts.kinds.values()) == len(due)
    assert facts.images == sum(event.images for event in some)
    assert facts.value_bytes == sum(len(event.value) for event in some)
    shares = [read(file, shard, shards) for shard in range(shards)]
    assert sorted(one.event.number for share in shares for one in share) == sorted(event.number for event in some)
    assert all([one.at_s for one in share] == sorted(one.at_s for one in share) for share in shares)


def test_a_plan_is_arrivals_and_traffic_together(tmp_path: Path) -> None:
    facts = planned(tmp_path)
    found, due = open_schedule(tmp_path / "a.gz")
    events = list(due)
    assert [one.at_s for one in events] == Arrivals.parse("poisson").times(100, 20, 7, warmup_s=5).tolist()
    assert [one.event.number for one in events] == list(range(1, facts.count + 1))
    assert (found.seed, found.rate, found.duration_s, found.warmup_s) == (7, 100, 25, 5)
    assert (found.count, found.namespace, found.photos) == (len(events), "run1", "http://127.0.0.1:8000/")
    assert facts.duration_s == 25


def test_the_same_seed_is_the_same_file(tmp_path: Path) -> None:
    first, again = planned(tmp_path), planned(tmp_path, "b.gz")
    assert first == again
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()
    assert planned(tmp_path, seed=8).sha256 != first.sha256
    assert planned(tmp_path, namespace="run2").sha256 != first.sha256


def test_the_hash_is_that_of_the_lines_without_the_place_of_the_photos(tmp_path: Path) -> None:
    facts = planned(tmp_path)
    lines = gzip.decompress((tmp_path / "a.gz").read_bytes()).split(b"\n", 1)[1]
    assert facts.sha256 == hashlib.sha256(lines.replace(b"http://127.0.0.1:8000/", b"")).hexdigest()
    assert planned(tmp_path, photos=Photos("http://10.0.0.1:9")).sha256 == facts.sha256


def test_the_events_of_a_listing_stay_together_and_in_order(tmp_path: Path) -> None:
    planned(tmp_path)
    everything = read(tmp_path / "a.gz")
    shares = [read(tmp_path / "a.gz", shard, 3) for shard in range(3)]
    for one, other in combinations(shares, 2):
        assert {due.event.key for due in one}.isdisjoint(due.event.key for due in other)
    numbers = sorted(one.event.number for share in shares for one in share)
    assert numbers == [one.event.number for one in everything]
    # No share is idle.
    assert min(map(len, shares)) > len(everything) / 6


def test_reading_begins_before_the_end_is_looked_at(tmp_path: Path) -> None:
    planned(tmp_path)
    cut = tmp_path / "cut.gz"
    cut.write_bytes((tmp_path / "a.gz").read_bytes()[:-2000])
    _, due = open_schedule(cut)
    assert len(list(islice(due, 100))) == 100
    with pytest.raises(DeployError, match="cannot be read"):
        list(due)


def test_a_replay_is_the_same_bytes_at_the_same_times(tmp_path: Path) -> None:
    facts = planned(tmp_path)
    found, again = replay_schedule(tmp_path / "a.gz", Photos(), tmp_path / "b.gz")
    assert again == facts
    assert found.arrivals == "poisson"
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()


def test_a_replay_takes_its_photos_from_where_they_are_now(tmp_path: Path) -> None:
    facts = planned(tmp_path)
    _, moved = replay_schedule(tmp_path / "a.gz", Photos("http://10.0.0.1:9"), tmp_path / "b.gz")
    assert (moved.sha256, moved.count, moved.images) == (facts.sha256, facts.count, facts.images)
    pairs = list(zip(read(tmp_path / "a.gz"), read(tmp_path / "b.gz"), strict=True))
    for old, new in pairs:
        value = old.event.value.replace(b"http://127.0.0.1:8000/", b"http://10.0.0.1:9/")
        assert new == Due(old.at_s, replace(old.event, value=value))
    assert any(old != new for old, new in pairs)


def test_a_schedule_is_a_trace(tmp_path: Path) -> None:
    planned(tmp_path)
    recorded = [one.at_s for one in read(tmp_path / "a.gz")]
    again = planned(tmp_path, "b.gz", arrivals=f"trace:{tmp_path / 'a.gz'}")
    assert again.count == len(recorded)
    assert [one.at_s for one in read(tmp_path / "b.gz")] == pytest.approx([at - recorded[0] for at in recorded])


def rewritten(folder: Path, lines: list[bytes]) -> Path:
    file = folder / "broken.gz"
    file.write_bytes(gzip.compress(b"".join(lines)))
    return file


def test_broken_schedules_are_told(tmp_path: Path) -> None:
    planned(tmp_path)
    whole = (tmp_path / "a.gz").read_bytes()
    lines = gzip.decompress(whole).splitlines(keepends=True)

    def told(*some: bytes) -> str:
        with pytest.raises(DeployError) as caught:
            read(rewritten(tmp_path, list(some)))
        return str(caught.value)

    assert "no head" in told()
    assert "no head" in told(*lines[1:])
    assert "no head" in told(lines[0].replace(b"schedule/1", b"schedule/2"))
    assert f"has {len(lines) - 2} events" in told(*lines[:-1])
    assert "line 3" in told(*lines[:2], lines[2][:40])
    assert "line 2" in told(lines[0], b'{"lane":1,"at":0}\n')
    assert "line 2" in told(lines[0], b"7\n")
    assert "line 2" in told(lines[0], lines[1].replace(b'"kind":"', b'"kind":"un'))
    assert "back in time in line 3" in told(lines[0], lines[2], lines[1])
    for content in (b"", b"no gzip", whole[:40], whole[:-4] + b"0000"):
        (tmp_path / "cut.gz").write_bytes(content)
        with pytest.raises(DeployError):
            read(tmp_path / "cut.gz")
    with pytest.raises(DeployError, match="cannot be read"):
        open_schedule(tmp_path / "nowhere.gz")


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="cannot be written"):
        planned(tmp_path, "no/such/folder.gz")
    with pytest.raises(DeployError, match="cannot be written"):
        plan_schedule(OPTIONS, Arrivals.parse(OPTIONS.arrivals), MIX, Photos(), Path("/dev/full"))


def test_an_unknown_arrival_is_told_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="possible"):
        planned(tmp_path, arrivals="sometimes")
    assert not list(tmp_path.iterdir())


def test_a_schedule_is_written_as_it_is_made(tmp_path: Path) -> None:
    made = []

    def times() -> Iterator[float]:
        for number in range(5):
            made.append(number)
            yield number / 10

    one = Planned(number=1, topic="t", key=b"k", value=b"v", kind=Kind.BARE, event_id="e")

    def events() -> Iterator[Planned]:
        for number in range(5):
            assert len(made) == number + 1
            yield one

    write_schedule(tmp_path / "a.gz", head(5), times(), events())
    assert len(read(tmp_path / "a.gz")) == 5


def test_the_default_mix_is_planned_with_every_arrival(tmp_path: Path) -> None:
    for text in ("poisson", "constant", "gamma:2", "ramp:0.5..1.5", "step:1,2,1", "spike:5@5+2"):
        assert planned(tmp_path, arrivals=text).count > 1000
