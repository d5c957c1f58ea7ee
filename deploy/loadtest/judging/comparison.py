"""Two runs side by side: what became better, what worse. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from deploy.loadtest.report.document import RunDocument
from deploy.loadtest.report.hlog import Stretch

Verdict = Literal["better", "same", "worse", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A figure of both runs; the ratio is b to a, `low` and `high` its 95 % interval, None where there is none."""

    name: str
    a: float | None
    b: float | None
    ratio: float | None
    low: float | None
    high: float | None
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All figures; `refused` says why the runs cannot be compared."""

    lines: Sequence[Line]
    regressed: bool
    refused: str | None = None


#: By tag: `intended`, `service`.
Hlog = Mapping[str, Sequence[Stretch]]


def compare(
    a: RunDocument, b: RunDocument, hlog_a: Hlog, hlog_b: Hlog, tolerance: float = 0.1, *, force: bool = False
) -> Comparison:
    """What became of `a` in `b`. Worse is what is worse by more than the tolerance, for sure."""
    raise NotImplementedError
