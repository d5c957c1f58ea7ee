"""The page of a search: the highest rate that meets the SLO, and how it was found."""

from deploy.loadtest.document import SearchDocument
from deploy.loadtest.report.charts.frame import Line
from deploy.loadtest.report.charts.search_chart import Found, delivered_by_rate, latency_by_rate
from deploy.loadtest.report.page.about import settings
from deploy.loadtest.report.page.elements import Table, badge, chart, code, details, section, table, text
from deploy.loadtest.report.verdict import objective_name
from deploy.loadtest.report.words import NONE, figure, ms, plural, rate, required

_SORTS = {"met": "good", "missed": "bad", "invalid": "warn"}


def found(document: SearchDocument) -> str:
    """The head of the page."""
    if document.capacity is None:
        sentence = "No rate was found that meets the SLO."
        state = badge("bad", "not found")
    else:
        least = "At least " if document.at_least else ""
        sentence = f"{least}{rate(document.capacity)} is the highest rate that meets the SLO."
        state = badge("good", "capacity found")
    interval = document.interval
    between = "" if interval is None else f"95 %: {rate(interval.low)} to {rate(interval.high)}"
    pairs = [
        ("capacity", _big(NONE if document.capacity is None else rate(document.capacity), between)),
        ("knee", _knee(document.knee)),
        ("probes", _big(str(len(document.probes)), f"by the driver {document.driver}")),
    ]
    note = f"<p>{text(document.note)}</p>\n" if document.note else ""
    wanted = " · ".join(text(required(objective_name(one))) for one in document.slo)
    return (
        f'<p class="badges">{state}</p>\n<h1>{text(sentence)}</h1>\n<p class="lead">{wanted}</p>\n{note}'
        f"{details(pairs, 'figures')}"
    )


def _knee(knee: float | None) -> str:
    if knee is None:
        return _big(NONE, "latency begins to climb: these probes do not tell where")
    return _big(rate(knee), "where latency begins to climb")


def _big(value: str, more: str) -> str:
    return f"<b>{text(value)}</b><small>{text(more)}</small>"


def curves(document: SearchDocument) -> str:
    """Latency and throughput against the rate."""
    probes = sorted(document.probes, key=lambda one: one.rate)
    interval = document.interval
    content = Found(
        rates=[one.rate for one in probes],
        verdicts=[one.verdict for one in probes],
        capacity=document.capacity,
        interval=None if interval is None else (interval.low, interval.high),
        knee=document.knee,
    )
    latency = [
        Line(name="p99", values=[one.p99_ms for one in probes], style=2),
        Line(name="p90", values=[one.p90_ms for one in probes], style=3),
        Line(name="p50", values=[one.p50_ms for one in probes], style=1),
    ]
    through = [
        Line(name="offered", values=[one.offered for one in probes], style=2),
        Line(name="delivered", values=[one.delivered for one in probes], style=1),
        Line(name="goodput", values=[one.goodput for one in probes], style=3),
    ]
    return section(
        "curve",
        "Against the rate",
        "Filled marks met the SLO, crosses missed it, rings do not count. The band: where the capacity lies, 95 %.",
        chart("Latency", "by offered events/s", lambda width: latency_by_rate(content, latency, width)),
        chart("What comes through", "events/s, by offered events/s", lambda w: delivered_by_rate(content, through, w)),
    )


def probes(document: SearchDocument) -> str:
    """Every rate that was tried, in the order in which it was."""
    rows = [
        (
            str(number),
            f"<b>{rate(one.rate)}</b>",
            figure(one.delivered),
            figure(one.goodput),
            ms(one.p50_ms),
            ms(one.p90_ms),
            ms(one.p99_ms),
            badge(_SORTS.get(one.verdict, "quiet"), text(one.verdict)),
            text(one.note),
        )
        for number, one in enumerate(document.probes, 1)
    ]
    head = ("", "rate", "delivered", "goodput", "p50", "p90", "p99", "SLO", "note")
    content = Table(head=head, rows=rows, numbers=frozenset({1, 2, 3, 4, 5, 6}), class_="cards")
    return section("probes", plural(len(rows), "probe").capitalize(), "In the order in which they ran.", table(content))


def about(document: SearchDocument, command: str) -> str:
    """How it was searched."""
    pairs = [
        ("started", text(f"{document.started_at:%Y-%m-%d %H:%M:%S %Z}")),
        ("driver", code(document.driver)),
        ("seed", code(document.seed)),
        ("revision", code(document.revision)),
    ]
    return section(
        "about",
        "How it was searched",
        "",
        f'<h3>To repeat it</h3><pre class="command">{text(command)}</pre>' if command else "",
        details(pairs),
        *settings(document.environment, document.config),
    )
