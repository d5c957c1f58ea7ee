"""What a load test shows when it is over, for a terminal of any width."""

from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from deploy.loadtest.report.document import Objective, Percentiles, Probe, RunDocument, SearchDocument

_NO_FIGURE = "-"
_PERCENTILES = ("p50", "p90", "p99", "p999", "max")


def closing_words(document: RunDocument, folder: Path) -> RenderableType:
    """Verdict, objectives, rates, percentiles, and where the events ended."""
    parts: list[RenderableType] = [_verdict(document), _objectives(document.slo.objectives)]
    parts.append(
        f"events/s: offered {figure(document.offered)}, delivered {figure(document.delivered)}, "
        f"in time {figure(document.goodput)}"
    )
    parts.append(f"latency, ms: {_percentiles(document.latency_ms)}")
    parts.append(f"ledger: {_ledger(document)}")
    parts.append(f"report: {folder / 'report.html'}")
    return Group(*parts)


def _verdict(document: RunDocument) -> Text:
    if not document.valid:
        return Text(f"INVALID: {'; '.join(document.invalid)}", style="bold red")
    return Text("SLO met", style="bold green") if document.slo.met else Text("SLO missed", style="bold red")


def _objectives(objectives: list[Objective]) -> Table:
    table = Table("objective", "measured", "required", "met", box=None)
    for one in objectives:
        met = Text("yes", style="green") if one.met else Text("no" if one.met is False else "?", style="bold red")
        table.add_row(one.name, figure(one.measured), one.required, met)
    return table


def _percentiles(found: Percentiles) -> str:
    told = (f"{name} {figure(getattr(found, name))}" for name in _PERCENTILES)
    return ", ".join(told) + f" (n {found.n:,})"


def _ledger(document: RunDocument) -> str:
    counts = document.ledger.model_dump()
    return ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in counts.items() if count or name == "sent")


def probe_line(number: int, most: int, one: Probe) -> Text:
    """One line as a probe is done."""
    style = {"met": "green", "missed": "red"}.get(one.verdict, "yellow")
    text = f" {figure(one.rate)}/s: delivered {figure(one.delivered)}/s, p99 {figure(one.p99_ms)} ms"
    note = f" ({one.note})" if one.note else ""
    return Text.assemble((f"{number}/{most}", "dim"), text, ", ", (one.verdict, style), note)


def found(document: SearchDocument) -> RenderableType:
    """The capacity and the probes that tell it."""
    table = Table("rate", "delivered", "in time", "p50 ms", "p99 ms", "SLO", box=None)
    for one in sorted(document.probes, key=lambda probe: probe.rate):
        table.add_row(
            figure(one.rate),
            figure(one.delivered),
            figure(one.goodput),
            figure(one.p50_ms),
            figure(one.p99_ms),
            one.verdict,
        )
    knee = "" if document.knee is None else f"; latency climbs from {figure(document.knee)}/s on"
    return Group(table, Text(f"{capacity(document)}{knee}", style="bold"))


def capacity(document: SearchDocument) -> str:
    """The capacity in words."""
    if document.capacity is None:
        return f"no capacity: {document.note}"
    if document.at_least:
        return f"at least {figure(document.capacity)} events/s: {document.note}"
    text = f"{figure(document.capacity)} events/s"
    if document.interval is not None:
        text += f", with 95 % confidence {figure(document.interval.low)} to {figure(document.interval.high)}"
    return f"{text} ({document.note})" if document.note else text


def figure(value: float | None) -> str:
    """Three figures that count; a dash where there is none."""
    if value is None:
        return _NO_FIGURE
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
