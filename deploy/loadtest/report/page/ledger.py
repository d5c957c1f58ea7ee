"""The reconciliation ledger: counts that visibly add up, and every single event to search in."""

from deploy.loadtest.document import LedgerCounts, RunDocument
from deploy.loadtest.report.page.elements import Table, badge, section, table, text
from deploy.loadtest.report.rows import KeptRows, packed
from deploy.loadtest.report.verdict import adds_up, summed
from deploy.loadtest.report.words import NONE, count, ms, plural, readable, share

#: Problem rows that are written out, for paper and where no script runs.
_SHOWN = 200
_EXPLAINED = {
    "enriched": "at least one image is published",
    "review_required": "a person looks at it first",
    "rejected": "the request or every image broke a rule",
    "failed": "no image could be made because of errors",
    "stale": "a newer revision was answered before",
    "duplicate": "sent as duplicates, and answered so",
    "superseded": "a newer revision waited already",
    "removed": "the listing was deleted",
    "dead": "dead letters",
    "missing": "no answer at all",
}


def ledger(document: RunDocument, kept: KeptRows, file: str) -> str:
    """The sum, what stands beside it, and the rows."""
    lead = "Every event that was sent ended in exactly one line of this sum."
    if adds_up(document.ledger):
        lead = "Every event that was sent should have ended in exactly one line of this sum."
    return section(
        "ledger",
        "Reconciliation ledger",
        lead,
        _sum(document.ledger),
        _broken(document),
        _problems(document, kept),
        _browser(kept, file),
    )


def _sum(counts: LedgerCounts) -> str:
    lines = "".join(
        f'<tr class="{"problem" if name == "missing" and number else ""}"><td class="n">{count(number)}</td>'
        f"<td>{readable(name)}</td><td>{_EXPLAINED[name]}</td><td class='n'>{share(number, counts.sent)}</td></tr>"
        for name, number in summed(counts)
    )
    lacking = adds_up(counts)
    total = sum(number for _, number in summed(counts))
    state = badge("good", "adds up") if not lacking else badge("bad", f"{count(abs(lacking))} not accounted for")
    beside = (
        (counts.unsent, "could not be sent, so are not in the sum"),
        (counts.visible_twice, "have more than one visible answer"),
        (counts.unexpected, "ended otherwise than their kind may"),
        (counts.unknown, "answers to nothing that was sent"),
        (counts.repeats_hidden, "repeats, which the reader hides"),
    )
    more = "".join(
        f'<li class="{"problem" if number and index < 4 else ""}"><b>{count(number)}</b> {words}</li>'
        for index, (number, words) in enumerate(beside)
    )
    return (
        f'<div class="sum"><table><tbody>{lines}</tbody><tfoot><tr class="total"><td class="n">{count(total)}</td>'
        f'<td>together</td><td></td><td></td></tr><tr><td class="n">{count(counts.sent)}</td><td>sent</td>'
        f"<td>{state}</td><td></td></tr></tfoot></table><div><h3>Beside the sum</h3><ul>{more}</ul></div></div>"
    )


def _broken(document: RunDocument) -> str:
    if not document.broken:
        return ""
    rows = [(f"<b>{text(one.reason)}</b>", count(one.count), text(one.example)) for one in document.broken]
    head = ("promise broken", "times", "first")
    return table(Table(head=head, rows=rows, numbers=frozenset({1}), whole=frozenset({2}), class_="cards"))


def _problems(document: RunDocument, kept: KeptRows) -> str:
    rows, counts = kept.problems, document.ledger
    if not rows:
        bad = counts.missing or counts.visible_twice or counts.unexpected or counts.unknown or document.broken
        return "" if bad else '<p class="calm">No event is missing, answered twice, or ended unexpectedly.</p>'
    shown = [
        (
            NONE if row.number < 0 else count(row.number),
            f"<code>{text(row.event_id)}</code>",
            text(readable(row.kind)),
            text(row.listing),
            f"{row.at_s:.1f} s",
            f"<b>{text(readable(row.ending))}</b>",
            ms(row.latency_ms),
            text(row.flags),
        )
        for row in rows[:_SHOWN]
    ]
    head = ("number", "event", "kind", "listing", "at", "ended as", "latency", "flags")
    content = Table(head=head, rows=shown, numbers=frozenset({0, 4, 6}), class_="cards rows")
    more = f'<p class="more">and {count(len(rows) - _SHOWN)} more, in the file</p>' if len(rows) > _SHOWN else ""
    return f"<h3>{plural(len(rows), 'event')} to look at</h3>{table(content)}{more}"


def _browser(kept: KeptRows, file: str) -> str:
    cut = ""
    if kept.left_out:
        cut = (
            f" This page has the first {count(len(kept.rows))} rows and every problem; the other "
            f"{count(kept.left_out)} are in the file only."
        )
    return f"""<h3>Every event</h3>
<p class="lead">{plural(kept.total, "row")}, also in <code>{text(file)}</code> beside this page.{cut}
<span class="without-script">Searching them here needs JavaScript.</span></p>
<div id="browser" hidden>
<div class="tools">
<label>search
<input id="find" type="search" placeholder="event id, listing, place or number" autocomplete="off"></label>
<label>ended as <select id="ending"><option value="">any way</option></select></label>
<label>flag <select id="flag"><option value="">any or none</option></select></label>
<label>order
<select id="order"><option value="">as sent</option><option value="slow">slowest first</option></select></label>
</div>
<div class="scroll"><table class="cards rows"><thead><tr><th class="n">number</th><th>event</th><th>kind</th>
<th>listing</th><th class="n">revision</th><th class="n">at</th><th>ended as</th><th class="n">latency</th>
<th>place</th><th>flags</th></tr></thead><tbody id="rows"></tbody></table></div>
<div class="pager"><button type="button" id="back">back</button><span id="state" role="status"></span>
<button type="button" id="on">next</button></div>
</div>
<script type="application/gzip" id="data">{packed(kept.rows)}</script>"""
