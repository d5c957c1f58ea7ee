"""What came of a chaos run, for people and for programs."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from deploy.loadtest.faults.conductor import Mark, Phase
from deploy.loadtest.ledger.ledger import OVERTAKEN
from deploy.loadtest.ledger.violations import Violation

_SHOWN = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class ChaosReport:
    """The ledger, the time line and the verdict."""

    seed: int
    delivery: str
    #: Seconds by part of the run.
    phases: Mapping[str, float]
    kinds: Mapping[str, int]
    endings: Mapping[str, int]
    counts: Mapping[str, int]
    marks: Sequence[Mark]
    violations: Sequence[Violation]

    @property
    def ok(self) -> bool:
        """Whether every promise was kept."""
        return not self.violations

    def to_json(self) -> dict[str, Any]:
        """One document."""
        return {
            "ok": self.ok,
            "seed": self.seed,
            "delivery": self.delivery,
            "phases_s": {name: round(seconds, 1) for name, seconds in self.phases.items()},
            "sent": dict(self.kinds),
            "ended": dict(self.endings),
            "counts": dict(self.counts),
            "timeline": [mark.to_json() for mark in self.marks],
            "violations": [violation.to_json() for violation in self.violations],
        }


def tables(report: ChaosReport) -> RenderableType:
    """The whole report for a terminal."""
    parts: list[RenderableType] = [
        _timeline(report.marks),
        _counted("sent", report.kinds),
        _counted("ended as", report.endings),
        _counted("ledger", report.counts),
        _counted("seconds", {name: round(seconds) for name, seconds in report.phases.items()}),
    ]
    if report.violations:
        parts.append(_violations(report.violations))
    return Group(*parts, Text(verdict(report), style="bold green" if report.ok else "bold red"))


def verdict(report: ChaosReport) -> str:
    """The last line."""
    events, strikes = sum(report.kinds.values()), sum(1 for mark in report.marks if mark.phase is Phase.STRIKE)
    run = f"seed {report.seed}, {report.delivery}: {events} events, {strikes} faults"
    if report.ok:
        loose = report.counts.get(OVERTAKEN, 0)
        but = f" ({loose} as stale: a newer revision in another topic overtook them)" if loose else ""
        return f"{run}: every event has exactly one visible outcome{but}; no violation"
    reasons = Counter(violation.reason.value for violation in report.violations)
    found = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    return f"{run}: {len(report.violations)} violations ({found})"


def _timeline(marks: Sequence[Mark]) -> Table:
    table = Table("at", "", "fault", "what", "answered", "took", title="time line", title_justify="left", box=None)
    for mark in marks:
        sign, style = ("x", "red") if mark.phase is Phase.STRIKE else ("+", "green")
        table.add_row(
            f"{mark.at_s:.1f} s",
            Text(sign, style=style),
            mark.fault,
            mark.what,
            str(mark.answered),
            f"{mark.took_s:.1f} s",
        )
    return table


def _counted(title: str, counts: Mapping[str, int]) -> Table:
    table = Table(title, "", box=None)
    table.columns[1].justify = "right"
    for name, count in sorted(counts.items(), key=lambda item: -item[1]):
        table.add_row(name, str(count))
    return table


def _violations(violations: Sequence[Violation]) -> Table:
    table = Table("violation", "what", box=None)
    for violation in violations[:_SHOWN]:
        table.add_row(Text(violation.reason.value, style="red"), violation.what)
    if len(violations) > _SHOWN:
        table.add_row("", f"... and {len(violations) - _SHOWN} more; --json has them all")
    return table
