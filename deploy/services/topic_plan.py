"""The topics that Vitrine uses."""

#: Listing events, by priority.
EVENTS = ("listings.new", "listings.new.high", "listings.new.low")
RESULTS = "listings.enriched"
DEAD = "listings.dead"


def wanted_topics(partitions: int) -> dict[str, int]:
    """All topics with their number of partitions. Dead letters are few and best read in one order."""
    return {**dict.fromkeys((*EVENTS, RESULTS), partitions), DEAD: 1}
