"""Errors, and what one needs to believe the run or to repeat it: generator, clocks, seed, machine, config, command."""

import json
from collections.abc import Mapping
from typing import Any

from deploy.loadtest.document import RunDocument
from deploy.loadtest.report.page.elements import Table, code, details, section, table, text
from deploy.loadtest.report.words import count, ms, plural, readable, seconds


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
    parts = []
    for title, content in (("Environment", environment), ("Settings", config)):
        if content:
            parts.append(f"<h3>{title}</h3>{details([(readable(str(k)), _shown(v)) for k, v in content.items()])}")
    return parts


def _shown(value: object) -> str:
    if isinstance(value, str):
        return code(value)
    return code(json.dumps(value, ensure_ascii=False, default=str))
