"""What the person sees while the demo runs, and at its end."""

import io
import json

import pytest
from rich.console import Console

from deploy.demo.ledger import Ledger
from deploy.demo.live import View, plain, render
from deploy.demo.options import DemoOptions
from deploy.demo.output import OutputFolder
from deploy.demo.progress import Progress, StageTime
from deploy.demo.sheet import extra_of
from deploy.demo.summary import closing_words, summary
from deploy.demo.verify import Verification
from serve.schemas.outcome import Outcome
from tests.support.demo_run import output, planned, position, result


def progress(**fields: object) -> Progress:
    values: dict[str, object] = {
        "planned": 10,
        "sent": 9,
        "open": 4,
        "endings": {"enriched": 4, "dead letter": 1},
        "images": 32,
        "verdicts": {},
        "stages": {"generation": StageTime(32, 6400.0)},
        "reasons": {"[red]sharpness": 2},
        "elapsed_s": 16.0,
        **fields,
    }
    return Progress(**values)  # type: ignore[arg-type]


def shown(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_plain_line_has_the_figures() -> None:
    assert plain(progress()) == (
        "9/10 events sent, 5 answered (1 dead letter, 4 enriched), 4 waiting, 32 images, 2.0 images/s"
    )


def test_live_view_has_the_figures_and_takes_no_markup_from_data() -> None:
    console = Console(file=io.StringIO(), width=120)
    console.print(render("working", {"kafka": "ready"}, progress()))
    text = shown(console)
    for part in (
        "kafka ready",
        "9/10 sent",
        "5 answered",
        "4 waiting",
        "2.0 images/s",
        "generation",
        "200",
        "[red]sharpness",
    ):
        assert part in text


def test_without_a_terminal_lines_are_printed() -> None:
    console = Console(file=io.StringIO(), width=200)
    with View(console) as view:
        view.service("kafka", "not stopped: see [b]/log")
        view.update(progress())
        view.update(progress(open=3))
    assert shown(console).splitlines() == ["kafka: not stopped: see [b]/log", plain(progress())], (
        "at most a line every few seconds"
    )


def test_quiet_view_prints_nothing() -> None:
    console = Console(file=io.StringIO())
    with View(console, quiet=True) as view:
        view.service("kafka", "ready")
        view.update(progress())
    assert shown(console) == ""


@pytest.mark.parametrize("complete", [True, False])
def test_summary_is_ok_only_if_nothing_is_open_and_everything_matches(complete: bool) -> None:
    ledger = Ledger()
    for offset, event in enumerate(planned(1)[:2]):
        ledger.sent(event, position(offset))
    ledger.answered(result(position(0), outputs=[output()]))
    if complete:
        ledger.answered(result(position(1), Outcome.DUPLICATE, code="duplicate_event"))
    found = Verification(verified=1)
    figures = summary(DemoOptions(limit=1), ledger, Progress.of(ledger, 2, 2.0), found, {"work": 2.0})
    assert figures["ok"] is complete
    assert len(figures["problems"]) == (0 if complete else 1)
    json.dumps(figures)
    console = Console(file=io.StringIO(), width=100)
    extras = [extra for entry in ledger.entries if (extra := extra_of(entry))]
    console.print(closing_words(figures, extras, OutputFolder(DemoOptions().out)))
    assert ("Every event is accounted for." in shown(console)) is complete


def test_a_mismatch_is_a_problem() -> None:
    figures = summary(
        DemoOptions(), Ledger(), Progress.of(Ledger(), 0, 0.0), Verification(mismatches=["k: not in the store"]), {}
    )
    assert figures["ok"] is False
    assert figures["problems"] == ["k: not in the store", "no listing got a picture"]
