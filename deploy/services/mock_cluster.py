"""The mock Kafka cluster inside librdkafka, reached through ctypes.

The confluent-kafka wheel carries librdkafka, whose C functions `rd_kafka_mock_*` it does not offer to Python. The
cluster keeps everything in memory. What it cannot do is listed in deploy/README.md.

Run as a program it holds a cluster until SIGTERM:

    python -m deploy.services.mock_cluster ADDRESS_FILE TOPIC=PARTITIONS...
"""

import ctypes
import json
import signal
import sys
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from deploy.errors import ServiceFailed, ToolMissing
from deploy.services.atomic import write_atomically

#: What kafka-python must be told: it cannot read the mock's answer to newer version requests.
API_VERSION = (2, 3)
#: The mock would wait 3 s for more members of a new group. It never answers a member that asks again while it waits,
#: as kafka-python does when a `poll` ends in between, before that member's session times out: so no wait at all.
FIRST_JOIN_DELAY_MS = 0
_PRODUCER = 0
_QUIET = b"3"

_POINTER, _TEXT, _INT, _SIZE = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_size_t
_SIGNATURES: dict[str, tuple[type | None, list[type]]] = {
    "rd_kafka_conf_new": (_POINTER, []),
    "rd_kafka_conf_set": (_INT, [_POINTER, _TEXT, _TEXT, _TEXT, _SIZE]),
    "rd_kafka_new": (_POINTER, [_INT, _POINTER, _TEXT, _SIZE]),
    "rd_kafka_destroy": (None, [_POINTER]),
    "rd_kafka_mock_cluster_new": (_POINTER, [_POINTER, _INT]),
    "rd_kafka_mock_cluster_destroy": (None, [_POINTER]),
    "rd_kafka_mock_cluster_bootstraps": (_TEXT, [_POINTER]),
    "rd_kafka_mock_topic_create": (_INT, [_POINTER, _TEXT, _INT, _INT]),
    "rd_kafka_mock_broker_set_down": (_INT, [_POINTER, ctypes.c_int32]),
    "rd_kafka_mock_broker_set_up": (_INT, [_POINTER, ctypes.c_int32]),
    "rd_kafka_mock_group_initial_rebalance_delay_ms": (None, [_POINTER, ctypes.c_int32]),
}


def find_librdkafka() -> Path:
    """The library inside the installed confluent-kafka wheel; `ToolMissing` without it."""
    try:
        installed = files("confluent-kafka") or []
    except PackageNotFoundError as error:
        raise ToolMissing("the embedded Kafka needs confluent-kafka: pip install 'vitrine[local]'") from error
    for file in installed:
        if file.name.startswith("librdkafka") and ".libs" in str(file.parent):
            return Path(str(file.locate())).resolve()
    raise ToolMissing("this confluent-kafka carries no librdkafka; install its wheel, not a build from source")


def _load() -> ctypes.CDLL:
    library = ctypes.CDLL(str(find_librdkafka()))
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class MockCluster:
    """A mock cluster in this process; its brokers are numbered from 1."""

    def __init__(self, brokers: int = 1) -> None:
        self._library = _load()
        text = ctypes.create_string_buffer(512)
        conf = self._library.rd_kafka_conf_new()
        self._library.rd_kafka_conf_set(conf, b"log_level", _QUIET, text, len(text))
        self._client = self._library.rd_kafka_new(_PRODUCER, conf, text, len(text))
        if not self._client:
            raise ServiceFailed(f"librdkafka refuses to start: {text.value.decode()}")
        self._cluster = self._library.rd_kafka_mock_cluster_new(self._client, brokers)
        self._library.rd_kafka_mock_group_initial_rebalance_delay_ms(self._cluster, FIRST_JOIN_DELAY_MS)
        self.bootstrap: str = self._library.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()

    def create_topic(self, name: str, partitions: int) -> None:
        """Make a topic; any other comes into being with four partitions when it is first asked for."""
        error = self._library.rd_kafka_mock_topic_create(self._cluster, name.encode(), partitions, 1)
        if error:
            raise ServiceFailed(f"the embedded Kafka refuses topic {name!r} with {partitions} partitions ({error})")

    def broker_down(self, broker: int) -> None:
        """Close the broker's connections and refuse new ones until `broker_up`."""
        self._library.rd_kafka_mock_broker_set_down(self._cluster, broker)

    def broker_up(self, broker: int) -> None:
        """Answer again."""
        self._library.rd_kafka_mock_broker_set_up(self._cluster, broker)

    def close(self) -> None:
        """Stop the brokers; the records are gone."""
        self._library.rd_kafka_mock_cluster_destroy(self._cluster)
        self._library.rd_kafka_destroy(self._client)


def main(arguments: list[str]) -> None:
    """Hold a cluster with these topics until SIGTERM or SIGINT; its address goes into the file."""
    address_file, *topics = arguments
    signals = {signal.SIGTERM, signal.SIGINT}
    # Blocked before librdkafka starts its threads, so that none of them takes the signal.
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    cluster = MockCluster()
    for topic in topics:
        name, _, partitions = topic.rpartition("=")
        cluster.create_topic(name, int(partitions))
    write_atomically(Path(address_file), json.dumps({"bootstrap": cluster.bootstrap}))
    signal.sigwait(signals)
    cluster.close()


if __name__ == "__main__":
    main(sys.argv[1:])
