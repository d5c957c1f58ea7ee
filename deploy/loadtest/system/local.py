"""Services of our own under load, all on loopback."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

from consumers.settings import ConsumerSettings
from deploy.errors import DeployError, ServiceFailed
from deploy.loadtest.faults.scene import Part, Scene
from deploy.loadtest.options import DriverKind, Mode, RunOptions
from deploy.loadtest.system.photos import LOOPBACK, MakePhotos
from deploy.loadtest.system.recipes import merged_catalog, recipe_names
from deploy.loadtest.system.services import RETRY_TOPICS, Plan, Services
from deploy.loadtest.workload.planned import PhotoSource
from deploy.services.interface import Report
from deploy.services.processes import ProcessRecord
from deploy.services.stack import Choice, KafkaKind, StoreKind
from deploy.settings import DeploySettings
from serve.settings import ServeSettings

GROUP = "loadtest"
#: With faults a worker that is gone shall be missed soon.
_SESSION_S = 6.0
_RETRY_PARTITIONS = 2


def parts_of(options: RunOptions) -> frozenset[Part]:
    """What faults may act on in such a run."""
    if options.bootstrap or options.serve_url:
        return frozenset()
    parts = {Part.STORE} if options.store is not StoreKind.NONE else set()
    if options.driver is not DriverKind.INPROCESS:
        parts.add(Part.SERVE)
    if options.driver is DriverKind.KAFKA:
        parts |= {Part.CONSUMERS} | ({Part.BROKERS} if _brokers(options) == 3 else set())
    return frozenset(parts)


def _brokers(options: RunOptions) -> int:
    return 3 if options.chaos and options.kafka is KafkaKind.REAL else options.brokers


class LocalSystem:
    """`System` on this machine: Kafka, store, Serve, photo host and consumers, as many of them as the driver needs.

    For the length of a block; use it from the main thread.
    """

    def __init__(self, options: RunOptions, report: Report, *, folder: Path, make_photos: MakePhotos) -> None:
        """`folder` takes logs and data, from the start on. Nothing is started yet, and nothing written.

        Raises:
            DeployError: where options contradict each other, or the catalog cannot be used.
        """
        if options.driver is DriverKind.KAFKA and options.kafka is KafkaKind.NONE:
            raise DeployError("--driver kafka needs a Kafka: --kafka embedded, --kafka real, or --bootstrap HOST:PORT")
        self.env: Mapping[str, str] = {}
        self._options = options
        self._report = report
        self._folder = folder
        self._serve_settings = ServeSettings()
        self._catalog = folder / "catalog"
        with TemporaryDirectory(prefix="vitrine-catalog-") as looked_at:
            merged = merged_catalog(Path(looked_at) / "catalog", self._serve_settings)
            self.recipes: Sequence[str] = recipe_names(merged, self._serve_settings)
        self._photos = make_photos(LOOPBACK, 0)
        self.photos: PhotoSource = self._photos
        self._stack = ExitStack()
        self._released = False
        self._services: Services

    @property
    def consumers(self) -> int:
        """How many workers it has: the embedded Kafka cannot share partitions out among several."""
        if self._options.driver is not DriverKind.KAFKA:
            return 0
        return min(self._options.consumers, 1) if self._options.kafka is KafkaKind.EMBEDDED else self._options.consumers

    def __enter__(self) -> Self:
        try:
            merged_catalog(self._catalog, self._serve_settings)
            self._start_photos()
            self._services = self._stack.enter_context(Services(self._plan(), self._report, self._folder))
            self.env = self._environment()
            if self._options.mode is not Mode.BACKLOG:
                self.release()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _start_photos(self) -> None:
        self._report("photos", "starting")
        self._stack.callback(self._photos.stop)
        self._photos.start()
        self._report("photos", "ready")

    def _plan(self) -> Plan:
        options, faulty = self._options, self._options.chaos is not None
        with_kafka = options.driver is DriverKind.KAFKA
        choice = Choice(
            kafka=options.kafka if with_kafka else KafkaKind.NONE,
            brokers=_brokers(options) if with_kafka else 1,
            store=options.store,
            serve=options.driver is not DriverKind.INPROCESS,
            topics=_topics(DeploySettings().partitions),
            serve_env=self._serving(),
        )
        return Plan(
            choice=choice,
            group=GROUP,
            session_timeout_s=_SESSION_S if faulty else None,
            disturbed=faulty and Part.STORE in parts_of(options),
            seed=options.seed,
        )

    def _serving(self) -> dict[str, str]:
        allowed = (*self._serve_settings.fetch_allow, self._photos.origin)
        return {
            "VITRINE_SERVE_FETCH_ALLOW": ",".join(allowed),
            "VITRINE_SERVE_CATALOG_DIR": str(self._catalog.absolute()),
        }

    def _environment(self) -> Mapping[str, str]:
        if self._options.driver is DriverKind.INPROCESS:
            return {**self._services.consumers_env, **self._services.serve_env}
        return self._services.consumers_env

    def settings(self) -> ConsumerSettings | None:
        """What the group's lag is read with; None without Kafka."""
        return self._services.settings() if self._options.driver is DriverKind.KAFKA else None

    def processes(self) -> Mapping[str, Sequence[ProcessRecord]]:
        """By role."""
        found = {**self._services.processes(), "photos": self._photos.processes()}
        return {role: records for role, records in found.items() if records}

    def scene(self) -> Scene:
        """What faults act on; `DeployError` where the run was not asked for any."""
        if self._options.chaos is None:
            raise DeployError("faults need a proxy before the store, which is there with --chaos alone")
        return self._services.scene()

    def release(self) -> None:
        """Start the consumers; nothing where they run."""
        if self._released:
            return
        self._released = True
        if self.consumers < self._options.consumers and self.consumers:
            self._report("consumers", "one alone: the embedded Kafka cannot share partitions out among several")
        for _ in range(self.consumers):
            self._report(self._services.crew.start(), "ready")

    def check(self) -> list[str]:
        """The workers that ended although nobody wanted it; another one has taken the place of each.

        Raises:
            ServiceFailed: where a service ended that cannot be replaced.
        """
        if lost := self._services.lost():
            raise ServiceFailed(f"{lost[0].name} ended by itself; its log is {lost[0].log}")
        crew = self._services.crew
        return [f"{name} ended by itself; {crew.replace(name)} took its place" for name in crew.died()]


def _topics(partitions: int) -> dict[str, int]:
    settings = ConsumerSettings()
    many = (*settings.topics, settings.results_topic)
    return {
        **dict.fromkeys(many, partitions),
        **dict.fromkeys(RETRY_TOPICS, min(_RETRY_PARTITIONS, partitions)),
        settings.dead_topic: 1,
    }
