"""How dead letters are shown, to people and to programs."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from pydantic_core import to_json
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from consumers.tools.dead_letter_reader import Letter, Letters
from deploy.cli.moments import shown as time_shown

_MESSAGE_CHARS = 100


def facts(letter: Letter, replayed_to: str | None) -> dict[str, Any]:
    """A letter for programs."""
    origin = letter.origin
    return {
        **asdict(letter),
        "place": str(letter.place),
        "at": time_shown(letter.at_ms),
        "origin": None if origin is None else origin.model_dump(),
        "replayed_to": replayed_to,
    }


def by_code(letters: Letters) -> dict[str, dict[str, int]]:
    """How many letters have each code, and how many of them were sent again."""
    every = Counter(letter.code for letter in letters.found)
    again = Counter(letter.code for letter in letters.found if letter.place in letters.replayed)
    return {code: {"letters": count, "replayed": again[code]} for code, count in every.most_common()}


def listed(letters: Letters, lines: Sequence[Letter]) -> RenderableType:
    """The table of `list`, with the sums below it."""
    table = Table(box=None)
    for name in ("position", "when", "code"):
        table.add_column(name, no_wrap=True)
    table.add_column("tries", justify="right", no_wrap=True)
    table.add_column("event, listing, message")
    for letter in lines:
        table.add_row(
            str(letter.place),
            time_shown(letter.at_ms),
            Text(letter.code or "-", style="red"),
            "-" if letter.attempts is None else str(letter.attempts),
            _what(letter, letters.replayed.get(letter.place)),
        )
    sums = Table("code", "letters", "replayed", box=None)
    for code, count in by_code(letters).items():
        sums.add_row(Text(code or "-", style="red"), str(count["letters"]), str(count["replayed"]))
    return Group(table, "", sums)


def one(told: dict[str, Any], letter: Letter, replayed_to: str | None) -> RenderableType:
    """Everything of one letter."""
    table = Table.grid(padding=(0, 2))
    rows = {
        "position": str(letter.place),
        "when": time_shown(letter.at_ms),
        "replayed to": replayed_to,
        "listing": None if letter.listing is None else f"{letter.tenant}:{letter.listing}",
        **told["facts"],
        "not whole": ", ".join(letter.truncated) or None,
        "key": told["key"],
    }
    for name, value in rows.items():
        if value is not None:
            table.add_row(Text(name, style="dim"), Text(str(value)))
    for header in told["headers"]:
        table.add_row(Text(f"header {header['name']}", style="dim"), Text(str(header["value"])))
    parts: list[RenderableType] = [table]
    if told["detail"] is not None:
        parts += ["", Text("error detail", style="bold"), pretty(told["detail"])]
    missing = "not in the letter; `vitrine dlq replay` takes it from its original position, while it stands there"
    body: RenderableType = Text(missing, style="yellow") if letter.bare else pretty(told["value"])
    return Group(*parts, "", Text(f"value, {told['size']} bytes", style="bold"), body)


def _what(letter: Letter, replayed_to: str | None) -> Text:
    listing = "-" if letter.listing is None else f"{letter.tenant}:{letter.listing}"
    text = Text.assemble(letter.event_id or "-", "  ", listing)
    if replayed_to is not None:
        text.append(f"  replayed to {replayed_to}", style="green")
    return text.append(f"\n{cut(letter.message)}", style="dim")


def cut(message: str) -> str:
    """The message in one line of bounded length."""
    line = " ".join(message.split())
    return line if len(line) <= _MESSAGE_CHARS else line[: _MESSAGE_CHARS - 1] + "…"


def pretty(value: Any) -> Text:
    """JSON with line breaks; text as it is."""
    if value is None:
        return Text("null", style="dim")
    return Text(value if isinstance(value, str) else to_json(value, indent=2).decode())
