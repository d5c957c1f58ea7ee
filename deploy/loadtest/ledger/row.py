"""A line of the account of all events: what was sent, and how it ended."""

from typing import NamedTuple

#: Endings and flags that should not be.
BAD_ENDINGS = frozenset({"missing", "unsent", "unknown"})
BAD_FLAGS = frozenset({"twice", "unexpected"})


class LedgerRow(NamedTuple):
    """An event, and how it ended."""

    #: In the schedule; -1 of an answer to nothing that was sent.
    number: int
    event_id: str
    kind: str
    listing: str
    revision: int
    #: When it was to be sent, in seconds since the measured window began.
    at_s: float
    #: The outcome; `dead`, `missing`; `unsent` and `unknown`, which the sum does not count.
    ending: str
    #: From the intended time; None where no answer came.
    latency_ms: float | None
    #: Where it stood first, `topic[partition]@offset`.
    place: str
    #: Words with spaces between them: `twice`, `unexpected`, or what else is worth a filter, such as `warm-up`.
    flags: str

    @property
    def is_problem(self) -> bool:
        """Whether somebody should look at it."""
        return self.ending in BAD_ENDINGS or not BAD_FLAGS.isdisjoint(self.flags.split())
