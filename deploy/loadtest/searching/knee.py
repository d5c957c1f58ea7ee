"""Where latency leaves the level that it has under low load."""

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter

from deploy.loadtest.searching.probes import ProbeResult

#: The level is left where a percentile is so many times that of the lowest rate.
LEAVES = 2.0
#: The lowest rate must be so far below the knee, or its latency is no low-load level.
_LOW_LOAD = 0.5
_FEWEST = 3
_TAILS: Sequence[Callable[[ProbeResult], float | None]] = (attrgetter("p99_ms"), attrgetter("p90_ms"))


def knee(probes: Iterable[ProbeResult]) -> float | None:
    """The rate, in events per second, from which on p99 is above twice its value at the lowest rate probed.

    Between the last probe below and the first one above, their geometric mean. p90 or p50 stand for p99 where a probe
    has too few samples. None where it cannot be told: fewer than three probes, none above, or the lowest of them no
    lower than half of the knee.
    """
    ordered = sorted(probes, key=lambda one: one.rate)
    if len(ordered) < _FEWEST:
        return None
    left = _above(ordered)
    # The last one after which nothing is at the level any more: one slow probe below others is noise.
    first = next((at for at in range(len(ordered)) if all(left[at:])), None)
    if not first:
        return None
    found = (ordered[first - 1].rate * ordered[first].rate) ** 0.5
    return found if ordered[0].rate <= _LOW_LOAD * found else None


def _above(ordered: Sequence[ProbeResult]) -> list[bool]:
    """Whether each is above the level. Saturated ones are, also where so much is unanswered that there is no figure."""
    kept_up = [one for one in ordered if not one.saturated]
    known = (tail for tail in _TAILS if kept_up and all(tail(one) is not None for one in kept_up))
    figure_of = next(known, attrgetter("p50_ms"))
    figures = [figure_of(one) for one in ordered]
    base = figures[0]
    if base is None:
        return [False] * len(ordered)
    pairs = zip(ordered, figures, strict=True)
    return [one.saturated or (figure is not None and figure > LEAVES * base) for one, figure in pairs]
