"""Real and embedded servers, one of each per test session. See tests/README.md."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import hypothesis
import pytest

from consumers.shell import kafka_internals
from deploy.errors import ToolMissing
from deploy.services.interface import Endpoints, Service
from deploy.services.kafka_embedded import EmbeddedKafka
from deploy.services.kafka_real import RealKafka
from deploy.services.store_embedded import EmbeddedStore
from deploy.services.store_real import RealStore
from deploy.settings import DeploySettings
from tests.support.postgres import postgres_server, postgres_url  # noqa: F401 - fixtures
from tests.support.servers import KafkaServer, StoreServer, missing

# The same examples in every CI run; new ones on every other machine. A slow machine is no fault of the code.
PATIENT = hypothesis.settings(deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.register_profile("here", PATIENT)
hypothesis.settings.register_profile("ci", PATIENT, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "here")


_STATUS = pytest.StashKey[int]()


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    session.config.stash[_STATUS] = exitstatus


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave at once where Ray was loaded: its threads outlive its shutdown, and may crash an interpreter that ends."""
    if "ray" in sys.modules and _STATUS in config.stash:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(config.stash[_STATUS])


# A shell without job control starts what runs in the background with Ctrl-C ignored, and tests send it to themselves.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def _running(service: Service) -> Iterator[Endpoints]:
    kafka_internals.mend()
    try:
        service.start()
        yield service.describe(Endpoints())
    except ToolMissing as error:
        missing(str(error))
    finally:
        service.stop()


@pytest.fixture(scope="session")
def real_kafka_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """Apache Kafka, one broker. It makes no topic by itself: ask `new_topic`."""
    with _running(RealKafka(tmp_path_factory.mktemp("kafka-real"), {}, DeploySettings())) as endpoints:
        yield KafkaServer.of(endpoints)


@pytest.fixture(scope="session")
def real_kafka(real_kafka_server: KafkaServer) -> str:
    """The bootstrap string of `real_kafka_server`."""
    return real_kafka_server.bootstrap


@pytest.fixture
def real_kafka_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealKafka]:
    """Three brokers of one's own, with `kill(node)` and `restart(node)`."""
    cluster = RealKafka(tmp_path_factory.mktemp("kafka-cluster"), {}, DeploySettings(), brokers=3)
    with _running(cluster):
        yield cluster


@pytest.fixture(scope="session")
def embedded_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """librdkafka's mock broker."""
    with _running(EmbeddedKafka(tmp_path_factory.mktemp("kafka-mock"), {}, DeploySettings())) as endpoints:
        yield KafkaServer.of(endpoints)


@pytest.fixture(scope="session")
def real_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreServer]:
    """versitygw with an empty bucket."""
    with _running(RealStore(tmp_path_factory.mktemp("store-real"), DeploySettings())) as endpoints:
        yield StoreServer.of(endpoints)


@pytest.fixture(scope="session")
def embedded_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreServer]:
    """ministack with an empty bucket."""
    with _running(EmbeddedStore(tmp_path_factory.mktemp("store-mock"), DeploySettings())) as endpoints:
        yield StoreServer.of(endpoints)
