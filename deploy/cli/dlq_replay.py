"""`vitrine dlq replay` at work: asks, sends, counts, and says what was done however it ends."""

import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import typer
from rich.table import Table
from rich.text import Text

from consumers.settings import ConsumerSettings
from consumers.tools.dead_letter_reader import Letter, Letters
from consumers.tools.dead_letter_replay import Resender, Sent
from consumers.tools.log_reader import LogReader
from consumers.tools.pace import Pace
from deploy.cli.console import err, out, print_error, print_json
from deploy.cli.dlq_view import facts
from deploy.cli.progress import progress
from deploy.errors import DeployError
from deploy.services.interrupts import deferred


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """How letters are to be sent again."""

    topic: str | None
    again: bool
    dry_run: bool
    rate: float | None
    yes: bool
    json: bool


@dataclass(slots=True)
class Tally:
    """What was done so far."""

    meant: int
    #: Left out, because they were sent again before.
    before: int
    sent: list[Sent] = field(default_factory=list)
    ended: bool = False

    @property
    def done(self) -> list[Sent]:
        """Those that stand in a topic again."""
        return [one for one in self.sent if one.to is not None]

    @property
    def problems(self) -> list[Sent]:
        """Those that could not be sent, or not be marked."""
        return [one for one in self.sent if one.problem is not None]

    @property
    def whole(self) -> bool:
        """Whether all was done that was meant."""
        return self.ended and not self.problems


def replay_letters(settings: ConsumerSettings, reader: LogReader, letters: Letters, order: Order) -> bool:
    """Send the letters again as ordered; whether all of them were."""
    meant = [letter for letter in letters.found if order.again or letter.place not in letters.replayed]
    tally = Tally(len(meant), len(letters.found) - len(meant))
    with Resender(settings, order.topic) as resender:
        if order.dry_run:
            _plan(resender, meant, tally, order)
            return all(resender.target(letter) is not None for letter in meant)
        if meant and not order.yes:
            _ask(resender, meant, tally)
        try:
            _send_all(resender, reader, meant, tally, order)
        finally:
            _report(tally, order)
    return tally.whole


def _plan(resender: Resender, meant: Sequence[Letter], tally: Tally, order: Order) -> None:
    if order.json:
        told = [{**facts(letter, None), "target": resender.target(letter)} for letter in meant]
        print_json({"dry_run": True, "would_send": told, "replayed_before": tally.before})
        return
    table = Table("position", "event", "code", "would go to", "bytes from", box=None)
    for letter in meant:
        source = Text("the original position", style="yellow") if letter.bare else Text("the letter")
        target = resender.target(letter)
        goal = Text("nowhere: it does not say where it came from", style="red") if target is None else Text(target)
        table.add_row(str(letter.place), Text(letter.event_id or "-"), Text(letter.code or "-"), goal, source)
    out.print(table)
    out.print(f"{len(meant)} letters would be sent{_left_out(tally)}; nothing was sent")


def _ask(resender: Resender, meant: Sequence[Letter], tally: Tally) -> None:
    if not sys.stdin.isatty():
        raise DeployError(f"{len(meant)} letters would be sent again; --yes says that they may, --dry-run shows them")
    goals = Counter(resender.target(letter) or "nowhere" for letter in meant)
    for goal, count in goals.most_common():
        err.print(f"{count} to {goal}")
    typer.confirm(f"Send {len(meant)} dead letters again{_left_out(tally)}?", abort=True, err=True)


def _send_all(resender: Resender, reader: LogReader, meant: Sequence[Letter], tally: Tally, order: Order) -> None:
    pace = Pace(order.rate)
    sending = resender.send(reader, meant)
    with progress("sending", tally.meant) as tell:
        while not tally.ended:
            time.sleep(pace.due_in(time.monotonic()))
            # One letter is sent, acknowledged, marked and counted, or nothing of this is done.
            with deferred():
                found = next(sending, None)
                if found is None:
                    tally.ended = True
                else:
                    tally.sent.append(found)
            pace.went(time.monotonic())
            tell(len(tally.sent), f"{len(tally.problems)} problems")


def _report(tally: Tally, order: Order) -> None:
    if order.json:
        told: list[dict[str, Any]] = [
            {"place": str(one.letter.place), "event_id": one.letter.event_id, "to": one.to, "problem": one.problem}
            for one in tally.sent
        ]
        print_json({"interrupted": not tally.ended, "replayed_before": tally.before, "letters": told})
        return
    for one in tally.problems:
        print_error(f"{one.letter.place}: {one.problem}")
    nulls = sum(one.null_headers for one in tally.sent)
    if nulls:
        err.print(f"{nulls} headers that were null went as empty ones: the Kafka client cannot send null")
    goals = Counter((one.to or "").rpartition("/")[0].rpartition("/")[0] for one in tally.done)
    where = ", ".join(f"{count} to {goal}" for goal, count in goals.most_common())
    line = f"{len(tally.done)} of {tally.meant} letters sent again" + (f" ({where})" if where else "")
    out.print(line + _left_out(tally))
    if not tally.ended:
        err.print(f"interrupted: {tally.meant - len(tally.sent)} letters were not touched; run it again to go on")


def _left_out(tally: Tally) -> str:
    return f", {tally.before} left out that were sent again before" if tally.before else ""
