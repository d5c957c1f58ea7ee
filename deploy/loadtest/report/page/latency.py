"""Percentiles with what they rest on, intended against service time, kinds of events, and where the time goes."""

from deploy.loadtest.document import Percentiles, RunDocument
from deploy.loadtest.report.charts.percentile_curve import Curve, percentile_curve
from deploy.loadtest.report.charts.waterfall import Bar, waterfall
from deploy.loadtest.report.page.elements import Table, chart, section, table, text
from deploy.loadtest.report.words import count, ms, plural, readable

_NAMES = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p999": 99.9}
_SHOWN = {"p50": "p50", "p90": "p90", "p99": "p99", "p999": "p99.9", "max": "max", "mean": "mean"}
_INTENDED, _SERVICE = "latency", "service time"


def latency(document: RunDocument) -> str:
    """The table and the curve."""
    whole, service = document.latency_ms, document.service_ms
    unanswered = (
        f" {plural(whole.unanswered, 'event')} without an answer count as later than all others."
        if whole.unanswered
        else ""
    )
    lead = (
        f"From the moment at which an event was to be sent to the moment at which its answer could be seen, of "
        f"{plural(whole.n, 'event')}.{unanswered} Service time begins when the event was really sent: it is what a "
        f"closed loop would show, and forgives every pause that kept later events from being sent."
    )
    content = Table(
        head=("", "latency, 95 % interval", "service time", "hidden by a closed loop"),
        rows=[_row(name, whole, service) for name in _SHOWN],
        numbers=frozenset({1, 2, 3}),
        class_="percentiles",
    )
    curves = [_curve(_INTENDED, whole), _curve(_SERVICE, service)]
    description = f"Intended: {_spoken(whole)}. Service: {_spoken(service)}."
    drawn = chart(
        "Latency by percentile",
        "each nine has the same room; whiskers are 95 % intervals",
        lambda width: percentile_curve(curves, "Latency by percentile", description, width),
    )
    return section("latency", "Latency", lead, table(content), _withheld(whole), drawn)


def _row(name: str, whole: Percentiles, service: Percentiles) -> tuple[str, ...]:
    value, other = _of(whole, name), _of(service, name)
    interval = whole.intervals.get(name)
    between = f"<small>{ms(interval.low)} to {ms(interval.high)}</small>" if interval else ""
    gap = ms(value - other) if value is not None and other is not None else ""
    shown = "withheld" if name in whole.withheld else ms(value)
    return f"<b>{_SHOWN[name]}</b>", f"{shown}{between}", "withheld" if name in service.withheld else ms(other), gap


def _of(percentiles: Percentiles, name: str) -> float | None:
    value: float | None = getattr(percentiles, name)
    return value


def _withheld(whole: Percentiles) -> str:
    lines = "".join(
        f"<li><b>{text(_SHOWN.get(name, name))}</b> {text(why)}</li>" for name, why in whole.withheld.items()
    )
    return f'<ul class="withheld"><li>Withheld:</li>{lines}</ul>' if lines else ""


def _spoken(one: Percentiles) -> str:
    return ", ".join(f"{shown} {ms(_of(one, name))}" for name, shown in _SHOWN.items())


def _curve(name: str, one: Percentiles) -> Curve:
    intervals = [(_NAMES[key], each.low, each.high) for key, each in one.intervals.items() if key in _NAMES]
    if one.curve:
        return Curve(name, [(place, value) for place, value in one.curve if place < 100], intervals)
    points = [(place, _of(one, key)) for key, place in _NAMES.items()]
    known = [(place, value) for place, value in points if value is not None]
    # The largest of n samples stands where the last nth begins.
    last = 100 * (1 - 1 / max(2, one.n))
    if one.max is not None and last > max((place for place, _ in known), default=0):
        known.append((last, one.max))
    return Curve(name, known, intervals)


def kinds(document: RunDocument) -> str:
    """A row for each kind of event."""
    if not document.kinds:
        return ""
    content = Table(
        head=("kind", "sent", "ended as", "p50", "p99"),
        rows=[
            (
                f"<b>{text(readable(one.kind))}</b>",
                count(one.sent),
                text(" · ".join(f"{readable(name)} {count(number)}" for name, number in one.endings.items() if number)),
                _percentile(one.latency_ms, "p50"),
                _percentile(one.latency_ms, "p99"),
            )
            for one in sorted(document.kinds, key=lambda one: -one.sent)
        ],
        numbers=frozenset({1, 3, 4}),
        whole=frozenset({2}),
        class_="cards",
    )
    return section("kinds", "By kind of event", "", table(content))


def _percentile(one: Percentiles, name: str) -> str:
    if name in one.withheld:
        return f'<span title="{text(one.withheld[name])}">withheld</span>'
    return ms(_of(one, name))


def stages(document: RunDocument) -> str:
    """Where the time goes."""
    if not document.stages:
        return ""
    bars = [
        Bar(readable(one.name), one.sort == "work", one.mean_ms, one.p50_ms, one.p99_ms, one.n)
        for one in document.stages
    ]
    worst = max(one.clock_error_ms for one in document.stages)
    error = f" Clocks of other machines make a wait wrong by up to {ms(worst)}." if worst else ""
    lead = f"Bars are means, because only means add up; the median and p99 stand beside them.{error}"
    title = "Where the time of an event goes"
    description = "; ".join(f"{bar.name}: {ms(bar.mean_ms)}" for bar in bars)
    drawn = chart("", "", lambda width: waterfall(bars, title, description, width))
    return section("stages", title, lead, drawn)
