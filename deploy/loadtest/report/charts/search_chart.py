"""What a search found: latency, and what came through, against the rate. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from deploy.loadtest.report.charts.frame import Frame, Line, axes, drawn, names
from deploy.loadtest.report.charts.scales import Label, Scale, known, linear, measured, span, vertical
from deploy.loadtest.report.charts.svg import element, line, path, picture, rect, text, width_of
from deploy.loadtest.report.words import rate, short, short_ms

_MARK = 4.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Where the probes lie, and what came of them; lists of equal length, by rate upwards."""

    rates: Sequence[float]
    #: `met`, `missed` or anything else.
    verdicts: Sequence[str]
    capacity: float | None
    interval: tuple[float, float] | None
    knee: float | None


def latency_by_rate(found: Found, lines: Sequence[Line], width: float, height: float = 300) -> str:
    """Percentiles against the rate."""
    description = (
        f"Latency at {len(found.rates)} rates. Filled marks met the SLO, crosses missed it, rings do not count. "
        f"Capacity {_or_none(found.capacity)}, knee {_or_none(found.knee)}."
    )
    return _chart(found, lines, ("Latency against rate", description), width, height, label=short_ms, bends=True)


def delivered_by_rate(found: Found, lines: Sequence[Line], width: float, height: float = 220) -> str:
    """Delivered and goodput against the rate, beside what was offered."""
    description = "Events per second that were offered, answered, and answered well and in time, at each rate."
    words = ("What comes through against rate", description)
    return _chart(found, lines, words, width, height, label=short, bends=False)


def _or_none(value: float | None) -> str:
    return "not found" if value is None else rate(value)


def _chart(
    found: Found,
    lines: Sequence[Line],
    words: tuple[str, str],
    width: float,
    height: float,
    *,
    label: Label,
    bends: bool,
) -> str:
    frame = Frame.of(width, height, [one.name for one in lines], above=22)
    marks = known([found.capacity, found.knee, *(found.interval or ())])
    across = span([*known(found.rates), *marks], frame.left, frame.right, short, 5 if frame.narrow else 8)
    values = [value for one in lines for value in known(one.values)]
    up = (vertical if bends else linear)(values, frame.bottom, frame.top, label)
    parts = [*_capacity(found, frame, across), *axes(frame, across, up)]
    ends: list[tuple[Line, float | None]] = []
    for one in lines:
        points = [
            (across.at(x), up.at(y), verdict)
            for x, y, verdict in zip(map(measured, found.rates), map(measured, one.values), found.verdicts, strict=True)
            if x is not None and y is not None
        ]
        parts += drawn([[(x, y) for x, y, _ in points]] if points else [], one, frame.bottom)
        parts += [_mark(x, y, verdict, one.style) for x, y, verdict in points]
        ends.append((one, points[-1][1] if points else None))
    return picture(width, frame.height, *words, [*parts, *names(frame, ends)])


def _mark(x: float, y: float, verdict: str, style: int) -> str:
    if verdict == "missed":
        return path(f"cross l{style}", *(((x - _MARK, y - _MARK * s), (x + _MARK, y + _MARK * s)) for s in (1, -1)))
    kind = "full" if verdict == "met" else "ring"
    return element("circle", cx=x, cy=y, r=_MARK, class_=f"{kind} l{style}")


def _capacity(found: Found, frame: Frame, across: Scale) -> list[str]:
    parts = []
    if found.interval is not None and len(known(found.interval)) == 2:
        low, high = (across.at(one) for one in found.interval)
        parts.append(rect(low, frame.top, high - low, frame.bottom - frame.top, "interval"))
    capacity, knee = measured(found.capacity), measured(found.knee)
    if capacity is not None:
        x = across.at(capacity)
        parts.append(line(x, frame.top - 4, x, frame.bottom, "capacity"))
        parts.append(
            _over(frame, x, frame.top - 9, f"capacity {rate(capacity)}", left=knee is not None and knee > capacity)
        )
    if knee is not None:
        x = across.at(knee)
        parts.append(path("guide", [(x, frame.top - 4), (x, frame.bottom)]))
        left = capacity is None or knee <= capacity
        parts.append(_over(frame, x, frame.top - 9, f"knee {rate(knee)}", left=left))
    return parts


def _over(frame: Frame, x: float, y: float, words: str, *, left: bool) -> str:
    wide = width_of(words)
    inside = max(x - 4, wide) if left else min(x + 4, frame.width - wide)
    return text(inside, y, words, "small strong", anchor="end" if left else None)
