"""What is said first: whether the run counts, whether the SLO is met, and the few figures that everybody asks for."""

import re

from deploy.loadtest.document import Objective, RunDocument
from deploy.loadtest.report.page.elements import Table, badge, details, section, table, text
from deploy.loadtest.report.verdict import figure_of, headline, objective_name, slo_word
from deploy.loadtest.report.words import NONE, count, ms, plural, rate, required, seconds, share, short_ms


def verdict(document: RunDocument) -> str:
    """The head of the page."""
    badges = badge("good", "Valid") if document.valid else badge("bad", "INVALID")
    if document.valid:
        sort = {"SLO met": "good", "SLO missed": "bad"}.get(slo_word(document), "quiet")
        badges += badge(sort, slo_word(document))
    reasons = "".join(f"<li>{text(reason)}</li>" for reason in document.invalid)
    why = f'<ul class="reasons">{reasons}</ul>' if reasons else ""
    return (
        f'<p class="badges">{badges}</p>\n<h1>{_kept(text(headline(document)))}</h1>\n{why}\n{_key_figures(document)}'
    )


def _kept(words: str) -> str:
    """A figure and its unit stay in one line."""
    return re.sub(r"(?<=\d) (?=(?:ms|s|min|h)\b)|(?<=[≤≥]) ", "\N{NO-BREAK SPACE}", words)


def _key_figures(document: RunDocument) -> str:
    figures = [
        *_through(document),
        ("latency p50", ms(document.latency_ms.p50), _within(document, "p50")),
        ("latency p99", ms(document.latency_ms.p99), _within(document, "p99")),
        ("missing", count(document.ledger.missing), f"of {plural(document.ledger.sent, 'event')} sent"),
    ]
    cells = [(name, f"<b>{text(value)}</b><small>{text(more)}</small>") for name, value, more in figures]
    return details(cells, "figures")


def _through(document: RunDocument) -> list[tuple[str, str, str]]:
    if document.drain is not None:
        drain = document.drain
        return [
            ("backlog", count(drain.events), "events, before the first consumer"),
            ("drained in", seconds(drain.seconds), "from the first consumer to the last answer"),
            ("drained", rate(drain.rate), "on average"),
        ]
    return [
        ("offered", rate(document.offered), "as the schedule has it"),
        ("delivered", rate(document.delivered), f"{share(document.delivered, document.offered)} of offered"),
        ("goodput", rate(document.goodput), f"answered well within {short_ms(document.within_ms)}"),
    ]


def _within(document: RunDocument, name: str) -> str:
    latency = document.latency_ms
    if name in latency.withheld:
        return f"withheld: {latency.withheld[name]}"
    interval = latency.intervals.get(name)
    if interval is None:
        return f"of {plural(latency.n, 'event')}"
    return f"95 %: {ms(interval.low)} to {ms(interval.high)}"


def objectives(document: RunDocument) -> str:
    """The SLO, line by line."""
    lines = document.slo.objectives
    if not lines:
        return section("slo", "SLO", "None was given: this run measures, and judges nothing.")
    content = Table(
        head=("objective", "required", "measured", "", "note"),
        rows=[
            (
                f"<b>{text(objective_name(one.name))}</b>",
                text(required(one.required)),
                _measured(one),
                _judged(one),
                text(one.note),
            )
            for one in lines
        ],
        numbers=frozenset({1, 2}),
        whole=frozenset({4}),
        class_="cards",
    )
    return section(
        "slo", "SLO", "Met only if every line is. A line that could not be judged is not met.", table(content)
    )


def _measured(one: Objective) -> str:
    return NONE if one.measured is None else figure_of(one.name, one.measured)


def _judged(one: Objective) -> str:
    if one.met is None:
        return badge("warn", "not judged")
    return badge("good", "met") if one.met else badge("bad", "missed")
