"""What became of every event of a run, one after the other. Pure."""

from collections.abc import Iterator

from deploy.loadtest.ledger.records import NS, Records
from deploy.loadtest.ledger.row import LedgerRow
from deploy.loadtest.measuring.observations import Answer, Letter


def rows(records: Records) -> Iterator[LedgerRow]:
    """The account of all events, then the answers to nothing that was sent."""
    for number in range(1, records.planned + 1):
        yield _row(records, number)
    for came in records.ledger.strangers:
        yield _stranger(records, came)


def _row(records: Records, number: int) -> LedgerRow:
    roster, ledger = records.ledger.roster, records.ledger
    ending, visible = ledger.ending(number), int(records.visible_ns[number])
    told = (
        ("warm-up", records.due_ns[number] < records.warmup_s * NS),
        ("twice", ledger.twice(number)),
        ("unexpected", ledger.fates.ended(number) and not ledger.expected(number)),
        ("hidden", ledger.fates.hidden(number)),
    )
    return LedgerRow(
        number=number,
        event_id=roster.event_id(number),
        kind=roster.kind(number),
        listing=roster.listing(number) or "",
        revision=roster.revision(number),
        at_s=float(records.due_ns[number]) / NS - records.warmup_s,
        ending=ending,
        latency_ms=(visible - records.intended_ns(number)) / 1e6 if visible else None,
        place=str(roster.place(number)) if roster.placed(number) else "",
        flags=" ".join(name for name, is_so in told if is_so),
    )


def _stranger(records: Records, came: Answer | Letter) -> LedgerRow:
    told = (came.event_id, came.listing, came.revision) if isinstance(came, Answer) else (came.dead_id, "", 0)
    return LedgerRow(
        number=-1,
        event_id=told[0],
        kind="",
        listing=told[1],
        revision=told[2],
        at_s=(came.at_ns - records.go_ns) / NS - records.warmup_s,
        ending="unknown",
        latency_ms=None,
        place=str(came.place),
        flags="",
    )
