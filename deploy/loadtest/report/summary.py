"""The end of a load test on the terminal: verdict, SLO, percentiles, ledger. Fits 80 columns."""

from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from deploy.loadtest.document import Objective, Percentiles, RunDocument, SearchDocument
from deploy.loadtest.report.screen import plain
from deploy.loadtest.report.verdict import adds_up, drained, figure_of, headline, objective_name, slo_word, summed
from deploy.loadtest.report.words import NONE, count, figure, ms, rate, readable, required, seconds

_NAMES = {"p50": "p50", "p90": "p90", "p99": "p99", "p999": "p99.9", "max": "max"}
_ERRORS = 5
_GAP = Text("")


def summary(document: RunDocument, report: Path | None = None) -> RenderableType:
    """The closing tables of a run; `report` is the page, which they then name."""
    parts: list[RenderableType] = [*_verdict(document), _GAP]
    if document.slo.objectives:
        parts += [_objectives(document), _GAP]
    parts += [_rates(document), _percentiles(document), _GAP, _ledger(document)]
    if document.broken:
        parts += [_GAP, _broken(document)]
    if document.errors:
        parts += [_GAP, _errors(document)]
    if document.soak:
        parts += [_GAP, _soak(document)]
    if report is not None:
        parts += [_GAP, plain(f"report: {report}")]
    return Group(*parts)


def search_summary(document: SearchDocument, report: Path | None = None) -> RenderableType:
    """The closing table of a search."""
    table = Table("rate", "delivered", "goodput", "p50", "p90", "p99", "", box=None)
    for one in document.probes:
        style = {"met": "green", "missed": "red"}.get(one.verdict, "yellow")
        words = f"{one.verdict}: {one.note}" if one.note else one.verdict
        table.add_row(
            rate(one.rate),
            figure(one.delivered),
            figure(one.goodput),
            ms(one.p50_ms),
            ms(one.p90_ms),
            ms(one.p99_ms),
            plain(words, style),
        )
    least = "at least " if document.at_least else ""
    found = "no rate meets the SLO" if document.capacity is None else f"{least}{rate(document.capacity)} meet the SLO"
    if document.interval is not None:
        found += f" (95 %: {rate(document.interval.low)} to {rate(document.interval.high)})"
    if document.knee is not None:
        found += f"; latency climbs from {rate(document.knee)} on"
    good = document.capacity is not None
    parts: list[RenderableType] = [table, _GAP, plain(found, "bold green" if good else "bold red")]
    if document.note:
        parts.append(plain(document.note))
    if report is not None:
        parts.append(plain(f"report: {report}"))
    return Group(*parts)


def _verdict(document: RunDocument) -> list[Text]:
    if not document.valid:
        reasons = [plain(f"- {reason}") for reason in document.invalid]
        return [plain(f"INVALID. {headline(document)}", "bold red"), *reasons]
    style = {"SLO met": "bold green", "SLO missed": "bold red"}.get(slo_word(document), "bold")
    return [plain(f"Valid, {slo_word(document)}. {headline(document)}", style)]


def _table(*heads: str) -> Table:
    table = Table(*heads, box=None, pad_edge=False, padding=(0, 2, 0, 0), title="", title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    return table


def _objectives(document: RunDocument) -> Table:
    table = _table("objective", "required", "measured", "")
    table.columns[3].justify = "left"
    for one in document.slo.objectives:
        met = {True: Text("met", style="green"), False: Text("missed", style="red")}
        table.add_row(
            plain(objective_name(one.name)),
            plain(required(one.required)),
            _measured(one),
            Text("not judged", style="yellow") if one.met is None else met[one.met],
        )
    return table


def _measured(one: Objective) -> str:
    return NONE if one.measured is None else figure_of(one.name, one.measured)


def _rates(document: RunDocument) -> Text:
    if document.drain is not None:
        return plain(f"a backlog of {drained(document.drain)}")
    return plain(
        f"{rate(document.offered)} offered, {rate(document.delivered)} delivered, "
        f"{rate(document.goodput)} goodput, for {seconds(document.duration_s)}"
    )


def _percentiles(document: RunDocument) -> Table:
    table = _table("", *_NAMES.values(), "n")
    for name, one in (
        ("latency", document.latency_ms),
        ("service time", document.service_ms),
        ("generator lag", document.generator_lag_ms),
    ):
        table.add_row(name, *(_percentile(one, key) for key in _NAMES), count(one.n))
    return table


def _percentile(one: Percentiles, name: str) -> Text:
    value: float | None = getattr(one, name)
    if value is None and name in one.withheld:
        return Text("withheld", style="dim")
    return Text(ms(value))


def _ledger(document: RunDocument) -> Table:
    ledger = document.ledger
    table = _table("ledger", "events")
    for name, number in summed(ledger):
        table.add_row(readable(name), Text(count(number), style="bold red" if name == "missing" and number else ""))
    lacking = adds_up(ledger)
    state = (
        Text("  adds up", style="green")
        if not lacking
        else Text(f"  {count(lacking)} not in the sum", style="bold red")
    )
    table.add_row("sent", Text.assemble((count(ledger.sent), "bold")), end_section=True)
    table.add_row(state, "")
    for name in ("unsent", "visible_twice", "unexpected", "unknown"):
        number = getattr(ledger, name)
        if number:
            table.add_row(Text(readable(name), style="red"), Text(count(number), style="bold red"))
    if ledger.repeats_hidden:
        table.add_row("repeats hidden", count(ledger.repeats_hidden))
    return table


def _broken(document: RunDocument) -> Table:
    table = _table("promise broken", "times", "first")
    table.columns[2].justify = "left"
    for one in document.broken:
        table.add_row(plain(one.reason, "bold red"), count(one.count), plain(one.example))
    return table


def _errors(document: RunDocument) -> Table:
    table = _table("error", "where", "count")
    shown = sorted(document.errors, key=lambda one: -one.count)
    for one in shown[:_ERRORS]:
        table.add_row(plain(one.code), plain(one.where), count(one.count))
    if len(shown) > _ERRORS:
        table.add_row(f"and {len(shown) - _ERRORS} more classes", "", "")
    return table


def _soak(document: RunDocument) -> Table:
    table = _table("memory", "start", "end", "slope", "")
    for one in document.soak:
        verdict = Text("grows", style="bold red") if one.leaks else Text("steady", style="green")
        table.add_row(
            plain(one.role),
            f"{figure(one.start_mb)} MB",
            f"{figure(one.end_mb)} MB",
            f"{figure(one.slope_mb_per_h)} MB/h",
            verdict,
        )
    return table
