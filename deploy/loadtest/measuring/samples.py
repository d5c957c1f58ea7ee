"""Figures of the machine and of the services, taken every second or two."""

from collections.abc import Mapping
from typing import NamedTuple


class Sample(NamedTuple):
    """Figures by name: `lag_events`, `lag_age_s`, `replicas`, `cpu.ROLE` in cores, `rss_mb.ROLE`, `gpu.*`."""

    #: CLOCK_MONOTONIC.
    at_ns: int
    values: Mapping[str, float]
