"""Latency by percentile, from the intended time against from the real send: what a closed loop leaves out. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

from deploy.loadtest.report.charts.frame import Frame, Line, axes, drawn, names, note, thinned
from deploy.loadtest.report.charts.scales import Scale, known, measured, nines, vertical
from deploy.loadtest.report.charts.svg import Point, line, picture
from deploy.loadtest.report.words import short_ms


class Curve(NamedTuple):
    """Milliseconds by percentile, upwards."""

    name: str
    points: Sequence[tuple[float, float]]
    #: Percentile, low and high: where it lies with 95 % confidence.
    intervals: Sequence[tuple[float, float, float]] = ()


def percentile_curve(curves: Sequence[Curve], title: str, description: str, width: float, height: float = 300) -> str:
    """The chart; its horizontal axis gives each nine the same room, as HdrHistogram's plots do."""
    frame = Frame.of(width, height, [curve.name for curve in curves])
    places = [place for curve in curves for place in known(one for one, _ in curve.points) if place < 100]
    across = nines(max(places, default=99.0), frame.left, frame.right)
    values = [value for curve in curves for value in known(one for _, one in curve.points)]
    values += [value for curve in curves for _, *ends in curve.intervals for value in known(ends)]
    up = vertical(values, frame.bottom, frame.top, short_ms)
    parts = axes(frame, across, up)
    ends: list[tuple[Line, float | None]] = []
    for style, curve in enumerate(curves, 1):
        one = Line(name=curve.name, values=(), style=style)
        stretch = _points(curve, across, up)
        parts += _whiskers(curve, style, across, up) + drawn([stretch] if stretch else [], one, frame.bottom)
        ends.append((one, stretch[-1][1] if stretch else None))
    if not values:
        middle = (frame.left + frame.right) / 2
        parts.append(note(middle, (frame.top + frame.bottom) / 2, "too few samples", anchor="middle"))
    return picture(width, frame.height, title, description, [*parts, *names(frame, ends)])


def _points(curve: Curve, across: Scale, up: Scale) -> list[Point]:
    known_points = [(measured(percentile), measured(value)) for percentile, value in curve.points]
    return thinned(
        [(across.at(one), up.at(value)) for one, value in known_points if one is not None and value is not None]
    )


def _whiskers(curve: Curve, style: int, across: Scale, up: Scale) -> list[str]:
    parts = []
    for percentile, low, high in curve.intervals:
        place, bottom, top = measured(percentile), measured(low), measured(high)
        if place is None or bottom is None or top is None:
            continue
        x, y_low, y_high = across.at(place), up.at(bottom), up.at(top)
        parts.append(line(x, y_low, x, y_high, f"whisker l{style}"))
        parts += [line(x - 4, y, x + 4, y, f"whisker l{style}") for y in (y_low, y_high)]
    return parts
