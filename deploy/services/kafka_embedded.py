"""The embedded Kafka: librdkafka's mock cluster in a small process of its own. Needs only Python."""

import json
import sys
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from deploy.services.interface import Endpoints
from deploy.services.mock_cluster import API_VERSION, find_librdkafka
from deploy.services.ports import accepts
from deploy.services.processes import Child, ProcessRecord
from deploy.settings import DeploySettings


class EmbeddedKafka:
    """One mock broker on a loopback port of its own choice; its records die with it."""

    name = "kafka"

    def __init__(
        self, folder: Path, topics: Mapping[str, int], settings: DeploySettings, *, leash: bool = True
    ) -> None:
        self._address_file = folder / "address.json"
        self._settings = settings
        wanted = [f"{topic}={partitions}" for topic, partitions in topics.items()]
        self._child = Child(
            self.name,
            [sys.executable, "-m", "deploy.services.mock_cluster", str(self._address_file.absolute()), *wanted],
            log=folder / "kafka.log",
            leash=leash,
        )
        self.bootstrap = ""
        self._incarnation = uuid.uuid4().hex

    def start(self) -> None:
        """Start it; the address is known when it is ready."""
        find_librdkafka()
        self._address_file.unlink(missing_ok=True)
        self._child.start()
        self._child.wait_ready(self._address_file.exists, self._settings.start_timeout_s)
        self.bootstrap = json.loads(self._address_file.read_text())["bootstrap"]

    def stop(self) -> None:
        """Stop it; the records are gone."""
        self._child.stop(self._settings.stop_timeout_s)

    def healthy(self) -> bool:
        """Whether it listens."""
        return bool(self.bootstrap) and accepts(int(self.bootstrap.rpartition(":")[2]))

    def processes(self) -> Sequence[ProcessRecord]:
        """The process that holds the cluster."""
        return [self._child.record] if self._child.record else []

    def describe(self, endpoints: Endpoints) -> Endpoints:
        """Add the address, and the version that kafka-python must be told."""
        return replace(
            endpoints,
            bootstrap=self.bootstrap,
            kafka_api_version=API_VERSION,
            kafka_incarnation=self._incarnation,
        )
