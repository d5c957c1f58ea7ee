"""The run in a word and in a sentence, the same on the page and on the terminal. Pure."""

from deploy.loadtest.document import Drain, LedgerCounts, Objective, RunDocument
from deploy.loadtest.report.words import count, exact, ms, plural, rate, readable, required, seconds

#: Endings that the sum of the ledger has, in the order in which they are shown.
ENDINGS = (
    *("enriched", "review_required", "rejected", "failed", "stale", "duplicate", "superseded", "removed"),
    *("dead", "missing"),
)

_DISORDER = {"order": "out of order", "overwritten": "overwritten by an older revision"}


def slo_word(document: RunDocument) -> str:
    """`SLO met`, `SLO missed` or `no SLO`."""
    if not document.slo.objectives:
        return "no SLO given"
    return "SLO met" if document.slo.met else "SLO missed"


def headline(document: RunDocument) -> str:
    """One sentence that one may repeat."""
    if not document.valid:
        return "This run does not count: no figure below may be quoted."
    if document.slo.objectives and not document.slo.met:
        return _missed([one for one in document.slo.objectives if one.met is not True])
    if document.drain is not None:
        return f"{drained(document.drain)}: {_account(document)}."
    return f"{_load(document)}: {_latency(document)}, {_account(document)}."


def drained(drain: Drain) -> str:
    """How fast a backlog was worked off; how long its events had waited before is not the system's doing."""
    return f"{plural(drain.events, 'event')} drained in {seconds(drain.seconds)}, {rate(drain.rate)}"


def _load(document: RunDocument) -> str:
    return f"{rate(document.delivered)} for {seconds(document.duration_s)}"


def _latency(document: RunDocument) -> str:
    for name, value in (("p99", document.latency_ms.p99), ("p50", document.latency_ms.p50)):
        if value is not None:
            return f"{name} {ms(value)}"
    return "too few samples for a percentile"


def _account(document: RunDocument) -> str:
    ledger = document.ledger
    bad = [
        f"{count(number)} {name}"
        for number, name in (
            (ledger.missing, "missing"),
            (ledger.visible_twice, "answered twice"),
            (ledger.unexpected, "ended unexpectedly"),
            (ledger.unknown, "answers to nothing that was sent"),
        )
        if number
    ]
    # The others are in the counts.
    bad += [f"{count(one.count)} {_DISORDER[one.reason]}" for one in document.broken if one.reason in _DISORDER]
    if bad:
        return " and ".join(bad)
    return "nothing lost, nothing doubled" if ledger.sent else "nothing was sent"


def _missed(objectives: list[Objective]) -> str:
    first = objectives[0]
    if first.measured is None:
        measured = "lies beyond what was measured" if first.met is False else "could not be judged"
    else:
        measured = f"is {figure_of(first.name, first.measured)}"
    more = f"; {plural(len(objectives) - 1, 'more objective')} not met" if len(objectives) > 1 else ""
    name = objective_name(first.name)
    return f"{name[:1].upper()}{name[1:]} {measured}, required is {required(first.required)}{more}."


def objective_name(name: str) -> str:
    """`latency_ms.p999` as `latency p99.9`."""
    return readable(name.replace("latency_ms.", "latency ").replace("p999", "p99.9"))


def summed(ledger: LedgerCounts) -> list[tuple[str, int]]:
    """Endings and how many events have each; those that nobody has are left out, but `dead` and `missing` are told."""
    counts = [(name, int(getattr(ledger, name))) for name in ENDINGS]
    return [(name, number) for name, number in counts if number or name in {"dead", "missing"}]


def adds_up(ledger: LedgerCounts) -> int:
    """Events that the sum lacks; 0 where the ledger adds up."""
    return ledger.sent - sum(number for _, number in summed(ledger))


def figure_of(objective: str, measured: float) -> str:
    """What was measured for an objective of this name, in its unit."""
    return ms(measured) if objective.startswith("latency_ms") else exact(measured)
