"""Where the time of an event goes: waits one after the other, and the work of the stages. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

from deploy.loadtest.report.charts.frame import NARROW, note
from deploy.loadtest.report.charts.scales import Scale, linear, measured
from deploy.loadtest.report.charts.svg import line, picture, rect, shortened, text, width_of
from deploy.loadtest.report.words import count, ms, short_ms

_ROW = 26
_HEAD = 30
_TALL = 14


class Bar(NamedTuple):
    """A part of the way, in milliseconds."""

    name: str
    #: A wait begins where the one before it ended; work begins at 0.
    is_work: bool
    mean_ms: float
    p50_ms: float | None
    p99_ms: float | None
    n: int


def waterfall(bars: Sequence[Bar], title: str, description: str, width: float) -> str:
    """The chart: bars are means, because only means add up; medians and p99 stand beside them."""
    groups = [
        ("Waits between two moments, one after the other", [bar for bar in bars if not bar.is_work]),
        ("Work of the stages, summed over the images of an event", [bar for bar in bars if bar.is_work]),
    ]
    narrow = width < NARROW
    left = 2.0 if narrow else max([120.0, *(min(210.0, width_of(bar.name) + 12) for bar in bars)])
    right = width - (8.0 if narrow else 190.0)
    ends = [end for _, group in groups for _, end in _placed(group)]
    # The value of the longest bar stands beside it.
    across = linear(ends, left, right - 70, short_ms, 3 if narrow else 5)
    grid: list[str] = []
    parts, y = [] if narrow else _columns(width), 24.0
    for name, group in groups:
        if group:
            parts.append(text(0, y + 14, shortened(name, width), "group"))
            top = y + _HEAD
            drawn, y = _group(group, across, top, narrow=narrow, width=width, left=left)
            # Not through the heading.
            grid += [line(across.at(tick.at), top - 6, across.at(tick.at), y, "grid") for tick in across.ticks]
            parts += drawn
            y += 8
    labels = [text(across.at(tick.at), y + 14, tick.label, "tick", anchor="middle") for tick in across.ticks]
    return picture(width, y + 24, title, description, [*grid, *parts, *labels])


def _placed(group: Sequence[Bar]) -> list[tuple[float, float]]:
    """Start and end of each bar."""
    places, at = [], 0.0
    for bar in group:
        length = max(0.0, measured(bar.mean_ms) or 0.0)
        start = 0.0 if bar.is_work else at
        at = start + length
        places.append((start, at))
    return places


def _columns(width: float) -> list[str]:
    heads = (("median", 120), ("p99", 60), ("events", 0))
    return [text(width - off, 14, head, "tick", anchor="end") for head, off in heads]


def _group(
    group: Sequence[Bar], across: Scale, y: float, *, narrow: bool, width: float, left: float
) -> tuple[list[str], float]:
    parts = []
    for bar, (start, end) in zip(group, _placed(group), strict=True):
        x, x_end = across.at(start), across.at(end)
        if narrow:
            parts.append(text(0, y + 11, shortened(bar.name, width), "label"))
            y += 16
        else:
            parts.append(text(left - 8, y + 11, shortened(bar.name, left - 8), "label", anchor="end"))
        parts.append(rect(x, y, max(1.0, x_end - x), _TALL, "work" if bar.is_work else "wait"))
        parts.append(note(x_end + 6, y + 11, ms(bar.mean_ms)))
        if not narrow:
            cells = ((ms(bar.p50_ms), 120), (ms(bar.p99_ms), 60), (count(bar.n), 0))
            parts += [text(width - off, y + 11, words, "cell", anchor="end") for words, off in cells]
        y += _ROW
    return parts, y
