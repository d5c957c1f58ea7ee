"""How the lag of a group is shown, to people and to programs."""

from collections.abc import Collection, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from consumers.tools.lag import Row, Totals
from consumers.tools.lag_reader import GroupState
from deploy.cli.moments import age

_NOBODY = "-"


def split(state: GroupState, retry_topics: Collection[str]) -> tuple[list[Row], list[Row]]:
    """The rows of events, and those of retry topics, where events wait on purpose."""
    events = [row for row in state.rows if row.tp.topic not in retry_topics]
    return events, [row for row in state.rows if row.tp.topic in retry_topics]


def facts(group: str, state: GroupState, retry_topics: Collection[str]) -> dict[str, Any]:
    """Everything for programs."""
    events, retries = split(state, retry_topics)
    return {
        "group": group,
        "state": state.state,
        "members": [{"name": one.name, "host": one.host, "partitions": len(one.partitions)} for one in state.members],
        "partitions": [_row_facts(row) for row in events],
        "retry_partitions": [_row_facts(row) for row in retries],
        "totals": asdict(Totals.of(events)),
        "retries_waiting": Totals.of(retries).open,
        "dead_letters": state.dead_letters,
        "missing_topics": list(state.missing),
    }


def table(group: str, state: GroupState, retry_topics: Collection[str], idle_s: float | None) -> RenderableType:
    """The table of the moment."""
    events, retries = split(state, retry_topics)
    names = {member.name: str(number) for number, member in enumerate(state.members, 1)}
    rows = [row for row in (*events, *retries) if row.lag or row.committed is not None]
    shown = Table(box=None, show_footer=True)
    shown.add_column("topic", no_wrap=True)
    for name in ("part.", "committed", "end", "lag", "done", "open", "oldest", "member"):
        shown.add_column(name, justify="right", no_wrap=True)
    shown.add_column("")
    for row in rows:
        shown.add_row(*_cells(row, names), style="" if row.open else "dim")
    totals = Totals.of(events)
    for place, text in enumerate(("all events", "", "", "", totals.lag, totals.done, totals.open, _age(totals.age_s))):
        shown.columns[place].footer = Text(str(text), style="bold")
    lines: list[RenderableType] = [
        Text(headline(group, state, idle_s), style="bold"),
        shown,
        Text(_below(state, retries)),
    ]
    if unused := len(state.rows) - len(rows):
        lines.append(Text(f"{unused} empty partitions without a commit", style="dim"))
    if state.missing:
        lines.append(Text(f"missing topics: {', '.join(state.missing)}", style="yellow"))
    return Group(*lines)


def headline(group: str, state: GroupState, idle_s: float | None) -> str:
    """Group, members, how long nothing moved."""
    told = f"group {group}"
    if state.state is not None:
        told += f", {state.state.lower()}, {len(state.members)} members"
    return told if idle_s is None else f"{told}, no progress for {age(idle_s)}"


def line(group: str, state: GroupState, retry_topics: Collection[str], idle_s: float) -> str:
    """The figures of the moment in one line, where there is no terminal."""
    events, retries = split(state, retry_topics)
    totals = Totals.of(events)
    return (
        f"{headline(group, state, idle_s)}: lag {totals.lag}, done beyond {totals.done}, open {totals.open}, "
        f"oldest {_age(totals.age_s)}; {_below(state, retries)}"
    )


def _below(state: GroupState, retries: Sequence[Row]) -> str:
    return f"{Totals.of(retries).open} wait in retry topics, {state.dead_letters} in the dead-letter topic"


def _cells(row: Row, names: dict[str, str]) -> tuple[str | Text, ...]:
    return (
        row.tp.topic,
        str(row.tp.partition),
        "-" if row.committed is None else str(row.committed),
        str(row.end),
        str(row.lag),
        str(row.done),
        str(row.open),
        _age(row.age_s),
        _NOBODY if row.member is None else names.get(row.member, row.member),
        Text("" if row.committed is None else row.note, style="yellow"),
    )


def _row_facts(row: Row) -> dict[str, Any]:
    told = asdict(row)
    del told["tp"]
    return {"topic": row.tp.topic, "partition": row.tp.partition, **told, "open": row.open}


def _age(seconds: float | None) -> str:
    return "-" if seconds is None else age(seconds)
