"""The topics that Vitrine uses here."""

from consumers.settings import ConsumerSettings

#: Listing events: the usual ones, the urgent ones, backfills.
EVENTS = ("listings.new", "listings.new.high", "listings.new.low")


def wanted_topics(partitions: int) -> dict[str, int]:
    """All topics of the consumers' settings with their number of partitions.

    Dead letters are few and best read in one order.
    """
    settings = ConsumerSettings()
    many = (*settings.topics, *settings.retry_topics, settings.results_topic)
    return {**dict.fromkeys(many, partitions), settings.dead_topic: 1}
