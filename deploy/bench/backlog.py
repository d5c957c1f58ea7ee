"""Memory of a worker behind a short backlog and behind a long one: it must not matter how much is waiting."""

import tempfile
import time
from pathlib import Path

from confluent_kafka import Producer

from consumers.settings import ConsumerSettings
from deploy.bench import listings
from deploy.bench.answering import answering
from deploy.bench.broker import kafka, settings_for
from deploy.bench.crash import worker
from deploy.bench.figure import Figure, Progress, Round

#: At most a tenth more.
_GOAL = 1 / 1.1
_DELAY_S = 2.0
#: Until the buffers are full and the first answers have come.
_SETTLE_S = 20.0
_MIB = 2**20
#: Fewer than the producer holds by default.
_QUEUE = 50_000


def run(progress: Progress, *, short: int = 10_000, long: int = 1_000_000) -> Figure:
    """Resident memory with `short` and `long` events waiting."""
    with (
        tempfile.TemporaryDirectory(prefix="vitrine-bench-") as name,
        kafka(Path(name)) as (endpoints, note),
        answering(Path(name), delay_s=_DELAY_S) as url,
    ):
        settings = settings_for(endpoints, "short", url)
        progress(0, 4)
        _fill(settings, 0, short)
        progress(1, 4)
        little = _memory_mib(Path(name), settings, 1)
        progress(2, 4)
        _fill(settings, short, long)
        progress(3, 4)
        much = _memory_mib(Path(name), settings_for(endpoints, "long", url), 2)
        progress(4, 4)
    note = f"{little:.0f} MiB behind {short:,} events, {much:.0f} MiB behind {long:,}; {note}"
    return Figure.of("backlog", [Round(1 / little, 1 / much)], unit="1/MiB", goal=_GOAL, note=note)


def _fill(settings: ConsumerSettings, start: int, end: int) -> None:
    """Events that differ in their listing only, by the fastest producer at hand: a million must not take minutes."""
    sent = listings.message(0)
    before, after = (sent.value or b"").split(b'"listing-0"')
    producer = Producer({"bootstrap.servers": settings.bootstrap, "linger.ms": 50, "compression.type": "gzip"})
    for number in range(start, end):
        value = b'%s"listing-%d"%s' % (before, number, after)
        producer.produce(settings.topics[0], value, b"bench:listing-%d" % number, headers=list(sent.headers))
        if number % _QUEUE == 0:
            producer.flush()
    producer.flush()


def _memory_mib(folder: Path, settings: ConsumerSettings, number: int) -> float:
    """The most that a worker had resident while it worked for a while."""
    consumer = worker(folder, settings, number)
    consumer.start()
    try:
        time.sleep(_SETTLE_S)
        status = Path(f"/proc/{consumer.processes()[0].pid}/status").read_text()
    finally:
        consumer.kill()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(peak.split()[1]) * 1024 / _MIB
