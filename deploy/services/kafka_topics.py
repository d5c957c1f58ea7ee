"""Topics: make those that are missing, compare those that are there."""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass

from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError, KafkaTimeoutError, TopicAlreadyExistsError

from consumers.settings import ConsumerSettings
from consumers.shell.access import AccessRefused, admin_client
from deploy.errors import DeployError, ServiceFailed

_TIMEOUT_MS = 10_000
_NAME = re.compile(r"[A-Za-z0-9._-]{1,249}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicCheck:
    """A wanted topic beside what the broker has."""

    topic: str
    wanted: int
    #: Number of partitions that it has; None where the topic is missing.
    found: int | None

    @property
    def problem(self) -> str | None:
        """What is wrong with it, if anything."""
        if self.found is None:
            return "missing"
        if self.found < self.wanted:
            return f"{self.found} partitions, {self.wanted} wanted"
        return None


def topic_name(name: str) -> str:
    """The name, if Kafka allows it; `DeployError` otherwise."""
    if not _NAME.fullmatch(name) or name in {".", ".."}:
        raise DeployError(
            f"{name!r} is no name for a topic: up to 249 letters, digits, dots, hyphens and underscores are allowed"
        )
    return name


@contextmanager
def _admin(bootstrap: str, api_version: tuple[int, int] | None) -> Iterator[KafkaAdminClient]:
    # The settings of the consumers bring users, passwords and certificates.
    version = None if api_version is None else ".".join(map(str, api_version))
    settings = ConsumerSettings(bootstrap=bootstrap, api_version=version)
    with _connected(settings, _TIMEOUT_MS) as admin:
        yield admin


@contextmanager
def _connected(settings: ConsumerSettings, timeout_ms: int) -> Iterator[KafkaAdminClient]:
    where = f"Kafka at {settings.bootstrap}"
    try:
        client = admin_client(settings, timeout_ms / 1000)
    except AccessRefused as error:
        raise ServiceFailed(str(error)) from error
    except (KafkaTimeoutError, ValueError) as error:
        raise ServiceFailed(
            f"{where} cannot be reached within {timeout_ms / 1000:g} s. Is the address right (--bootstrap HOST:PORT,"
            " VITRINE_CONSUMERS_BOOTSTRAP), and does the broker run?"
        ) from error
    except (KafkaError, OSError) as error:
        raise ServiceFailed(f"{where} refuses the connection: {error}") from error
    try:
        with closing(client) as admin:
            yield admin
    except KafkaError as error:
        raise ServiceFailed(f"{where} does not do as asked: {error}") from error


def require_kafka(settings: ConsumerSettings, timeout_s: float = _TIMEOUT_MS / 1000) -> None:
    """`ServiceFailed` where the Kafka of the settings cannot be reached within the time."""
    with _connected(settings, max(1, round(timeout_s * 1000))):
        pass


def check_topics(
    bootstrap: str, topics: Mapping[str, int], api_version: tuple[int, int] | None = None
) -> list[TopicCheck]:
    """Compare the wanted number of partitions per topic with the broker's; `ServiceFailed` if it does not answer."""
    with _admin(bootstrap, api_version) as admin:
        # Asked for all topics, not by name: a broker may create the topics that it is asked about.
        found = {topic["name"]: len(topic["partitions"]) for topic in admin.describe_topics()}
    return [TopicCheck(topic=name, wanted=wanted, found=found.get(name)) for name, wanted in topics.items()]


def ensure_topics(bootstrap: str, topics: Mapping[str, int], copies: int = -1) -> list[str]:
    """Make the missing topics and wait until they can be used; return their names. `copies` -1: the broker decides.

    A topic with too few partitions is left alone: more of them would send the keys of old events elsewhere.
    """
    missing = [check for check in check_topics(bootstrap, topics) if check.found is None]
    if not missing:
        return []
    wanted = {check.topic: {"num_partitions": check.wanted, "replication_factor": copies} for check in missing}
    with _admin(bootstrap, None) as admin:
        # Somebody else may have been faster.
        with suppress(TopicAlreadyExistsError):
            admin.create_topics(wanted, timeout_ms=_TIMEOUT_MS)
        admin.wait_for_topics(list(wanted), timeout_ms=_TIMEOUT_MS)
    return list(wanted)


def delete_topics(bootstrap: str, topics: Iterable[str]) -> None:
    """Delete topics with all that is in them; `ServiceFailed` where the broker does not."""
    with _admin(bootstrap, None) as admin:
        admin.delete_topics(list(topics), timeout_ms=_TIMEOUT_MS)
