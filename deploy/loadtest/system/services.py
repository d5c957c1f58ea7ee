"""Services of our own, with a crew of consumers, and with a proxy before the store where faults shall act on them."""

import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from consumers.settings import ConsumerSettings
from deploy.loadtest.faults.cluster import Cluster
from deploy.loadtest.faults.crew import ConsumerCrew
from deploy.loadtest.faults.scene import Part, Scene, absent
from deploy.loadtest.faults.serving import RealServing
from deploy.loadtest.faults.store_front import StoreFront
from deploy.services.environment import consumers_env, serve_env
from deploy.services.interface import Endpoints, Report
from deploy.services.kafka_real import RealKafka
from deploy.services.processes import ProcessRecord, alive
from deploy.services.ray_serve import RayServe
from deploy.services.stack import Choice, Stack
from deploy.settings import DeploySettings

#: An error that is tried again much later must not outlive a run.
RETRY_TOPICS = ("listings.retry.3s", "listings.retry.10s", "listings.retry.30s")
_OURS = ("kafka", "store", "serve", "ray", "consumers")
_PREFIX = "VITRINE_CONSUMERS_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Which services, and what they are told."""

    choice: Choice
    group: str
    #: Further environment of the consumers.
    consumers_env: Mapping[str, str] = field(default_factory=dict)
    #: What no two workers may share: `{}` stands for the number of each.
    named: Mapping[str, str] = field(default_factory=dict)
    #: None leaves it to the settings.
    session_timeout_s: float | None = None
    #: Whether the store stands behind a proxy.
    disturbed: bool = False
    seed: int = 0


class Services:
    """The services of a plan, for the length of a block; the consumers are for the crew to start.

    Use it from the main thread.
    """

    def __init__(self, plan: Plan, report: Report, folder: Path) -> None:
        """`folder` takes logs and data; those of an earlier run are removed: its offsets and answers mean nothing."""
        self.plan = plan
        self.folder = folder
        self.crew: ConsumerCrew
        self._report = report
        self._settings = DeploySettings()
        self._all, self._fronts = ExitStack(), ExitStack()
        self._stack = Stack(plan.choice, folder, report=report, told_to_serve=self._behind_front)
        self._front: StoreFront | None = None
        self._cluster: Cluster | None = None

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._all.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._all.close()

    def _start(self) -> None:
        for name in _OURS:
            shutil.rmtree(self.folder / name, ignore_errors=True)
        # The proxy outlives Serve, which may still write when it is asked to stop.
        self._all.enter_context(self._fronts)
        self._all.callback(self._stack.stop)
        self._stack.start()
        self._behind_front(self.endpoints)
        self.crew = ConsumerCrew(self.folder / "consumers", self.consumers_env, self._settings, named=self.plan.named)
        self._all.callback(self.crew.stop)

    def _behind_front(self, endpoints: Endpoints) -> Endpoints:
        if not self.plan.disturbed or endpoints.s3_endpoint is None:
            return endpoints
        if self._front is None:
            port = int(endpoints.s3_endpoint.rpartition(":")[2])
            self._front = self._fronts.enter_context(StoreFront(port, seed=self.plan.seed))
        return replace(endpoints, s3_endpoint=f"http://127.0.0.1:{self._front.port}")

    # -- what others need to know --

    @property
    def endpoints(self) -> Endpoints:
        """Where the services answer; the store without the proxy, for whoever must not be disturbed."""
        return self._stack.endpoints

    @property
    def consumers_env(self) -> Mapping[str, str]:
        """`VITRINE_CONSUMERS_*` of workers, drivers and readers."""
        plan = self.plan
        env = {**consumers_env(self.endpoints), f"{_PREFIX}GROUP": plan.group}
        env[f"{_PREFIX}RETRY_TOPICS"] = ",".join(RETRY_TOPICS)
        if plan.session_timeout_s is not None:
            env[f"{_PREFIX}SESSION_TIMEOUT_S"] = str(plan.session_timeout_s)
        return {**env, **plan.consumers_env}

    @property
    def serve_env(self) -> Mapping[str, str]:
        """`VITRINE_SERVE_*` of whoever has the pipeline in a process of its own."""
        return {**serve_env(self._behind_front(self.endpoints), self.folder), **self.plan.choice.serve_env}

    def settings(self) -> ConsumerSettings:
        """The consumers' settings, as an object."""
        return settings_of(self.consumers_env)

    def processes(self) -> dict[str, Sequence[ProcessRecord]]:
        """By service; those of the consumers that have ended are among them."""
        found: dict[str, Sequence[ProcessRecord]] = {one.name: one.processes() for one in self._stack.services}
        return {**found, "consumers": self.crew.records()}

    def lost(self) -> list[ProcessRecord]:
        """Services, consumers apart, that ended although nobody wanted it."""
        fallen = {f"kafka-{node}" for node in self._cluster.fallen} if self._cluster else set()
        every = self._stack.processes()
        return [record for record in every if record.name not in fallen and not alive(record)]

    def scene(self) -> Scene:
        """What faults act on; what there is not says so when it is touched."""
        if self._cluster is None and (kafka := self._service(RealKafka)) is not None:
            self._cluster = Cluster(kafka, self.settings(), self._transactional_ids)
        serve = self._service(RayServe)
        return Scene(
            crew=self.crew,
            brokers=self._cluster or absent(Part.BROKERS),
            serving=RealServing(serve) if serve else absent(Part.SERVE),
            store=self._front or absent(Part.STORE),
            session_timeout_s=self.settings().session_timeout_s,
        )

    def _service(self, kind: type[Any]) -> Any:
        return next((one for one in self._stack.services if isinstance(one, kind)), None)

    def _transactional_ids(self) -> list[str]:
        pattern = self.plan.named.get(f"{_PREFIX}TRANSACTIONAL_ID", "")
        return [pattern.format(name.rpartition("-")[2]) for name in self.crew.working()]


def settings_of(env: Mapping[str, str]) -> ConsumerSettings:
    """The settings that `VITRINE_CONSUMERS_*` variables stand for; what they leave open comes from our environment."""
    values: dict[str, Any] = {name.removeprefix(_PREFIX).lower(): value for name, value in env.items()}
    return ConsumerSettings(**values)
