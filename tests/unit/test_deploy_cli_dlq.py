"""`vitrine dlq` without a broker: what is asked, counted and shown, also when it is interrupted."""

import json
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, Self

import pytest
import typer
from rich.console import Console

from consumers.tools.dead_letter_reader import Letter, Letters, Place, letter_in, shown
from consumers.tools.dead_letter_replay import Sent
from deploy.cli import dlq_replay, moments
from deploy.cli.dlq_replay import Order, replay_letters
from deploy.cli.dlq_view import by_code, cut, facts, listed, one
from deploy.errors import DeployError
from serve.schemas.result import Position
from tests.support.dead_letters import died, event

ORIGIN = Position(topic="new", partition=1, offset=5)


def letter(offset: int, **more: Any) -> Letter:
    facts: dict[str, Any] = {"place": Place(0, offset), "at_ms": 0, "origin": ORIGIN, "code": "bad", "event_id": "e"}
    return Letter(**{**facts, **more})


def order(**more: Any) -> Order:
    plain: dict[str, Any] = {"topic": None, "again": False, "dry_run": False, "rate": None, "yes": True, "json": True}
    return Order(**{**plain, **more})


class FakeResender:
    """Sends nothing; the letter at offset 3 cannot be sent, and at the one at 7 somebody presses Ctrl-C."""

    sent: list[int]

    def __init__(self, _settings: object, topic: str | None) -> None:
        self._topic = topic
        FakeResender.sent = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def target(self, found: Letter) -> str | None:
        return self._topic or (found.origin.topic if found.origin else None)

    def send(self, _reader: object, letters: Iterable[Letter]) -> Iterator[Sent]:
        for found in letters:
            offset = found.place.offset
            if offset == 7:
                os.kill(os.getpid(), signal.SIGINT)
            FakeResender.sent.append(offset)
            problem = "it is gone" if offset == 3 else None
            yield Sent(
                letter=found, to=None if problem else f"new/1/{offset}", problem=problem, null_headers=offset == 1
            )


Run = Callable[..., bool]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(dlq_replay, "Resender", FakeResender)

    def replay(letters: list[Letter], replayed: dict[Place, str] | None = None, **more: Any) -> bool:
        return replay_letters(None, None, Letters(letters, replayed or {}), order(**more))  # type: ignore[arg-type]

    return replay


def test_what_was_sent_before_is_left_out_unless_it_is_asked_for(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    before = {Place(0, 1): "new/1/9"}
    assert run([letter(1), letter(2)], before)
    told = json.loads(capsys.readouterr().out)
    assert (FakeResender.sent, told["replayed_before"]) == ([2], 1)
    assert told["letters"] == [{"place": "0/2", "event_id": "e", "to": "new/1/2", "problem": None}]
    assert run([letter(1), letter(2)], before, again=True)
    assert FakeResender.sent == [1, 2]


def test_a_problem_is_told_and_the_others_go_on(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert not run([letter(1), letter(3), letter(4)], json=False)
    told = capsys.readouterr()
    assert told.out == "2 of 3 letters sent again (2 to new)\n"
    assert "error: 0/3: it is gone" in told.err
    assert "1 headers that were null" in told.err


def test_ctrl_c_ends_after_a_whole_letter_and_says_what_was_done(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt):
        run([letter(6), letter(7), letter(8)])
    told = json.loads(capsys.readouterr().out)
    assert told["interrupted"]
    assert [line["place"] for line in told["letters"]] == ["0/6", "0/7"] == [f"0/{n}" for n in FakeResender.sent]


def test_nobody_is_asked_where_nobody_sits(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    with pytest.raises(DeployError, match="2 letters would be sent again; --yes"):
        run([letter(1), letter(2)], yes=False)
    assert FakeResender.sent == []
    assert run([], yes=False), "nothing to ask about"


@pytest.mark.parametrize("answer", [True, False])
def test_a_person_is_asked(run: Run, monkeypatch: pytest.MonkeyPatch, answer: bool) -> None:
    asked: list[str] = []

    def confirm(text: str, **_: object) -> None:
        asked.append(text)
        if not answer:
            raise typer.Abort

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr(typer, "confirm", confirm)
    if answer:
        assert run([letter(1)], yes=False)
    else:
        with pytest.raises(typer.Abort):
            run([letter(1)], yes=False)
    assert asked == ["Send 1 dead letters again?"]
    assert FakeResender.sent == ([1] if answer else [])


def test_a_dry_run_says_where_each_would_go(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert not run([letter(1), letter(2, origin=None)], dry_run=True)
    told = json.loads(capsys.readouterr().out)
    assert [line["target"] for line in told["would_send"]] == ["new", None]
    assert run([letter(1), letter(2, origin=None)], dry_run=True, topic="other", json=False)
    assert "2 letters would be sent; nothing was sent" in capsys.readouterr().out
    assert FakeResender.sent == []


def drawn(*shown_: Any) -> str:
    console = Console(width=100, record=True, file=open(os.devnull, "w"))  # noqa: SIM115, PTH123
    for one_ in shown_:
        console.print(one_)
    return console.export_text()


def test_the_list_shows_what_matters_and_the_sums() -> None:
    letters = Letters([letter_in(died(event(), offset=4)), letter(9)], {Place(0, 4): "new/1/2"})
    table = drawn(listed(letters, letters.found))
    for word in ("0/4", "acme:l1", "bad_listing", "no good", "replayed to new/1/2", "0/9", "1970-01-01 00:00:01Z"):
        assert word in table
    assert by_code(letters) == {
        "bad_listing": {"letters": 1, "replayed": 1},
        "bad": {"letters": 1, "replayed": 0},
    }
    told = facts(letters.found[0], "new/1/2")
    assert json.loads(json.dumps(told))["replayed_to"] == "new/1/2"


@pytest.mark.parametrize("bare", [True, False])
def test_one_letter_is_shown_whole(bare: bool) -> None:
    record = died(event(), bare=bare)
    page = drawn(one(shown(record), letter_in(record), None))
    assert '"why": "so"' in page
    assert ('"specversion": "1.0"' in page) is not bare
    assert ("not in the letter" in page) is bare
    assert ("header a" in page) is not bare


def test_messages_are_cut_to_one_line() -> None:
    assert cut("a\n  b") == "a b"
    assert (len(cut("x" * 1000)), cut("x" * 1000)[-1]) == (100, "…")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:01Z", 1000),
        ("1970-01-02T01:00:00+01:00", 86_400_000),
        ("2026-01-31T00:00:00+00:00", 1_769_817_600_000),
    ],
)
def test_times_are_read(text: str, expected: int) -> None:
    assert moments.moment_ms(text) == expected


def test_times_may_be_told_from_now() -> None:
    before = moments.moment_ms("now")
    hour = moments.moment_ms("1h")
    assert before <= hour + 3_600_000 <= moments.moment_ms("now")


@pytest.mark.parametrize("text", ["", "yesterday", "12", "1w", "2026-13-01", "1960-01-01T00:00:00Z", "9" * 9 + "d"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is no time"):
        moments.moment_ms(text)


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0, "0.0 s"), (9.94, "9.9 s"), (42, "42 s"), (119, "119 s"), (120, "2 m"), (7200, "2 h"), (200_000, "2 d")],
)
def test_ages_have_two_figures(seconds: float, told: str) -> None:
    assert moments.age(seconds) == told


def test_times_that_no_calendar_has_are_shown_as_numbers() -> None:
    assert moments.shown(2**62) == str(2**62)
