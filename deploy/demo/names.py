"""The topics and the consumer group of a run."""

from dataclasses import dataclass

from consumers.settings import ConsumerSettings
from deploy.services.topic_plan import EVENTS, wanted_topics


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """Where a run sends its events and finds its answers, and the group that works on them."""

    group: str
    events: str
    results: str
    dead: str
    #: Where events wait for another try; the end of a name says how long.
    retries: tuple[str, ...]
    #: All topics to have, with their number of partitions.
    topics: dict[str, int]

    @classmethod
    def usual(cls, partitions: int) -> "Names":
        """Those of the settings, for a Kafka that the run starts itself."""
        settings = ConsumerSettings()
        return cls(
            group=settings.group,
            events=EVENTS[0] if EVENTS[0] in settings.topics else settings.topics[0],
            results=settings.results_topic,
            dead=settings.dead_topic,
            retries=settings.retry_topics,
            topics=wanted_topics(partitions),
        )

    @classmethod
    def of_run(cls, run: str, partitions: int) -> "Names":
        """Those that nobody else has, for a Kafka that works for others too: the run must not answer their events."""
        events, results, dead = (f"vitrine-demo-{run}.{part}" for part in ("events", "results", "dead"))
        delays = (name.rpartition(".")[2] for name in ConsumerSettings().retry_topics)
        retries = tuple(f"vitrine-demo-{run}.retry.{delay}" for delay in delays)
        return cls(
            group=f"vitrine-demo-{run}",
            events=events,
            results=results,
            dead=dead,
            retries=retries,
            topics={**dict.fromkeys((events, results, *retries), partitions), dead: 1},
        )

    @property
    def sources(self) -> tuple[str, ...]:
        """The topics of events."""
        return tuple(topic for topic in self.topics if topic not in {self.results, self.dead, *self.retries})

    def settings(self, base: ConsumerSettings) -> ConsumerSettings:
        """The settings with these names."""
        told = {"group": self.group, "results_topic": self.results, "dead_topic": self.dead}
        return base.model_copy(update={**told, "topics": self.sources, "retry_topics": self.retries})

    def environment(self) -> dict[str, str]:
        """What the worker must be told."""
        return {
            "VITRINE_CONSUMERS_GROUP": self.group,
            "VITRINE_CONSUMERS_TOPICS": ",".join(self.sources),
            "VITRINE_CONSUMERS_RETRY_TOPICS": ",".join(self.retries),
            "VITRINE_CONSUMERS_RESULTS_TOPIC": self.results,
            "VITRINE_CONSUMERS_DEAD_TOPIC": self.dead,
        }
