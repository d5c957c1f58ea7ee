"""Figures of the machine and of the services, taken every second or two."""

from collections.abc import Mapping
from typing import NamedTuple


class Sample(NamedTuple):
    """Figures of a moment: `lag_events`, `lag_age_s`, `replicas`, `consumers`, `cpu.ROLE` (cores), `rss_mb.ROLE`, `gpu.*`."""

    #: CLOCK_MONOTONIC.
    at_ns: int
    values: Mapping[str, float]
