"""How figures are written, on paper and on a terminal. Pure."""

import math
from collections.abc import Callable

#: Where there is no figure.
NONE = "\N{EN DASH}"


def count(number: float) -> str:
    """A whole number with commas."""
    return f"{number:,.0f}"


def figure(value: float) -> str:
    """Three significant digits and at most two behind the point, `0.12`, `12.3`, `12,345`; more where it is tiny."""
    if not math.isfinite(value):
        return "∞" if value > 0 else "?"
    size = abs(value)
    if size >= 99.95 or value == 0:
        return f"{value:,.0f}"
    if size < 0.01:
        return f"{value:.1g}"
    return f"{value:.{min(2, 2 - math.floor(math.log10(size)))}f}"


def short(value: float) -> str:
    """The same without zeros at the end: for round figures, such as those of an axis."""
    shown = figure(value)
    return shown.rstrip("0").rstrip(".") if "." in shown and "e" not in shown else shown


def rate(value: float) -> str:
    """Events per second."""
    return f"{short(value)}/s"


def ms(value: float | None) -> str:
    """A time that is given in milliseconds, in the unit that suits it; a dash where there is none."""
    return _time(value, figure)


def short_ms(value: float | None) -> str:
    """The same without zeros at the end."""
    return _time(value, short)


def _time(value: float | None, written: Callable[[float], str]) -> str:
    if value is None or not math.isfinite(value):
        return NONE
    if value == 0:
        return "0"
    if abs(value) < 999.5:
        return f"{written(value)} ms"
    return f"{written(value / 1000)} s" if abs(value) < 120_000 else seconds(value / 1000)


def seconds(value: float) -> str:
    """A length of time: `45 s`, `10 min`, `1 h 20 min`."""
    sign, size = ("-" if value < 0 else ""), abs(value)
    if size < 120:
        return f"{sign}{short(size)} s"
    minutes, rest = divmod(round(size), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [(hours, "h"), (minutes, "min"), (rest if not hours else 0, "s")]
    return sign + " ".join(f"{number} {unit}" for number, unit in parts if number)


def share(part: float, whole: float) -> str:
    """A part in percent; never `100 %` or `0 %` where that is not the whole truth."""
    if whole <= 0:
        return NONE
    percent = 100 * part / whole
    shown = f"{percent:.2f}".rstrip("0").rstrip(".")
    if shown == "100" and part != whole:
        shown = "> 99.99" if part < whole else "> 100"
    if shown == "0" and part > 0:
        shown = "< 0.01"
    return f"{shown} %"


def plural(number: float, noun: str) -> str:
    """`1 event`, `2 events`."""
    return f"{count(number)} {noun}{'' if number == 1 else 's'}"


def required(limit: str) -> str:
    """What an objective requires, with the signs of print."""
    return limit.replace("<=", "≤").replace(">=", "≥")


def exact(value: float) -> str:
    """A share or a count with all digits that matter, because `1` is not `0.9996`."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:.5g}"


def printable(value: object) -> str:
    """Text without what moves a cursor, and without what neither HTML nor SVG allows."""
    return "".join(one if one.isprintable() or one in " \n" else "\N{REPLACEMENT CHARACTER}" for one in str(value))


def readable(name: str) -> str:
    """A name of the code as words: `review_required` as `review required`."""
    return name.replace("_", " ")
