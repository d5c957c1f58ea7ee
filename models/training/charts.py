"""Curves as pictures: small charts in a grid."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from models.pictures import Picture

_WIDTH, _HEIGHT = 420, 250
#: Left, top, right and bottom of the plotted field.
_FIELD = (56, 34, 404, 222)
#: Drawn so many times larger, then reduced: smooth lines.
_FINE = 2
_PAPER, _INK, _RULE = (255, 255, 255), (45, 45, 50), (226, 226, 230)
#: Okabe and Ito's colours, which most people can tell apart.
_COLOURS = ((0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167), (230, 159, 0), (86, 180, 233), (90, 90, 90))


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One line: values over steps."""

    name: str
    steps: Sequence[float]
    values: Sequence[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Lines that share their axes; `falling` ones are drawn on a logarithmic scale, and smoothed over faint ones."""

    title: str
    series: Sequence[Series]
    falling: bool = False


def draw(charts: Sequence[Chart], columns: int = 3) -> Picture:
    """All charts, row by row: uint8 [H, W, 3]."""
    columns = max(1, min(columns, len(charts)))
    rows = max(1, -(-len(charts) // columns))
    sheet = Image.new("RGB", (columns * _WIDTH, rows * _HEIGHT), _PAPER)
    for place, chart in enumerate(charts):
        sheet.paste(_drawn(chart), (place % columns * _WIDTH, place // columns * _HEIGHT))
    return np.asarray(sheet)


def _drawn(chart: Chart) -> Image.Image:
    picture = Image.new("RGB", (_WIDTH * _FINE, _HEIGHT * _FINE), _PAPER)
    pen = ImageDraw.Draw(picture)
    _write(pen, (_FIELD[0], 8), chart.title, 15)
    series = [one for one in chart.series if len(one.values)]
    if series:
        scale = _Scale.of(chart, series)
        _rules(pen, scale)
        for number, one in enumerate(series):
            _line(pen, scale, one, _COLOURS[number % len(_COLOURS)], smooth=chart.falling)
        _legend(pen, chart, series)
    return picture.resize((_WIDTH, _HEIGHT), Image.Resampling.LANCZOS)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scale:
    """From steps and values to places in the picture."""

    steps: tuple[float, float]
    values: tuple[float, float]
    logarithmic: bool

    @classmethod
    def of(cls, chart: Chart, series: Sequence[Series]) -> "_Scale":
        steps = np.concatenate([np.asarray(one.steps, float) for one in series])
        values = np.concatenate([np.asarray(one.values, float) for one in series])
        logarithmic = chart.falling and bool((values > 0).all())
        # A few wild values must not flatten the rest.
        low, high = (float(v) for v in np.quantile(values, (0.01, 0.99) if chart.falling else (0, 1)))
        room = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
        bounds = (low / 1.05, high * 1.05) if logarithmic else (low - room, high + room)
        first = 0.0 if steps.min() < 0.2 * steps.max() else float(steps.min())
        return cls(steps=(first, max(float(steps.max()), first + 1)), values=bounds, logarithmic=logarithmic)

    def place(self, steps: Sequence[float], values: NDArray[np.float64]) -> list[tuple[float, float]]:
        left, top, right, bottom = _FIELD
        across = (np.asarray(steps, float) - self.steps[0]) / (self.steps[1] - self.steps[0])
        low, high = np.log(self.values) if self.logarithmic else self.values
        up = ((np.log(values) if self.logarithmic else values) - low) / (high - low)
        x, y = left + across * (right - left), bottom - np.clip(up, 0, 1) * (bottom - top)
        return [(float(a) * _FINE, float(b) * _FINE) for a, b in zip(x, y, strict=True)]


def _rules(pen: ImageDraw.ImageDraw, scale: _Scale) -> None:
    left, _, right, bottom = _FIELD
    for value in ticks(*scale.values, logarithmic=scale.logarithmic):
        ((_, y),) = scale.place([scale.steps[0]], np.array([value]))
        pen.line((left * _FINE, y, right * _FINE, y), _RULE, _FINE)
        _write(pen, (left - 6, y / _FINE), f"{value:.4g}", 11, anchor="rm")
    for step in ticks(*scale.steps, count=4):
        ((x, _),) = scale.place([step], np.array([scale.values[0]]))
        _write(pen, (x / _FINE, bottom + 6), f"{step:,.0f}", 11, anchor="ma")


def ticks(low: float, high: float, *, count: int = 7, logarithmic: bool = False) -> list[float]:
    """Round numbers between two bounds, about `count` of them."""
    if logarithmic and high / low > 3:
        decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
        marks = [factor * 10.0**decade for decade in decades for factor in (1, 2, 5)]
        inside = [mark for mark in marks if low <= mark <= high]
        return inside if len(inside) <= count + 3 else [mark for mark in inside if f"{mark:e}".startswith("1.0")]
    raw = (high - low) / count
    size = 10.0 ** np.floor(np.log10(raw))
    step = size * next(factor for factor in (1, 2, 5, 10) if factor * size >= raw * (1 - 1e-9))
    first, last = int(np.ceil(low / step - 1e-9)), int(np.floor(high / step + 1e-9))
    return [float(number * step) for number in range(first, last + 1)]


def _line(pen: ImageDraw.ImageDraw, scale: _Scale, one: Series, colour: tuple[int, ...], *, smooth: bool) -> None:
    values = np.asarray(one.values, float)
    if smooth and len(values) > 20:
        faint = tuple(255 - (255 - part) // 4 for part in colour)
        pen.line(scale.place(one.steps, values), faint, _FINE)
        values = smoothed(values, len(values) // 20)
    places = scale.place(one.steps, values)
    pen.line(places, colour, 2 * _FINE, joint="curve")
    x, y = places[-1]
    pen.ellipse((x - 3 * _FINE, y - 3 * _FINE, x + 3 * _FINE, y + 3 * _FINE), colour)


def smoothed(values: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """The mean of the `width` last values at each place, of fewer at the start: [N]."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - max(1, width), 0)
    return np.asarray((sums[ends] - sums[starts]) / (ends - starts))


def _legend(pen: ImageDraw.ImageDraw, chart: Chart, series: Sequence[Series]) -> None:
    """The last value of a single line at the right; the names of several in a column."""
    right, top = _FIELD[2], _FIELD[1]
    if len(series) == 1:
        _write(
            pen,
            (right, 9),
            f"{np.mean(series[0].values[-5:] if chart.falling else series[0].values[-1]):.4g}",
            14,
            anchor="ra",
        )
        return
    for number, one in enumerate(series):
        text = f"{one.name}  {one.values[-1]:.4g}"
        place = (right - 4, top + 4 + 14 * number)
        _write(pen, place, text, 11, anchor="ra", colour=_COLOURS[number % len(_COLOURS)])


def _write(
    pen: ImageDraw.ImageDraw,
    place: tuple[float, float],
    text: str,
    size: int,
    *,
    anchor: str = "la",
    colour: tuple[int, ...] = _INK,
) -> None:
    pen.text((place[0] * _FINE, place[1] * _FINE), text, colour, _font(size * _FINE), anchor=anchor)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
