"""A stack: the chosen services, started in order, stopped in reverse, whatever happens in between."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from pathlib import Path
from types import TracebackType

from deploy.errors import DeployError
from deploy.services.consumer import Consumer
from deploy.services.environment import consumers_env, serve_env
from deploy.services.given import GivenKafka, GivenStore
from deploy.services.interface import Endpoints, Report, Service
from deploy.services.interrupts import deferred
from deploy.services.kafka_embedded import EmbeddedKafka
from deploy.services.kafka_real import RealKafka
from deploy.services.processes import ProcessRecord
from deploy.services.ray_given import GivenRay
from deploy.services.ray_serve import RayServe
from deploy.services.store_embedded import EmbeddedStore
from deploy.services.store_real import RealStore
from deploy.settings import DeploySettings


class KafkaKind(StrEnum):
    """Which Kafka to start."""

    EMBEDDED = "embedded"
    REAL = "real"
    NONE = "none"


class StoreKind(StrEnum):
    """Which S3-compatible store to start."""

    EMBEDDED = "embedded"
    REAL = "real"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which services a stack has."""

    kafka: KafkaKind = KafkaKind.EMBEDDED
    #: Brokers of a real Kafka: 1 or 3.
    brokers: int = 1
    store: StoreKind = StoreKind.EMBEDDED
    #: A Kafka and a store that run already are used instead of starting one.
    bootstrap: str | None = None
    endpoint: str | None = None
    serve: bool = True
    #: Port of Serve; None takes a free one on loopback, or what the given cluster has.
    serve_port: int | None = None
    #: A Ray cluster that runs already is used instead of starting one: `auto`, `host:port`, `http://host:8265`.
    ray_address: str | None = None
    #: Number of consumer workers.
    consumers: int = 0
    #: Topics to have, with their number of partitions.
    topics: Mapping[str, int] = field(default_factory=dict)
    #: Further environment of the two rooms; goes before what the stack says.
    serve_env: Mapping[str, str] = field(default_factory=dict)
    consumers_env: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.brokers not in {1, 3}:
            raise DeployError(f"Kafka runs with 1 or 3 brokers, not {self.brokers}")
        if self.brokers == 3 and (self.kafka is not KafkaKind.REAL or self.bootstrap):
            raise DeployError("three brokers need the real Kafka: --kafka real --brokers 3")
        if self.ray_address and not self.serve:
            raise DeployError("--ray-address says where to serve, --no-serve not to: give one of them")

    @property
    def empty(self) -> bool:
        """Whether no process would be started."""
        kafka = self.kafka is not KafkaKind.NONE and not self.bootstrap
        store = self.store is not StoreKind.NONE and not self.endpoint
        return not (kafka or store or self.serve or self.consumers)


def _quiet(_service: str, _phase: str) -> None:
    """Report nothing."""


def _as_they_are(endpoints: Endpoints) -> Endpoints:
    return endpoints


class Stack:
    """The services of a choice, with their logs and data in `state_dir`.

        with Stack(choice, state_dir, report=print) as endpoints:
            ...

    Use it from the main thread (see `processes.Child`). With `leash=False` the services outlive this process: then
    call `start` alone and keep `processes()`.
    """

    def __init__(
        self,
        choice: Choice,
        state_dir: Path,
        *,
        report: Report = _quiet,
        settings: DeploySettings | None = None,
        leash: bool = True,
        told_to_serve: Callable[[Endpoints], Endpoints] = _as_they_are,
    ) -> None:
        """`told_to_serve`: what Serve is told of the services before it, where something stands in between."""
        self.choice = choice
        self.state_dir = state_dir
        self.endpoints = Endpoints()
        self.services: list[Service] = []
        self._report = report
        self._settings = settings or DeploySettings()
        self._leash = leash
        self._told_to_serve = told_to_serve

    def start(self) -> Endpoints:
        """Start all; where one fails or Ctrl-C comes, stop those that were started and raise."""
        try:
            if self.choice.ray_address:
                # A cluster that does not fit is better told before anything is started.
                self._given_ray(self.choice.ray_address).check()
            for make in (self._kafka, self._store, self._serve):
                self._launch(make)
            for number in range(1, self.choice.consumers + 1):
                self._launch(partial(self._consumer, number))
        except BaseException:
            self.stop()
            raise
        return self.endpoints

    def _launch(self, make: Callable[[], Service | None]) -> None:
        service = make()
        if service is None:
            return
        # Noted before it starts: a service that failed half-way has processes too.
        self.services.append(service)
        self._report(service.name, "starting")
        service.start()
        self.endpoints = service.describe(self.endpoints)
        self._report(service.name, "ready")

    def _kafka(self) -> Service | None:
        choice, folder = self.choice, self.state_dir / "kafka"
        if choice.bootstrap:
            return GivenKafka(choice.bootstrap, choice.topics)
        if choice.kafka is KafkaKind.EMBEDDED:
            return EmbeddedKafka(folder / "embedded", choice.topics, self._settings, leash=self._leash)
        if choice.kafka is KafkaKind.REAL:
            brokers = choice.brokers
            return RealKafka(
                folder / f"real-{brokers}", choice.topics, self._settings, brokers=brokers, leash=self._leash
            )
        return None

    def _store(self) -> Service | None:
        choice, folder = self.choice, self.state_dir / "store"
        if choice.endpoint:
            return GivenStore(choice.endpoint, self._settings)
        if choice.store is StoreKind.EMBEDDED:
            return EmbeddedStore(folder / "embedded", self._settings, leash=self._leash)
        if choice.store is StoreKind.REAL:
            return RealStore(folder / "real", self._settings, leash=self._leash)
        return None

    def _serve(self) -> Service | None:
        if not self.choice.serve:
            return None
        env = {**serve_env(self._told_to_serve(self.endpoints), self.state_dir), **self.choice.serve_env}
        if self.choice.ray_address:
            given = self._given_ray(self.choice.ray_address)
            given.env |= env
            return given
        port = self.choice.serve_port
        return RayServe(self.state_dir / "ray", env, self._settings, port=port, leash=self._leash)

    def _given_ray(self, address: str) -> GivenRay:
        port = self.choice.serve_port
        return GivenRay(address, self.state_dir / "ray", self._settings, port=port, leash=self._leash)

    def _consumer(self, number: int) -> Service:
        env = {**consumers_env(self.endpoints), **self.choice.consumers_env}
        return Consumer(self.state_dir / "consumers", env, self._settings, number=number, leash=self._leash)

    def stop(self) -> None:
        """Stop all in reverse order; a service that cannot be stopped does not keep the others."""
        # A second Ctrl-C must not leave half of the services running.
        with deferred():
            while self.services:
                service = self.services.pop()
                self._report(service.name, "stopping")
                try:
                    service.stop()
                except Exception as error:  # noqa: BLE001 - the others must stop too
                    self._report(service.name, f"not stopped: {error}")
                else:
                    self._report(service.name, "stopped")

    def processes(self) -> Sequence[ProcessRecord]:
        """All processes, in the order in which they were started."""
        return [record for service in self.services for record in service.processes()]

    def __enter__(self) -> Endpoints:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
