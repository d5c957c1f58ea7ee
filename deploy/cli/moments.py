"""Times as people type them."""

import re
from datetime import UTC, datetime, timedelta

import typer

_AGO = re.compile(r"(\d{1,9})([smhd])")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

HOW = (
    "a time (2026-01-31T12:00, with Z or an offset; without one it is local), `now`, or how long ago (90s, 15m, 2h, 3d)"
)


def moment_ms(text: str) -> int:
    """Milliseconds since 1970; `typer.BadParameter` where it is no time."""
    now = datetime.now(UTC)
    if text == "now":
        return _ms(now)
    try:
        ago = _AGO.fullmatch(text)
        if ago is not None:
            return _ms(now - timedelta(seconds=int(ago[1]) * _UNITS[ago[2]]))
        if not text.isdecimal():
            return _ms(datetime.fromisoformat(text).astimezone(UTC))
    except (ValueError, OverflowError):
        pass
    raise typer.BadParameter(f"{text!r} is no time; {HOW} is")


def shown(time_ms: int) -> str:
    """The time as people read it, UTC, to the second."""
    try:
        return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return str(time_ms)


def age(seconds: float) -> str:
    """A time span in two figures at most: `42 s`, `7 m`, `3 h`, `2 d`."""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"


def _ms(time: datetime) -> int:
    since = time.timestamp() * 1000
    if since < 0:
        raise ValueError("before 1970")
    return int(since)
