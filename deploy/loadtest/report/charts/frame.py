"""The paper of a chart: margins, axes, lines with gaps, and labels that do not lie over each other. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from deploy.loadtest.report.charts.scales import Scale, measured
from deploy.loadtest.report.charts.svg import Point, element, line, path, shortened, text, width_of

#: Below this width there is no room beside the lines: their names stand above them.
NARROW = 500
_LABEL_HEIGHT = 15
_LABEL_ROOM = 104
#: Line styles, which differ in colour and in dashes: `.l1` to `.l6` of the page's style sheet.
STYLES = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Figures over the axis; None where nothing was measured."""

    name: str
    values: Sequence[float | None]
    #: 1 to 6.
    style: int
    #: The surface below it is tinted.
    filled: bool = False
    #: It keeps its value until the next one.
    stepped: bool = False


@dataclass(frozen=True, slots=True)
class Frame:
    """Where on the paper the figures are."""

    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float

    @classmethod
    def of(cls, width: float, height: float, names: Sequence[str], *, above: float = 0.0) -> "Frame":
        """Margins for axis labels, the names of lines, and `above`, what stands over the figures.

        The margins at the sides depend on the width alone, so that charts below each other share an axis.
        """
        narrow = width < NARROW
        room = 0.0 if narrow else _LABEL_ROOM
        key = 20 * len(_key_rows(names, width)) if narrow else 0
        left = 46 if narrow else 56
        return cls(
            width, height + above + key, left, width - max(room, 10), above + key + 10, height + above + key - 24
        )

    @property
    def narrow(self) -> bool:
        """Whether names stand above the lines."""
        return self.width < NARROW


def axes(frame: Frame, across: Scale, up: Scale) -> list[str]:
    """Grid lines and labels; the bottom line is stronger."""
    parts = [line(frame.left, up.at(tick.at), frame.right, up.at(tick.at), "grid") for tick in up.ticks]
    parts += [text(frame.left - 8, up.at(tick.at) + 4, tick.label, "tick", anchor="end") for tick in up.ticks]
    parts.append(line(frame.left, frame.bottom, frame.right, frame.bottom, "axis"))
    end = -1e9
    for tick in across.ticks:
        x, half = across.at(tick.at), width_of(tick.label) / 2
        x_text = min(max(x, half), frame.width - half)
        parts.append(line(x, frame.bottom, x, frame.bottom + 4, "axis"))
        if x_text - half > end + 6:
            parts.append(text(x_text, frame.bottom + 18, tick.label, "tick", anchor="middle"))
            end = x_text + half
    return parts


def segments(xs: Sequence[float], line_: Line, across: Scale, up: Scale) -> list[list[Point]]:
    """The points of a line, a list for each stretch without a gap."""
    found: list[list[Point]] = [[]]
    for x, y in zip(map(measured, xs), map(measured, line_.values), strict=False):
        if x is None or y is None:
            found.append([])
            continue
        at = (across.at(x), up.at(y))
        if line_.stepped and found[-1]:
            found[-1].append((at[0], found[-1][-1][1]))
        found[-1].append(at)
    return [thinned(stretch) for stretch in found if stretch]


def thinned(points: list[Point]) -> list[Point]:
    """At most four points for each column of the paper: the first, the lowest, the highest and the last."""
    kept: list[Point] = []
    column: list[Point] = []
    for point in [*points, (float("inf"), 0.0)]:
        if column and (point[0] == float("inf") or int(point[0]) != int(column[0][0])):
            wanted = {0, len(column) - 1, *_extremes(column)}
            kept += [column[index] for index in sorted(wanted)]
            column = []
        column.append(point)
    return kept


def _extremes(column: list[Point]) -> tuple[int, int]:
    heights = [y for _, y in column]
    return heights.index(min(heights)), heights.index(max(heights))


def drawn(stretches: Sequence[Sequence[Point]], line_: Line, bottom: float) -> list[str]:
    """A line, and the surface below it."""
    parts = []
    if line_.filled:
        surfaces = [[(one[0][0], bottom), *one, (one[-1][0], bottom)] for one in stretches]
        parts.append(path(f"a{line_.style}", *surfaces, closed=True))
    return [*parts, path(f"line l{line_.style}", *stretches)]


def names(frame: Frame, lines: Iterable[tuple[Line, float | None]]) -> list[str]:
    """Each line's name: at its end, whose height is given, or above the figures where there is no room."""
    shown = [(line_, y) for line_, y in lines if y is not None]
    if frame.narrow:
        return _key(frame, [line_ for line_, _ in lines_of(shown)])
    heights = apart([y for _, y in shown], _LABEL_HEIGHT, frame.top, frame.bottom)
    parts = []
    for (line_, y), height in zip(shown, heights, strict=True):
        if abs(y - height) > 3:
            parts.append(line(frame.right + 1, y, frame.right + 8, height, f"leader l{line_.style}"))
        words = shortened(line_.name, _LABEL_ROOM - 10)
        parts.append(text(frame.right + 10, height + 4, words, f"name t{line_.style}"))
    return parts


def lines_of(shown: Sequence[tuple[Line, float]]) -> Sequence[tuple[Line, float]]:
    """The lines, each once."""
    return list({line_.name: (line_, y) for line_, y in shown}.values())


def apart(heights: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """The heights, moved until they are `gap` apart, in the same order; within `low` and `high` as far as that goes."""
    order = sorted(range(len(heights)), key=lambda index: heights[index])
    placed = [0.0] * len(heights)
    before = low - gap
    for index in order:
        before = placed[index] = max(heights[index], before + gap)
    after = high + gap
    for index in reversed(order):
        after = placed[index] = min(placed[index], after - gap)
    return [min(max(height, low), high) for height in placed]


def _key(frame: Frame, lines: Sequence[Line]) -> list[str]:
    rows = _key_rows([line_.name for line_ in lines], frame.width)
    by_name = {line_.name: line_ for line_ in lines}
    parts = []
    for number, row in enumerate(rows):
        x, y = 2.0, 14.0 + 20 * number
        for name in row:
            style = by_name[name].style
            words = shortened(name, frame.width - 40)
            parts.append(path(f"line l{style}", [(x, y - 4), (x + 20, y - 4)]))
            parts.append(text(x + 25, y, words, f"name t{style}"))
            x += 25 + width_of(words) + 14
    return parts


def _key_rows(words: Sequence[str], width: float) -> list[list[str]]:
    rows: list[list[str]] = []
    x = width
    for name in dict.fromkeys(words):
        wide = 39 + min(width_of(name), width - 40)
        if x + wide > width + 14:
            rows.append([])
            x = 0.0
        rows[-1].append(name)
        x += wide
    return rows


def note(x: float, y: float, words: str, *, anchor: str | None = None) -> str:
    """A remark within the figures, on a ground of paper so that lines do not run through it."""
    return element("g", text(x, y, words, "halo", anchor=anchor), text(x, y, words, "note", anchor=anchor))
