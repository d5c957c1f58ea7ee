"""Everything that a chaos run needs: three brokers, a store behind a proxy, Ray Serve, consumers, photos."""

import shutil
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from consumers.settings import ConsumerSettings
from deploy.demo.photo_server import PhotoServer
from deploy.loadtest.chaos.options import ChaosOptions
from deploy.loadtest.faults.cluster import Cluster
from deploy.loadtest.faults.crew import ConsumerCrew
from deploy.loadtest.faults.scene import Scene
from deploy.loadtest.faults.serving import RealServing
from deploy.loadtest.faults.store_front import StoreFront
from deploy.loadtest.workload.photos import serve_photos
from deploy.services.connection import settings_for
from deploy.services.environment import consumers_env, serve_env
from deploy.services.interface import Endpoints, Report, Service
from deploy.services.kafka_real import RealKafka
from deploy.services.ray_serve import RayServe
from deploy.services.store_real import RealStore
from deploy.settings import DeploySettings

CATALOG = Path(__file__).with_name("catalog")
RETRY_TOPICS = ("listings.retry.3s", "listings.retry.10s", "listings.retry.30s")
_GROUP = "chaos"
_PARTITIONS = {"listings.new.high": 2, "listings.new": 6, "listings.new.low": 2, "listings.enriched": 4}


class World:
    """The running services of one run, for the length of a block; use it from the main thread."""

    def __init__(self, options: ChaosOptions, report: Report) -> None:
        self.options = options
        self.photos = PhotoServer()
        #: The store without the proxy, for whoever must not be disturbed.
        self.store = Endpoints()
        self._report = report
        self._settings = DeploySettings()
        self._stack = ExitStack()
        self._env = {
            "VITRINE_CONSUMERS_GROUP": _GROUP,
            "VITRINE_CONSUMERS_SESSION_TIMEOUT_S": str(options.session_timeout_s),
            "VITRINE_CONSUMERS_RETRY_TOPICS": ",".join(RETRY_TOPICS),
            "VITRINE_CONSUMERS_DELIVERY": options.delivery,
        }
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
        options, folder = self.options, self.options.folder
        # Offsets and answers of an earlier run mean nothing here.
        shutil.rmtree(folder, ignore_errors=True)
        self._stack.enter_context(self.photos)
        serve_photos(self.photos, options.seed, options.photos)
        kafka = RealKafka(folder / "kafka", self._topics(), self._settings, brokers=3)
        store = RealStore(folder / "store", self._settings)
        self.store = self._launch(store, self._launch(kafka, Endpoints()))
        front = self._stack.enter_context(StoreFront(store.port, seed=options.seed))
        self._launch_serve(front)
        self.crew = ConsumerCrew(
            folder / "consumers",
            {**consumers_env(self.store), **self._env},
            self._settings,
            named={"VITRINE_CONSUMERS_TRANSACTIONAL_ID": "chaos-{}"} if options.transactional else {},
        )
        self._stack.callback(self.crew.stop)
        self.scene = Scene(
            crew=self.crew,
            brokers=Cluster(kafka, self.settings, self._transactional_ids),
            serving=self._serving,
            store=front,
            session_timeout_s=options.session_timeout_s,
        )

    def _launch(self, service: Service, endpoints: Endpoints) -> Endpoints:
        self._report(service.name, "starting")
        self._stack.callback(service.stop)
        service.start()
        self._report(service.name, "ready")
        return service.describe(endpoints)

    def _launch_serve(self, front: StoreFront) -> None:
        disturbed = replace(self.store, s3_endpoint=f"http://127.0.0.1:{front.port}")
        own = {"VITRINE_SERVE_FETCH_ALLOW": self.photos.origin, "VITRINE_SERVE_CATALOG_DIR": str(CATALOG)}
        serve = RayServe(
            self.options.folder / "ray", {**serve_env(disturbed, self.options.folder), **own}, self._settings
        )
        self.store = self._launch(serve, self.store)
        self._serving = RealServing(serve)
        update = {"group": _GROUP, "retry_topics": RETRY_TOPICS}
        self.settings = settings_for(self.store).model_copy(update=update)

    @staticmethod
    def _topics() -> dict[str, int]:
        return {**_PARTITIONS, **dict.fromkeys(RETRY_TOPICS, 2), ConsumerSettings().dead_topic: 1}

    def _transactional_ids(self) -> list[str]:
        return [f"chaos-{name.rpartition('-')[2]}" for name in self.crew.working()]
