"""What a load test says on a terminal and in a log: the figures of the moment, and the end in 80 columns."""

import io
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console, RenderableType

from deploy.loadtest.chaos.view import ChaosView
from deploy.loadtest.chaos.view import Moment as ChaosMoment
from deploy.loadtest.document import ErrorFigure
from deploy.loadtest.faults.conductor import Mark, Phase
from deploy.loadtest.measuring.moment import Moment
from deploy.loadtest.report import screen
from deploy.loadtest.report.summary import search_summary, summary
from deploy.loadtest.report.terminal import RunView, line, sparkline
from tests.support.loadtest_documents import CHAOS, INVALID, MISSED, SOAK, STORIES, TINY, document, search, small


def shown(what: RenderableType, width: int = 80) -> str:
    file = io.StringIO()
    Console(file=file, width=width).print(what)
    return file.getvalue()


def moment(**more: object) -> Moment:
    given = {
        "phase": "measured",
        "elapsed_s": 300.0,
        "planned_s": 610.0,
        "planned": 213_500,
        "sent": 105_000,
        "unsent": 0,
        "answered": 104_870,
        "offered": 350.0,
        "delivered": 348.0,
        "p50_ms": 118.0,
        "p99_ms": 412.0,
        "lag_p99_ms": 0.9,
        **more,
    }
    return Moment(**given)  # type: ignore[arg-type]


STRIKE = Mark(at_s=98.8, took_s=0.2, fault="kill_broker", phase=Phase.STRIKE, what="broker 1", answered=340)


def terminal(height: int = 40) -> Console:
    return Console(file=io.StringIO(), width=80, height=height, force_terminal=True, force_interactive=False)


def picture(view: RunView) -> str:
    return shown(view.render())


def test_services_are_shown_while_they_start() -> None:
    view = RunView(terminal())
    view.service("kafka", "ready")
    view.service("serve", "starting")
    text = picture(view)
    assert "starting" in text.splitlines()[0]
    assert "kafka ready" in text
    view.update(moment(phase="warm-up"))
    assert "kafka ready" not in picture(view)
    assert "warm-up" in picture(view).splitlines()[0]


def test_the_picture_has_the_figures_of_the_moment() -> None:
    view = RunView(terminal())
    samples = {"lag_events": 32.0, "lag_age_s": 0.31, "replicas": 2.0, "cpu.serve": 1.71, "cpu.kafka": 0.5}
    view.update(
        moment(
            endings={"enriched": 12_003, "dead": 12}, samples=samples, fault="slow_store", healed=2, faults=8, unsent=3
        )
    )
    view.mark(STRIKE)
    text = picture(view)
    for words in (
        *("104,870 of 213,500 answered", "5 min 10 s left", "350/s", "348/s", "130", "118 ms", "412 ms", "0.90 ms"),
        *("3 unsent", "queue 32, oldest 0.3 s", "replicas 2", "serve 1.71", "fault 3 of 8 is on: slow_store"),
        *("kill_broker: broker 1", "12,003"),
    ):
        assert words in text.replace("\N{NO-BREAK SPACE}", " ")


def test_after_the_schedule_it_tells_what_is_waited_for() -> None:
    view = RunView(terminal())
    view.update(moment(phase="drain", elapsed_s=640.0, sent=213_500, answered=213_493))
    assert "7 events to wait for" in picture(view)


def test_the_curves_have_a_figure_a_second() -> None:
    view = RunView(terminal())
    for step in range(40):
        view.update(moment(elapsed_s=step / 4, delivered=float(step)))
    [drawn] = [one for one in picture(view).splitlines() if "delivered " in one and "▁" in one]
    assert len(re.findall("[▁-█]", drawn)) == 10
    assert drawn.rstrip("│ ").endswith("█")


@given(
    st.text(max_size=300),
    st.dictionaries(st.text(max_size=30), st.integers(0, 10**9), max_size=12),
    st.dictionaries(st.text(max_size=30).map("cpu.{}".format), st.floats(0, 100), max_size=6),
    st.none() | st.floats(0, 1e8),
)
def test_no_line_is_wider_than_the_terminal(
    words: str, endings: dict[str, int], samples: dict[str, float], ms: float | None
) -> None:
    view = RunView(terminal())
    view.service(words, words)
    assert all(cell_len(one) <= 80 for one in picture(view).splitlines())
    view.update(moment(phase=words, endings=endings, samples=samples, fault=words, faults=3, p99_ms=ms))
    view.say(words)
    text = picture(view)
    assert all(cell_len(one) <= 80 for one in text.splitlines())
    assert "\x1b" not in text


