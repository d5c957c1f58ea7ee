"""Whether a run may be believed at all. Pure: a sentence for every reason why not."""

from collections.abc import Iterable

import numpy as np

from deploy.loadtest.judging.columns import Columns
from deploy.loadtest.judging.percentiles import exact

#: The generator may be late by so much, or by so much of the latency that it measures.
LAG_MS = 10.0
LAG_OF_LATENCY = 0.01
#: Sends may differ from the schedule by this share.
SENDS = 0.01


def doubts(
    columns: Columns, duration_s: float, *, finished: bool, jumps: Iterable[str], reasons: Iterable[str]
) -> list[str]:
    """Why the run is INVALID; nothing where it is valid."""
    found = [*reasons, *(f"A clock jumped: {one}." for one in jumps)]
    if not finished:
        found.append("The schedule was not sent to its end.")
    if not columns.sent[columns.counts].any():
        return [*found, "Nothing was sent in the measured window."]
    return [*found, *_lag(columns), *_sends(columns, duration_s)]


def _lag(columns: Columns) -> Iterable[str]:
    inside = columns.counts
    lags = columns.lag_ms[inside & ~np.isnan(columns.lag_ms)]
    if not lags.size:
        return
    lag = exact(lags, 0.99)
    latencies = columns.latency_ms[inside & columns.answered]
    median = exact(latencies, 0.5, int((inside & ~columns.answered).sum()))
    # Where most have no answer there is no latency that would excuse the generator.
    limit = max(LAG_MS, LAG_OF_LATENCY * median) if np.isfinite(median) else LAG_MS
    # A single one among fewer than a hundred says nothing of the other ninety-nine.
    if lag > limit and np.count_nonzero(lags > limit) > 1:
        yield (
            f"The generator was late: the p99 of its lag is {lag:.1f} ms, at most {limit:.1f} ms are allowed "
            f"(the larger of {LAG_MS:g} ms and 1 % of the median latency)."
        )


def _sends(columns: Columns, duration_s: float) -> Iterable[str]:
    due = int(columns.counts.sum())
    unsent = int((columns.counts & ~columns.sent).sum())
    if unsent > SENDS * due:
        yield f"{unsent} of {due} scheduled events could not be sent ({unsent / due:.1%}, at most 1 % are allowed)."
    inside = int(((columns.sent_s >= 0) & (columns.sent_s < duration_s)).sum())
    if abs(inside - due) > SENDS * due:
        yield (
            f"{inside} events were sent in the measured window, {due} were scheduled there "
            f"({abs(inside - due) / due:.1%} off, at most 1 % are allowed)."
        )
