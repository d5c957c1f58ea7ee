"""All that a run has left for its judge."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from deploy.loadtest.faults.conductor import Mark
from deploy.loadtest.judging.slo import Slo
from deploy.loadtest.ledger.records import Records
from deploy.loadtest.measuring.clock_watch import ClockWatch
from deploy.loadtest.measuring.clocks import OwnClock
from deploy.loadtest.measuring.samples import Sample
from deploy.loadtest.options import RunOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was asked for, what was seen. The ledger is that of the records."""

    options: RunOptions
    slo: Slo
    #: With the warm-up and the duration of the options.
    records: Records
    samples: Sequence[Sample] = ()
    #: Their times are seconds since the schedule began.
    marks: Sequence[Mark] = ()
    clock_watch: ClockWatch = field(default_factory=ClockWatch)
    #: The clock of this machine, for what its own processes told.
    own_clock: OwnClock | None = None
    #: What makes the run worthless: a child that broke, services that died although nobody wanted it.
    reasons: Sequence[str] = ()
    #: Workers that ended although nobody wanted it, a sentence each.
    died: Sequence[str] = ()
    #: Whether the generators came to the end of the schedule.
    finished: bool = True
    #: Backlog: CLOCK_MONOTONIC at which the consumers were let go.
    released_ns: int | None = None
    harness_cpu_s: float = 0.0
    wall_s: float = 0.0
    started_at: datetime
    revision: str
    schedule_sha256: str
    environment: Mapping[str, Any] = field(default_factory=dict)
    #: What the options do not say but the run went by, such as the mix.
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def window_began_at(self) -> datetime:
        """When the first event was due that counts."""
        return self.started_at + timedelta(seconds=self.options.warmup_s)