def test_on_a_terminal_there_is_one_picture_and_in_a_log_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(screen.time, "monotonic", lambda: now[0])
    file = io.StringIO()
    with RunView(Console(file=file, width=200)) as view:
        view.service("kafka", "ready")
        for step in range(12):
            now[0] = 100.0 + step
            view.update(moment(elapsed_s=float(step)))
        view.mark(STRIKE)
        view.say("[bold]not markup[/bold]")
    lines = file.getvalue().splitlines()
    assert lines[0] == "kafka: ready"
    assert [one.split("/")[0].strip() for one in lines[1:4]] == ["0", "5", "10"]
    assert lines[4:] == [screen.mark_line(STRIKE), "[bold]not markup[/bold]"]
    console = terminal()
    with RunView(console) as view:
        view.update(moment())
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().count("╭") >= 1


def test_the_line_of_a_log_says_it_all() -> None:
    assert line(moment(fault="slow_store", healed=2, faults=8, unsent=1)) == (
        "  300/610 s measured, 350/s offered, 348/s delivered, 130 in flight, p50 118 ms, p99 412 ms, "
        "generator lag p99 0.90 ms, 1 unsent, fault 2/8: slow_store"
    )


def test_the_chaos_run_shows_its_figures_in_the_same_way(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(screen.time, "monotonic", lambda: now[0])
    figures = ChaosMoment(planned=100, sent=50, answered=40, elapsed_s=10.0, faults=3, healed=1, now_on="cut_store")
    file = io.StringIO()
    with ChaosView(Console(file=file, width=200)) as view:
        for _ in range(3):
            view.update(figures)
            now[0] += 3
        view.mark(STRIKE)
    assert file.getvalue().count("40/100 answered") == 2
    assert "kill_broker" in file.getvalue()
    assert "fault 1/3: cut_store" in shown(view.render(), 120)


@pytest.mark.parametrize(
    ("values", "blocks"),
    [([], ""), ([0.0, 0.0], "▁▁"), ([0.0, 3.5, 7.0], "▁▅█"), ([None, 7.0], " █"), ([None], " ")],
)
def test_a_sparkline_goes_from_nothing_to_the_largest(values: list[float | None], blocks: str) -> None:
    assert sparkline(values) == blocks


@pytest.mark.parametrize("name", STORIES)
def test_the_end_fits_eighty_columns_and_the_ledger_adds_up(name: str) -> None:
    one = document(small(STORIES[name]))
    text = shown(summary(one, Path("results/report.html")))
    assert all(cell_len(row) <= 80 for row in text.splitlines())
    assert text.rstrip().endswith("report: results/report.html")
    ledger = text[text.index("ledger ") : text.index("adds up")]
    *counts, sent = [int(number.replace(",", "")) for number in re.findall(r" ([\d,]+)\s*$", ledger, re.MULTILINE)]
    assert sum(counts) == sent == one.ledger.sent


def test_the_verdict_is_the_first_line() -> None:
    assert shown(summary(document(small(MISSED)))).startswith("Valid, SLO missed. Latency p99 is 2.31 s")
    assert shown(summary(document(small(CHAOS)))).startswith("Valid, SLO met. 2.5/s for 10 min")
    invalid = shown(summary(document(small(INVALID)))).splitlines()
    assert invalid[0].startswith("INVALID.")
    assert invalid[1] == f"- {INVALID.invalid[0]}"


def test_what_is_withheld_and_what_grows_is_said() -> None:
    assert shown(summary(document(TINY))).count("withheld") == 12
    grows = [row for row in shown(summary(document(small(SOAK)))).splitlines() if "MB/h" in row]
    assert [row.split()[-1] for row in grows] == ["steady", "grows"]


def test_a_name_with_markup_or_control_characters_is_text() -> None:
    odd = ErrorFigure(where="[red]", code="\x1b[2J[/bold]", count=3)
    text = shown(summary(document(TINY).model_copy(update={"errors": [odd]})))
    assert "[/bold]" in text
    assert "[red]" in text
    assert "\x1b" not in text


def test_the_end_of_a_search() -> None:
    text = shown(search_summary(search(), Path("report.html")))
    assert all(cell_len(row) <= 80 for row in text.splitlines())
    assert "497/s meet the SLO (95 %: 481/s to 508/s); latency climbs from 402/s on" in text
    none = search().model_copy(update={"capacity": None, "interval": None, "knee": None})
    assert "no rate meets the SLO" in shown(search_summary(none))
