"""How a replay is shown, before and after."""

from dataclasses import asdict

from rich.table import Table
from rich.text import Text

from consumers.tools.replay_range import Range
from consumers.tools.replay_tally import Tally
from deploy.cli.console import err, out, print_error, print_json

_MOST_FAILURES = 20


def show_range(chosen: Range, json_: bool) -> None:
    """What a replay would read."""
    rows = [{"topic": tp.topic, "partition": tp.partition, **span._asdict()} for tp, span in chosen.spans.items()]
    if json_:
        print_json({"dry_run": True, "offsets": chosen.size, "removed": chosen.removed, "spans": rows})
        return
    table = Table("topic", "partition", "from", "to", "offsets", box=None)
    for tp, span in chosen.spans.items():
        table.add_row(tp.topic, str(tp.partition), str(span.start), str(span.end), str(span.size))
    out.print(table)
    out.print(f"{chosen.size} offsets would be replayed{_gone(chosen.removed)}")


def report(results_topic: str, chosen: Range, tally: Tally, json_: bool) -> None:
    """What a replay has done."""
    if json_:
        print_json(
            {
                "results_topic": results_topic,
                "offsets": chosen.size,
                "events": tally.read,
                "done": tally.done,
                "interrupted": tally.interrupted,
                "removed": tally.removed,
                "outcomes": dict(tally.outcomes),
                "failed": dict(tally.codes),
                "retries": dict(tally.retries),
                "images": {"all": tally.images, "reused": tally.reused, "repeated_keys": tally.repeated},
                "failures": [asdict(failure) for failure in tally.failures],
            }
        )
        return
    for failure in tally.failures[:_MOST_FAILURES]:
        place = f"{failure.topic}/{failure.partition}/{failure.offset}"
        print_error(f"{place} {failure.event_id or ''}: {failure.code}: {failure.message}")
    if tally.codes.total() > _MOST_FAILURES:
        err.print(f"and {tally.codes.total() - _MOST_FAILURES} more; --json and --dead-topic have them all")
    table = Table("ended as", "events", box=None)
    for name, count in tally.outcomes.most_common():
        table.add_row(name, str(count))
    for name, count in tally.codes.most_common():
        table.add_row(Text(name, style="red"), str(count))
    out.print(table)
    out.print(
        f"{tally.done} of {tally.read} events answered into {results_topic}{_gone(tally.removed)}; "
        f"{tally.images} images, {tally.reused} of them in the store before, {tally.repeated} keys that repeat"
    )
    if tally.interrupted:
        err.print("interrupted: what was not answered has no result; nothing else was changed")


def _gone(removed: int) -> str:
    return f", {removed} offsets are gone from their topics" if removed else ""
