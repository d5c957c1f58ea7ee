"""Apache Kafka, one node or three, in KRaft mode, straight from its Maven artefacts."""

import base64
import json
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from deploy.errors import ServiceFailed
from deploy.services.atomic import write_atomically
from deploy.services.interface import Endpoints
from deploy.services.kafka_topics import ensure_topics
from deploy.services.ports import accepts, free_ports, require_free
from deploy.services.processes import Child, ProcessRecord
from deploy.services.tools import find_java, kafka_jars
from deploy.settings import DeploySettings

#: A laptop's share; brokers of tests and demos move little data.
_HEAP = ("-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
_FORMAT_TIMEOUT_S = 60
#: The last node of three waits in vain for a quorum that would let it go; its log is safe without.
_PATIENCE_S = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterPlan:
    """What must stay the same when a cluster starts again on its old data."""

    cluster_id: str
    client_ports: list[int]
    controller_ports: list[int]

    @property
    def nodes(self) -> range:
        """Node ids, from 1."""
        return range(1, len(self.client_ports) + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerOptions:
    """What the brokers have beyond a plain listener each; as their data, it is laid down with the first start."""

    #: Name of the listener, which is its protocol too (`SSL`, `SASL_SSL`, ...), and its port. For one broker alone.
    listeners: Mapping[str, int] = field(default_factory=dict)
    #: Settings of the broker; they win over ours.
    properties: Mapping[str, object] = field(default_factory=dict)
    #: What the storage is formatted with, such as `--add-scram`.
    format: Sequence[str] = ()


#: Nothing but the plain listener.
_PLAIN = BrokerOptions()


def server_properties(plan: ClusterPlan, node: int, data: Path, options: BrokerOptions = _PLAIN) -> str:
    """The configuration of one combined broker and controller (kafka.apache.org, KRaft)."""
    alone = len(plan.client_ports) == 1
    copies, in_sync = (1, 1) if alone else (3, 2)
    controllers = [f"127.0.0.1:{port}" for port in plan.controller_ports]
    voters = ",".join(f"{number}@{address}" for number, address in enumerate(controllers, 1))
    listeners = {
        "PLAINTEXT": f"127.0.0.1:{plan.client_ports[node - 1]}",
        "CONTROLLER": controllers[node - 1],
        **{name: f"127.0.0.1:{port}" for name, port in options.listeners.items()},
    }
    properties = {
        "process.roles": "broker,controller",
        "node.id": node,
        # A node formatted with --standalone has a dynamic quorum, which refuses a fixed list of voters.
        **({"controller.quorum.bootstrap.servers": controllers[0]} if alone else {"controller.quorum.voters": voters}),
        "listeners": ",".join(f"{name}://{address}" for name, address in listeners.items()),
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": ",".join(_protocol(name) for name in listeners),
        "log.dirs": data,
        "default.replication.factor": copies,
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": copies,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": in_sync,
        "transaction.state.log.num.partitions": 4,
        "share.coordinator.state.topic.replication.factor": copies,
        "share.coordinator.state.topic.min.isr": in_sync,
        "group.initial.rebalance.delay.ms": 0,
        "broker.session.timeout.ms": 3000,
        # A misspelt topic must be an error, not a new topic.
        "auto.create.topics.enable": "false",
        **options.properties,
    }
    return "".join(f"{key}={value}\n" for key, value in properties.items())


def _protocol(listener: str) -> str:
    return f"{listener}:{'PLAINTEXT' if listener == 'CONTROLLER' else listener}"


class RealKafka:
    """One or three brokers on loopback, with their logs and data in `folder`. Started again it goes on where it was."""

    name = "kafka"

    def __init__(
        self,
        folder: Path,
        topics: Mapping[str, int],
        settings: DeploySettings,
        *,
        brokers: int = 1,
        leash: bool = True,
        options: BrokerOptions = _PLAIN,
    ) -> None:
        self._folder = folder.absolute()
        self._topics = topics
        self._settings = settings
        self._brokers = brokers
        self._leash = leash
        self._options = options
        self._plan: ClusterPlan | None = None
        self._nodes: dict[int, Child] = {}

    @property
    def bootstrap(self) -> str:
        """`host:port` of every broker."""
        ports = self._plan.client_ports if self._plan else []
        return ",".join(f"127.0.0.1:{port}" for port in ports)

    def start(self) -> None:
        """Start all nodes and make the topics that are missing."""
        java, jars = find_java(), kafka_jars()
        self._plan = plan = self._load_plan() or self._new_plan([java, "-cp", f"{jars}/*"])
        for node in plan.nodes:
            for port in (plan.client_ports[node - 1], plan.controller_ports[node - 1]):
                require_free(port, f"Kafka node {node}")
            command = [java, *_HEAP, "-cp", f"{jars}/*", "kafka.Kafka", str(self._properties(node))]
            log = self._folder / f"node{node}.log"
            self._nodes[node] = Child(f"kafka-{node}", command, log=log, leash=self._leash, patience_s=_PATIENCE_S)
            self._nodes[node].start()
        for node in plan.nodes:
            self._wait_ready(node)
        ensure_topics(self.bootstrap, self._topics, copies=1 if self._brokers == 1 else 3)

    def _load_plan(self) -> ClusterPlan | None:
        try:
            plan = ClusterPlan(**json.loads((self._folder / "cluster.json").read_text()))
        except FileNotFoundError:
            return None
        if len(plan.client_ports) != self._brokers:
            raise ServiceFailed(
                f"{self._folder} holds a Kafka of {len(plan.client_ports)} brokers, not {self._brokers}: "
                "remove it (`vitrine down --purge`) or choose another state folder"
            )
        return plan

    def _new_plan(self, java: list[str]) -> ClusterPlan:
        ports = free_ports(2 * self._brokers)
        storage = [*java, "kafka.tools.StorageTool"]
        plan = ClusterPlan(
            cluster_id=_new_cluster_id(),
            client_ports=ports[: self._brokers],
            controller_ports=ports[self._brokers :],
        )
        for node in plan.nodes:
            file = self._properties(node)
            write_atomically(file, server_properties(plan, node, self._folder / f"node{node}", self._options))
            alone = ["--standalone"] if self._brokers == 1 else []
            _run([*storage, "format", *alone, *self._options.format, "-t", plan.cluster_id, "-c", str(file)])
        write_atomically(self._folder / "cluster.json", json.dumps(asdict(plan)))
        return plan

    def _properties(self, node: int) -> Path:
        return self._folder / f"node{node}.properties"

    def _wait_ready(self, node: int) -> None:
        port = self._require_plan().client_ports[node - 1]
        self._nodes[node].wait_ready(lambda: accepts(port), self._settings.start_timeout_s)

    def _require_plan(self) -> ClusterPlan:
        if self._plan is None:
            raise ServiceFailed("this Kafka was never started")
        return self._plan

    def kill(self, node: int) -> None:
        """Kill one node at once, as a power cut would."""
        self._nodes[node].kill()

    def restart(self, node: int) -> None:
        """Start a killed node again on its old data."""
        self._nodes[node].start()
        self._wait_ready(node)

    def stop(self) -> None:
        """Stop all nodes; the data stays."""
        for child in reversed(self._nodes.values()):
            child.stop(self._settings.stop_timeout_s)

    def healthy(self) -> bool:
        """Whether every broker listens."""
        return self._plan is not None and all(accepts(port) for port in self._plan.client_ports)

    def processes(self) -> Sequence[ProcessRecord]:
        """One process per node."""
        return [child.record for child in self._nodes.values() if child.record]

    def describe(self, endpoints: Endpoints) -> Endpoints:
        """Add the addresses."""
        return replace(endpoints, bootstrap=self.bootstrap, kafka_incarnation=self._require_plan().cluster_id)


def _new_cluster_id() -> str:
    """A random UUID in Kafka's spelling: base64 for addresses, without padding; it must not look like an option."""
    while (text := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return text


def _run(command: list[str]) -> str:
    try:
        answer = subprocess.run(  # noqa: S603 - a command of ours
            command, capture_output=True, text=True, check=True, timeout=_FORMAT_TIMEOUT_S
        )
    except subprocess.CalledProcessError as error:
        raise ServiceFailed(f"Kafka's storage tool failed: {(error.stderr or error.stdout).strip()[-800:]}") from error
    except subprocess.TimeoutExpired as error:
        raise ServiceFailed(f"Kafka's storage tool took longer than {_FORMAT_TIMEOUT_S} s") from error
    return answer.stdout
