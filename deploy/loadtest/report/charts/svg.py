"""Elements of SVG as text. Everything that comes from outside is escaped here."""

from collections.abc import Iterable, Sequence
from html import escape

from deploy.loadtest.report.words import printable

#: Height of the letters in the charts, and about how wide a letter is.
LETTERS = 12
_WIDE = 0.6
#: The same where a text is cut: with most fonts it would still have fitted.
_NARROW = 0.54

Point = tuple[float, float]
Attribute = str | float | None


def element(tag: str, *children: str, **attributes: Attribute) -> str:
    """An element. `class_` is `class`, other underscores are hyphens; attributes that are None are left out."""
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{_value(value)}"'
        for name, value in attributes.items()
        if value is not None
    )
    return f"<{tag}{written}>{''.join(children)}</{tag}>"


def _value(value: str | float) -> str:
    return _text(value) if isinstance(value, str) else px(value)


def _text(words: str) -> str:
    return escape(printable(words))


def px(value: float) -> str:
    """A coordinate with one decimal."""
    shown = f"{value:.1f}".removesuffix(".0")
    return "0" if shown == "-0" else shown


def picture(width: float, height: float, title: str, description: str, parts: Iterable[str]) -> str:
    """A whole chart, which a screen reader reads as title and description."""
    return element(
        "svg",
        element("title", _text(title)),
        element("desc", _text(description)),
        *parts,
        viewBox=f"0 0 {px(width)} {px(height)}",
        width=width,
        height=height,
        role="img",
    )


def text(x: float, y: float, words: str, class_: str | None = None, *, anchor: str | None = None) -> str:
    """A line of text; `anchor` is `middle` or `end`."""
    return element("text", _text(words), x=x, y=y, class_=class_, text_anchor=anchor)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> str:
    """A straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def rect(x: float, y: float, width: float, height: float, class_: str) -> str:
    """A rectangle."""
    return element("rect", x=x, y=y, width=max(0.0, width), height=max(0.0, height), class_=class_)


def path(class_: str, *segments: Sequence[Point], closed: bool = False) -> str:
    """Lines through points, one stroke for each segment."""
    end = "Z" if closed else ""
    drawn = "".join(f"{_through(segment)}{end}" for segment in segments if segment)
    return element("path", d=drawn, class_=class_) if drawn else ""


def _through(points: Sequence[Point]) -> str:
    (x, y), *rest = points
    # A single point is a line of no length: its round ends make a dot.
    steps = " ".join(f"{px(x)} {px(y)}" for x, y in rest) or f"{px(x)} {px(y)}"
    return f"M{px(x)} {px(y)}L{steps}"


def width_of(words: str, letters: float = LETTERS) -> float:
    """About how wide a text is."""
    return len(words) * letters * _WIDE


def shortened(words: str, room: float, letters: float = LETTERS) -> str:
    """The text as far as there is room for it."""
    most = int(room / (letters * _NARROW))
    if len(words) <= most:
        return words
    return words[: most - 1] + "…" if most > 1 else ""
