"""Building blocks of the page. Text from a document passes through `text` before it is HTML."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from deploy.loadtest.report.words import printable

#: Chart widths, and the class that shows each where it fits; all three are in the page, which needs no script so.
_WIDTHS = {"wide": 1064, "middle": 690, "narrow": 356}


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Cells are HTML. On a narrow page each row becomes a card whose lines say what they are."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    #: Columns of figures, which stand right.
    numbers: frozenset[int] = frozenset()
    #: Columns that take a whole line of a card.
    whole: frozenset[int] = frozenset()
    class_: str = ""
    caption: str = ""


def text(value: object) -> str:
    """Text as HTML, whatever is in it."""
    return escape(printable(value))


def section(anchor: str, title: str, lead: str, *parts: str) -> str:
    """A section with a heading and a line on how to read it."""
    intro = f'<p class="lead">{lead}</p>' if lead else ""
    body = "\n".join(part for part in parts if part)
    return f'<section id="{anchor}">\n<h2>{title}</h2>{intro}\n{body}\n</section>'


def table(content: Table) -> str:
    """A table."""
    caption = f"<caption>{content.caption}</caption>" if content.caption else ""
    head = "".join(f"<th{_class(content, index)}>{name}</th>" for index, name in enumerate(content.head))
    rows = "\n".join(_row(content, row) for row in content.rows)
    return (
        f'<div class="scroll"><table class="{content.class_}">{caption}<thead><tr>{head}</tr></thead>'
        f"<tbody>\n{rows}\n</tbody></table></div>"
    )


def _row(content: Table, row: Sequence[str]) -> str:
    cells = "".join(
        f'<td{_class(content, index)} data-label="{content.head[index]}">{cell}</td>' for index, cell in enumerate(row)
    )
    return f"<tr>{cells}</tr>"


def _class(content: Table, index: int) -> str:
    names = [name for name, columns in (("n", content.numbers), ("whole", content.whole)) if index in columns]
    return f' class="{" ".join(names)}"' if names else ""


def badge(sort: str, words: str) -> str:
    """A mark and a word: `good`, `bad`, `warn` or `quiet`."""
    return f'<span class="badge {sort}">{words}</span>'


def chart(title: str, note: str, draw: Callable[[int], str]) -> str:
    """A chart in three widths, of which the page shows one."""
    drawn = "\n".join(f'<div class="{name}">{draw(width)}</div>' for name, width in _WIDTHS.items())
    remark = f" <span>{note}</span>" if note else ""
    return f'<figure class="chart"><figcaption>{title}{remark}</figcaption>\n{drawn}\n</figure>'


def details(pairs: Sequence[tuple[str, str]], class_: str = "details") -> str:
    """Names and what they are; the latter is HTML."""
    cells = "".join(f"<div><dt>{text(name)}</dt><dd>{value}</dd></div>" for name, value in pairs)
    return f'<dl class="{class_}">{cells}</dl>'


def code(value: object) -> str:
    """Something that is meant literally."""
    return f"<code>{text(value)}</code>"
