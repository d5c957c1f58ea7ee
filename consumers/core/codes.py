"""The error codes that this room gives by itself. Those of the serving room pass through unchanged."""

from enum import StrEnum

from consumers.events import BadCode


class FailureCode(StrEnum):
    """Why an event was tried in vain."""

    WORKER_LOST = "worker_lost"  #: the answer stream broke, each time
    DEADLINE_EXCEEDED = "deadline_exceeded"  #: no answer in time, each time
    REQUEST_REJECTED = "request_rejected"  #: Serve finds the request wrong: 400, 413, 422
    ANSWER_MISMATCH = "answer_mismatch"  #: the answers were for another event
    HEAD_BLOCKED = "head_blocked"  #: it held back its partition, again and again, while all behind it was done
    RESULT_UNPUBLISHABLE = "result_unpublishable"  #: answered, but its result is too large even when shortened


class LogCode(StrEnum):
    """Waits that end by themselves: these stand in logs and metrics, never in a dead letter."""

    PUBLISH_FAILED = "publish_failed"  #: the broker did not take a message; it goes again
    SERVE_REFUSED = "serve_refused"  #: Serve has no room, or is away


#: Every code of this room that a dead letter can have.
DEAD_LETTER_CODES: tuple[StrEnum, ...] = (*FailureCode, *BadCode)
#: The code by which Serve says that the replica died over this event.
REPLICA_LOST = "replica_lost"
