"""All child processes of a run together: the generators, and the receiver where there is a Kafka."""

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from consumers.settings import ConsumerSettings
from deploy.errors import ServiceFailed
from deploy.loadtest.measuring.observations import Observation, Place
from deploy.loadtest.options import RunOptions
from deploy.loadtest.sending.feeds import ChildFeed, Generator, Receiver
from deploy.loadtest.sending.interface import GeneratorSpec, ReceiverSpec
from deploy.loadtest.sending.unconfirmed import Starts, ends_of, places_of

_READY_S = 90.0
_ASK_EVERY_S = 0.1


class Children:
    """Connected and warm from the beginning of the block to its end; use them from the main thread."""

    def __init__(
        self, options: RunOptions, schedule: Path, env: Mapping[str, str], kafka: ConsumerSettings | None, logs: Path
    ) -> None:
        """`env` is for the drivers; `kafka` says where results are read, None without Kafka."""
        self._kafka = kafka
        self._logs = logs
        #: Where the topics of events ended before the first event.
        self._starts: Starts = {}
        self._generators = [
            Generator(
                GeneratorSpec(
                    driver=options.driver, schedule=schedule, env=env, shard=shard, shards=options.generators
                ),
                logs,
            )
            for shard in range(options.generators)
        ]
        receivers = [] if kafka is None else [Receiver(ReceiverSpec(env=env, namespace=options.namespace), logs)]
        self._feeds: Sequence[ChildFeed] = [*self._generators, *receivers]

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _start(self) -> None:
        if self._kafka is not None:
            self._starts = ends_of(self._kafka, self._kafka.topics)
        for feed in self._feeds:
            feed.start()
        deadline = time.monotonic() + _READY_S
        while late := [feed.name for feed in self._feeds if not feed.ready()]:
            if time.monotonic() > deadline:
                names = ", ".join(late)
                raise ServiceFailed(f"{names}: not ready after {_READY_S:g} s; the logs are in {self._logs}")
            time.sleep(_ASK_EVERY_S)

    def _stop(self) -> None:
        for feed in reversed(self._feeds):
            feed.stop()

    def go(self, at_ns: int) -> None:
        """The schedule begins at this time of CLOCK_MONOTONIC."""
        for generator in self._generators:
            generator.go(at_ns)

    @property
    def finished(self) -> bool:
        """Whether all events are sent, or could not be."""
        return all(generator.finished for generator in self._generators)

    @property
    def cpu_s(self) -> float:
        """CPU seconds of all of them so far."""
        return sum(feed.cpu_s for feed in self._feeds)

    def read(self) -> Iterator[Observation]:
        """What they have reported since the last call, also after the block; `ServiceFailed` where one broke."""
        for feed in self._feeds:
            yield from feed.read()

    def places_of(self, wanted: Mapping[int, str]) -> Iterator[tuple[int, Place]]:
        """Where those of the events (ids by number) stand in Kafka that were never acknowledged, but taken."""
        if self._kafka is not None and wanted:
            yield from places_of(self._kafka, self._starts, wanted)
