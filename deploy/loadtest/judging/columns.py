"""The records of a run as plain columns for arithmetic: one entry per event of the schedule. Pure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deploy.loadtest.ledger.records import NS, Records

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Times in seconds since the measured window began; NaN where something did not happen."""

    due_s: Floats
    sent_s: Floats
    visible_s: Floats
    #: Due within the measured window.
    counts: Mask
    sent: Mask
    #: With a visible answer or a dead letter.
    answered: Mask
    #: Answered as an event of this kind may be.
    good: Mask

    @property
    def latency_ms(self) -> Floats:
        """From the intended time."""
        return (self.visible_s - self.due_s) * 1000

    @property
    def service_ms(self) -> Floats:
        """From the time at which it was really sent."""
        return (self.visible_s - self.sent_s) * 1000

    @property
    def lag_ms(self) -> Floats:
        """How late it was sent."""
        return (self.sent_s - self.due_s) * 1000


def columns_of(records: Records) -> Columns:
    """All events of the schedule, in the order of their numbers."""
    ledger = records.ledger
    ledger.settle()
    begin_ns = records.go_ns + round(records.warmup_s * NS)
    numbers = range(1, records.planned + 1)
    sent = np.fromiter((ledger.is_sent(one) for one in numbers), np.bool_, records.planned)
    answered = (records.visible_ns[1:] > 0) & sent
    expected = np.fromiter((ledger.expected(one) for one in numbers), np.bool_, records.planned)

    def seconds(at_ns: NDArray[np.int64], known: Mask) -> Floats:
        return np.where(known, (at_ns - begin_ns) / NS, np.nan)

    return Columns(
        due_s=(records.due_ns[1:] + (records.go_ns - begin_ns)) / NS,
        sent_s=seconds(records.sent_ns[1:], sent & (records.sent_ns[1:] > 0)),
        visible_s=seconds(records.visible_ns[1:], answered),
        counts=records.window()[1:],
        sent=sent,
        answered=answered,
        good=answered & expected,
    )
