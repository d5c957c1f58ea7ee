"""What is true of a group's topics, read from the logs alone: which events are answered, and what a reader sees."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from kafka import TopicPartition as KafkaPartition

from consumers.core import bitmap
from consumers.core.tracker import Snapshot
from consumers.headers import PREFIX
from consumers.reader import Visible
from consumers.records import TopicPartition
from consumers.results import parse_result
from tests.support.fake_kafka import FakeBroker
from tests.support.fake_kafka.log import Entry

Place = tuple[TopicPartition, int]


@dataclass(slots=True)
class _Scan:
    """How far a log was read; transactional entries wait for their end."""

    offset: int = 0
    open: list[Entry] = field(default_factory=list)


class Truth:
    """Reads the logs of results, dead letters and retry records as they grow."""

    def __init__(self, broker: FakeBroker, results: str, dead: str, retries: Collection[str]) -> None:
        self._broker = broker
        self._retries = retries
        self._scans = {
            KafkaPartition(topic, number): _Scan()
            for topic in (results, dead, *retries)
            for number in range(broker.count(topic) or 0)
        }
        self._results, self._dead = results, dead
        #: How many messages about the event that stood here first are with the broker.
        self.landed: Counter[Place] = Counter()
        #: How many there must be before a retry record counts as answered.
        self._needs: dict[Place, int] = {}
        self._origins: dict[Place, Place] = {}
        #: Ids of answers and dead letters per event: what readers drop repeats by.
        self.visible: dict[Place, set[str]] = defaultdict(set)
        #: How often they came.
        self.times: Counter[Place] = Counter()
        self._reader = Visible()
        #: Revisions of each listing in the order in which a reader sees its images change.
        self.revisions: dict[str, list[int]] = defaultdict(list)

    def scan(self) -> None:
        """Read on."""
        for tp, scan in self._scans.items():
            log = self._broker.log(tp)
            if scan.offset == log.end and not scan.open:
                continue
            candidates = scan.open + [e for e in log.entries if e.offset >= scan.offset and not e.control]
            scan.offset, scan.open = log.end, []
            for entry in candidates:
                fate = log.fate(entry)
                if fate is None:
                    scan.open.append(entry)
                elif fate:
                    self._take(tp, entry)

    def answered(self, tp: TopicPartition, offset: int, extra: Collection[Place] = ()) -> bool:
        """Whether this record is done, or will be with the `extra` messages."""
        place = (tp, offset)
        if tp.topic not in self._retries:
            return bool(self.landed[place]) or place in extra
        origin = self._origins.get(place)
        return origin is None or self.landed[origin] + (origin in extra) >= self._needs[place]

    def has_copies(self, origin: Place) -> bool:
        """Whether the event was in a retry topic."""
        return origin in self._origins.values()

    def check_offsets(self, offsets: Mapping[TopicPartition, Snapshot], extra: Collection[Place] = ()) -> None:
        """Every record that these offsets pass is done; base and bitmap fit each other and the limit."""
        for tp, (base, metadata) in offsets.items():
            marked = bitmap.decode(base, metadata)
            assert len(metadata) <= bitmap.MAX_METADATA_CHARS, "metadata above the broker's limit"
            assert bitmap.encode(base, marked) == metadata, "the bitmap does not survive the way there and back"
            log = self._broker.find(KafkaPartition(*tp))
            for entry in log.entries if log is not None else ():
                passed = entry.offset < base or entry.offset in marked
                if passed and not entry.control and log is not None and log.fate(entry):
                    assert self.answered(tp, entry.offset, extra), "offsets pass an unanswered event"

    def _take(self, tp: KafkaPartition, entry: Entry) -> None:
        headers = {name.removeprefix(PREFIX): value.decode() for name, value in entry.headers}
        if tp.topic == self._results:
            self._result(entry.value)
            return
        origin_tp = TopicPartition(headers["original-topic"], int(headers["original-partition"]))
        origin = (origin_tp, int(headers["original-offset"]))
        self.landed[origin] += 1
        if tp.topic == self._dead:
            self._see(origin, headers["dead-id"])
            return
        place = (TopicPartition(*tp), entry.offset)
        self._origins[place] = origin
        self._needs[place] = self.landed[origin] + 1

    def _result(self, value: bytes | None) -> None:
        event = parse_result(value)
        assert event is not None
        position = event.data.position
        assert position is not None
        place = (TopicPartition(position.topic, position.partition), position.offset)
        self.landed[place] += 1
        self._see(place, event.id)
        shown = self._reader.show(event)
        if shown is not None and shown.data.outcome.carries_images:
            self.revisions[event.data.listing_id].append(event.data.revision)

    def _see(self, place: Place, name: str) -> None:
        self.visible[place].add(name)
        self.times[place] += 1
