"""Figures over the time of a run, with faults as bands from strike to heal. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from deploy.loadtest.report.charts.frame import Frame, Line, axes, drawn, names, note, segments
from deploy.loadtest.report.charts.scales import Label, Scale, known, linear, measured, over_time, vertical
from deploy.loadtest.report.charts.svg import Point, line, path, picture, rect, shortened, text, width_of

_LANE = 17
_LANES = 3
_LETTERS = 11

Stretches = list[list[Point]]


class Band(NamedTuple):
    """A fault from strike to heal."""

    number: int
    name: str
    start_s: float
    #: None where it was never healed.
    end_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """One chart. All charts of a run share `at_s`, `bands` and the window, so that they can lie below each other."""

    title: str
    description: str
    at_s: Sequence[float]
    lines: Sequence[Line]
    label: Label
    bands: Sequence[Band] = ()
    #: The seconds that are measured: before is warm-up, after it drain.
    window: tuple[float, float]
    #: Values lie on each other.
    stacked: bool = False
    #: The vertical axis may be logarithmic.
    may_bend: bool = False
    #: The figures count something: the axis has no fractions.
    whole: bool = False
    #: A figure that lines are held against, with its name.
    guide: tuple[float, str] | None = None
    #: Faults are named above the figures, not only numbered.
    named: bool = False
    height: float = 150


def timeline(chart: Timeline, width: float) -> str:
    """The chart, so many pixels wide."""
    lines = _piled(chart.lines) if chart.stacked else list(chart.lines)
    lanes = _lanes(chart, width)
    above = (max(lanes, default=-1) + 1) * _LANE + 4 if chart.bands else 0
    frame = Frame.of(width, chart.height, [one.name for one in lines], above=above)
    times = [*known(chart.at_s), *known(chart.window)]
    across = over_time(min(times), max(times), frame.left, frame.right, 5 if frame.narrow else 10)
    up = _upright(chart, lines, frame)
    parts = [*_outside(chart, frame, across), *_bands(chart, frame, across, lanes), *axes(frame, across, up)]
    through = [segments(chart.at_s, one, across, up) for one in lines]
    ground = up.at(0) if up.low <= 0 else frame.bottom
    if chart.stacked:
        parts += _layers(lines, through, ground)
    else:
        parts += [part for one, stretches in zip(lines, through, strict=True) for part in drawn(stretches, one, ground)]
    parts += _guide(chart, frame, up)
    if not any(through):
        parts.append(
            note((frame.left + frame.right) / 2, (frame.top + frame.bottom) / 2, "not measured", anchor="middle")
        )
    parts += names(frame, _ends(lines, through, ground if chart.stacked else None))
    return picture(width, frame.height, chart.title, chart.description, parts)


def _upright(chart: Timeline, lines: Sequence[Line], frame: Frame) -> Scale:
    values = [value for one in lines for value in known(one.values)]
    if chart.guide is not None and values and chart.guide[0] < 4 * max(values):
        values.append(chart.guide[0])
    if chart.may_bend:
        return vertical(values, frame.bottom, frame.top, chart.label)
    return linear(values, frame.bottom, frame.top, chart.label, least_step=1.0 if chart.whole else 0.0)


def _piled(lines: Sequence[Line]) -> list[Line]:
    """Each line on top of those before it; a value that was not measured counts as nothing, unless none was."""
    piled: list[Line] = []
    steps = max((len(one.values) for one in lines), default=0)
    heights = [0.0] * steps
    columns = [
        [measured(one.values[step]) if step < len(one.values) else None for one in lines] for step in range(steps)
    ]
    for index, one in enumerate(lines):
        values: list[float | None] = []
        for step, column in enumerate(columns):
            heights[step] += max(0.0, column[index] or 0.0)
            values.append(heights[step] if any(value is not None for value in column) else None)
        piled.append(replace(one, values=values, filled=True))
    return piled


def _layers(lines: Sequence[Line], through: Sequence[Stretches], ground: float) -> list[str]:
    """The surface between each line and the one below it; all of a pile have the same gaps."""
    below = [[(one[-1][0], ground), (one[0][0], ground)] for one in through[0]] if through else []
    parts = []
    for line_, stretches in zip(lines, through, strict=True):
        surfaces = [[*top, *bottom] for top, bottom in zip(stretches, below, strict=True)]
        parts += [path(f"layer a{line_.style}", *surfaces, closed=True), path(f"edge l{line_.style}", *stretches)]
        below = [list(reversed(one)) for one in stretches]
    return parts


def _ends(lines: Sequence[Line], through: Sequence[Stretches], ground: float | None) -> list[tuple[Line, float | None]]:
    """Where each line ends; with `ground`, of a pile, where the middle of each layer ends."""
    ends: list[tuple[Line, float | None]] = []
    below = ground
    for line_, stretches in zip(lines, through, strict=True):
        y = stretches[-1][-1][1] if stretches else None
        ends.append((line_, y if y is None or below is None else (y + below) / 2))
        below = y if below is not None and y is not None else below
    return ends


def _outside(chart: Timeline, frame: Frame, across: Scale) -> list[str]:
    """Warm-up and drain, which no figure counts."""
    begin, end = (across.at(one) for one in chart.window)
    parts = []
    for left, right, name in ((frame.left, begin, "warm-up"), (end, frame.right, "drain")):
        if right - left > 1:
            parts.append(rect(left, frame.top, right - left, frame.bottom - frame.top, "outside"))
            if chart.named and right - left > width_of(name, _LETTERS) + 6:
                parts.append(text((left + right) / 2, frame.top - 4, name, "small", anchor="middle"))
    return parts


def _bands(chart: Timeline, frame: Frame, across: Scale, lanes: Sequence[int]) -> list[str]:
    parts = []
    for band, lane in zip(chart.bands, lanes, strict=True):
        (left, right), top = _edges(band, across), frame.top - 4 - _LANE * lane
        parts.append(rect(left, frame.top - 2, max(1.5, right - left), frame.bottom - frame.top + 2, "band"))
        parts.append(line(left, top - 12, left, frame.bottom, "strike"))
    # Names last: no line may run through them.
    for band, lane in zip(chart.bands, lanes, strict=True):
        left, top = _edges(band, across)[0], frame.top - 4 - _LANE * lane
        words = _words(band, chart, frame.width)
        left_text = min(left + 3, max(0.0, frame.width - width_of(words, _LETTERS)))
        parts += [text(left_text, top, words, "halo"), text(left_text, top, words, "fault")]
    return parts


def _words(band: Band, chart: Timeline, width: float) -> str:
    if chart.named and _fits_names(chart, width):
        return f"{band.number} {shortened(band.name, width / 4, _LETTERS)}"
    return str(band.number)


def _edges(band: Band, across: Scale) -> Point:
    end = measured(band.end_s)
    return across.at(measured(band.start_s) or 0.0), across.end if end is None else across.at(end)


def _lanes(chart: Timeline, width: float) -> list[int]:
    """In which row above the figures each fault is named, so that names do not meet."""
    if not (chart.named and _fits_names(chart, width)):
        return [0] * len(chart.bands)
    return _placed(chart, width)


def _fits_names(chart: Timeline, width: float) -> bool:
    return width >= 500 and max(_placed(chart, width), default=0) < _LANES


def _placed(chart: Timeline, width: float) -> list[int]:
    times = [*known(chart.at_s), *known(chart.window)]
    across = over_time(min(times), max(times), 56, width - 104, 10)
    ends: list[float] = []
    lanes = []
    for band in chart.bands:
        words = f"{band.number} {shortened(band.name, width / 4, _LETTERS)}"
        wide = width_of(words, _LETTERS) + 10
        left = min(_edges(band, across)[0], width - wide)
        lane = next((index for index, end in enumerate(ends) if end <= left), len(ends))
        ends[lane : lane + 1] = [left + wide]
        lanes.append(lane)
    return lanes


def _guide(chart: Timeline, frame: Frame, up: Scale) -> list[str]:
    if chart.guide is None or not up.low <= chart.guide[0] <= up.high:
        return []
    y = up.at(chart.guide[0])
    beside = y + 14 if y - 18 < frame.top else y - 7
    return [path("guide", [(frame.left, y), (frame.right, y)]), note(frame.left + 18, beside, chart.guide[1])]
