"""The topics that Vitrine uses, and a way to make or check them."""

from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum

from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError, TopicAlreadyExistsError

from consumers.settings import ConsumerSettings

_TIMEOUT_MS = 15_000


class TopicState(StrEnum):
    """What was found or done."""

    EXISTS = "exists"
    CREATED = "created"
    MISSING = "missing"
    UNKNOWN = "unknown"  #: the broker cannot say or make topics; some make them when they are first used


@dataclass(frozen=True, slots=True)
class TopicReport:
    """One topic; `partitions` is None where it is not known."""

    name: str
    state: TopicState
    partitions: int | None = None
    message: str | None = None


def names(settings: ConsumerSettings) -> tuple[str, ...]:
    """Event topics, results, dead letters."""
    return (*settings.topics, settings.results_topic, settings.dead_topic)


def check(settings: ConsumerSettings) -> list[TopicReport]:
    """Look, make nothing. Raise `KafkaError` if no broker answers."""
    with closing(KafkaAdminClient(**settings.client())) as admin:
        return _check(admin, names(settings))


def create(settings: ConsumerSettings, partitions: int, copies: int = -1) -> list[TopicReport]:
    """Make the missing topics; `copies` -1 leaves it to the broker. Raise `KafkaError` if no broker answers."""
    with closing(KafkaAdminClient(**settings.client())) as admin:
        return [
            _create(admin, report, partitions, copies) if report.state is TopicState.MISSING else report
            for report in _check(admin, names(settings))
        ]


def _check(admin: KafkaAdminClient, wanted: tuple[str, ...]) -> list[TopicReport]:
    # Asked for all topics, not by name: a broker may create the topics that it is asked about.
    found = {topic["name"]: len(topic["partitions"]) for topic in admin.describe_topics()}
    return [
        TopicReport(name, TopicState.EXISTS, found[name]) if name in found else TopicReport(name, TopicState.MISSING)
        for name in wanted
    ]


def _create(admin: KafkaAdminClient, report: TopicReport, partitions: int, copies: int) -> TopicReport:
    options = {"num_partitions": partitions, "replication_factor": copies}
    try:
        admin.create_topics({report.name: options}, timeout_ms=_TIMEOUT_MS, wait_for_metadata=True)
    except TopicAlreadyExistsError:
        return TopicReport(report.name, TopicState.EXISTS)
    except (KafkaError, ValueError) as error:
        message = f"this broker does not make topics on request ({error}); make {report.name} by its own means"
        return TopicReport(report.name, TopicState.UNKNOWN, message=message)
    return TopicReport(report.name, TopicState.CREATED, partitions)
