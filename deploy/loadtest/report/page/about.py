"""Errors, and what one needs to believe the run or to repeat it: generator, clocks, seed, machine, config, command."""

import json
from collections.abc import Mapping
from typing import Any

from deploy.loadtest.document import RunDocument
from deploy.loadtest.report.page.elements import Table, code, details, section, table, text
from deploy.loadtest.report.words import NONE, count, ms, plural, readable, seconds

#: What a mix says of itself.
_IN_WORDS = "description"


def errors(document: RunDocument) -> str:
    """Errors by class."""
    if not document.errors:
        return section("errors", "Errors by class", "None.")
    rows = [
        (f"<b>{text(one.where)}</b>", code(one.code), count(one.count), text(one.example))
        for one in sorted(document.errors, key=lambda one: -one.count)
    ]
    content = Table(head=("where", "code", "count", "example"), rows=rows, numbers=frozenset({2}), class_="cards")
    return section("errors", "Errors by class", "", table(content))


def about(document: RunDocument, command: str) -> str:
    """How it was measured."""
    lag = document.generator_lag_ms
    pairs = [
        ("started", text(f"{document.started_at:%Y-%m-%d %H:%M:%S %Z}")),
        ("measured for", text(seconds(document.duration_s))),
        ("seed", code(document.seed)),
        ("schedule, sha256", code(document.schedule_sha256)),
        ("revision", code(document.revision)),
        ("generator lag", text(f"p50 {ms(lag.p50)}, p99 {ms(lag.p99)}, max {ms(lag.max)}; {plural(lag.n, 'send')}")),
    ]
    return section(
        "about",
        "How it was measured",
        "Generator lag is how much later than planned an event was really sent.",
        f'<h3>To repeat it</h3><pre class="command">{text(command)}</pre>',
        details(pairs),
        _clocks(document),
        *settings(document.environment, document.config),
    )


def _clocks(document: RunDocument) -> str:
    if not document.clocks:
        return ""
    rows = [
        (
            f"<b>{text(one.role)}</b>",
            code(one.clock),
            ms(one.offset_ms),
            ms(one.error_ms),
            count(one.n),
            count(one.contradicting),
        )
        for one in document.clocks
    ]
    head = ("clock of", "name", "offset to ours", "error", "events", "contradicting")
    content = Table(head=head, rows=rows, numbers=frozenset({2, 3, 4, 5}), class_="cards", caption="Clocks")
    return table(content)


def settings(environment: Mapping[str, Any], config: Mapping[str, Any]) -> list[str]:
    """Machine and settings."""
    return [*_group("Environment", environment), *_group("Settings", config)]


def _group(title: str, content: Mapping[str, Any]) -> list[str]:
    """Single values side by side, then a line for each group of them; groups of groups have a heading of their own."""
    groups = {name: value for name, value in content.items() if isinstance(value, Mapping)}
    deep = {name: group for name, group in groups.items() if any(isinstance(one, Mapping) for one in group.values())}
    single = [(readable(name), _shown(value)) for name, value in content.items() if name not in {*groups, _IN_WORDS}]
    lines = [(readable(name), _line(group)) for name, group in groups.items() if name not in deep]
    parts = [
        f"<h3>{text(title)}</h3>" if content else "",
        f'<p class="lead">{text(content[_IN_WORDS])}</p>' if _IN_WORDS in content else "",
        details(single) if single else "",
        details(lines, "details lines") if lines else "",
    ]
    return [*parts, *(part for name, group in deep.items() for part in _group(readable(name).capitalize(), group))]


def _line(group: Mapping[str, Any]) -> str:
    return " · ".join(f"{text(name)} {_shown(value)}" for name, value in group.items()) or NONE


def _shown(value: object) -> str:
    if value is None or value == []:
        return NONE
    if isinstance(value, float):
        return code(f"{value:g}")
    return code(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str))
