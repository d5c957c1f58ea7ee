"""Everything that a chaos run needs: three brokers, a store behind a proxy, Ray Serve, consumers, photos."""

from contextlib import ExitStack
from types import TracebackType
from typing import Self

from consumers.settings import ConsumerSettings
from deploy.demo.photo_server import PhotoServer
from deploy.loadtest.chaos.options import ChaosOptions
from deploy.loadtest.faults.crew import ConsumerCrew
from deploy.loadtest.faults.scene import Scene
from deploy.loadtest.system.recipes import CATALOG
from deploy.loadtest.system.services import RETRY_TOPICS, Plan, Services
from deploy.loadtest.workload.photos import serve_photos
from deploy.services.interface import Endpoints, Report
from deploy.services.stack import Choice, KafkaKind, StoreKind

_GROUP = "chaos"
_PARTITIONS = {"listings.new.high": 2, "listings.new": 6, "listings.new.low": 2, "listings.enriched": 4}


class World:
    """The running services of one run, for the length of a block; use it from the main thread."""

    def __init__(self, options: ChaosOptions, report: Report) -> None:
        self.options = options
        self.photos = PhotoServer()
        self._report = report
        self._stack = ExitStack()
        #: The store without the proxy, for whoever must not be disturbed.
        self.store: Endpoints
        self.crew: ConsumerCrew
        self.scene: Scene
        self.settings: ConsumerSettings

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _start(self) -> None:
        options = self.options
        self._stack.enter_context(self.photos)
        serve_photos(self.photos, options.seed, options.photos)
        services = self._stack.enter_context(Services(self._plan(), self._report, options.folder))
        self.store, self.crew = services.endpoints, services.crew
        self.scene, self.settings = services.scene(), services.settings()

    def _plan(self) -> Plan:
        options = self.options
        own = {"VITRINE_SERVE_FETCH_ALLOW": self.photos.origin, "VITRINE_SERVE_CATALOG_DIR": str(CATALOG)}
        choice = Choice(
            kafka=KafkaKind.REAL,
            brokers=3,
            store=StoreKind.REAL,
            topics={**_PARTITIONS, **dict.fromkeys(RETRY_TOPICS, 2), ConsumerSettings().dead_topic: 1},
            serve_env=own,
        )
        return Plan(
            choice=choice,
            group=_GROUP,
            consumers_env={"VITRINE_CONSUMERS_DELIVERY": options.delivery},
            named={"VITRINE_CONSUMERS_TRANSACTIONAL_ID": "chaos-{}"} if options.transactional else {},
            session_timeout_s=options.session_timeout_s,
            disturbed=True,
            seed=options.seed,
        )
