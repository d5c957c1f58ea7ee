"""`vitrine loadtest` as programs meet it: exit codes, JSON, and that nothing is started with a wrong input."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import deploy.cli
from deploy.cli import loadtest as command
from deploy.cli import loadtest_compare, loadtest_search
from deploy.cli.loadtest_compare import table
from deploy.errors import ServiceFailed
from deploy.loadtest.attempt import INTERRUPTED
from deploy.loadtest.document import (
    LedgerCounts,
    Objective,
    Percentiles,
    RunDocument,
    SearchDocument,
    Series,
    SloVerdict,
)
from deploy.loadtest.inputs import Inputs
from deploy.loadtest.judging.comparison import Comparison, Line
from deploy.loadtest.options import DriverKind, Mode, RunOptions
from deploy.loadtest.output import OutputFolder
from deploy.services.stack import KafkaKind, StoreKind
from deploy.settings import DeploySettings

Run = Callable[[RunOptions, Inputs, Console], RunDocument]


def document(*, invalid: tuple[str, ...] = (), met: bool = True, rate: float = 100.0, did: float = 0.0) -> RunDocument:
    delivered = did or rate
    return RunDocument(
        valid=not invalid,
        invalid=list(invalid),
        slo=SloVerdict(
            met=met, objectives=[Objective(name="latency_ms.p99", measured=812.0, required="<= 500 ms", met=met)]
        ),
        offered=rate,
        delivered=delivered,
        goodput=delivered,
        within_ms=500.0,
        latency_ms=Percentiles(p50=20.0, p99=812.0, n=1000, withheld={"p999": "too few"}),
        service_ms=Percentiles(),
        ledger=LedgerCounts(sent=1000, rejected=990, dead=10),
        generator_lag_ms=Percentiles(p99=1.0, n=1000),
        series=Series(
            step_s=1.0,
            at_s=[float(step) for step in range(8)],
            offered=[rate] * 8,
            delivered=[delivered] * 8,
            goodput=[delivered] * 8,
            p50_ms=[None] * 8,
            p99_ms=[None] * 8,
        ),
        harness_cores=0.4,
        seed=1,
        schedule_sha256="0" * 64,
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        duration_s=8.0,
        revision="abc",
        environment={"cpus": 2},
        config={},
    )


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[RunOptions]:
    """The options of all runs; every one is fine."""
    return carried_out(monkeypatch, lambda options, inputs, console: document())


def carried_out(monkeypatch: pytest.MonkeyPatch, run: Run) -> list[RunOptions]:
    seen: list[RunOptions] = []

    def carry_out(options: RunOptions, inputs: Inputs, console: Console) -> RunDocument:
        seen.append(options)
        return run(options, inputs, console)

    @contextmanager
    def probing(options: RunOptions, inputs: Inputs, console: Console) -> Iterator[Callable[[float], RunDocument]]:
        yield lambda rate: carry_out(options.__class__(**{**fields(options), "rate": rate}), inputs, console)

    monkeypatch.setattr(command, "carry_out", carry_out)
    monkeypatch.setattr(loadtest_search, "probing", probing)
    return seen


def fields(options: RunOptions) -> dict[str, Any]:
    return {name: getattr(options, name) for name in options.__dataclass_fields__}


def typed(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """The exit code of `vitrine loadtest` as the console script runs it."""
    monkeypatch.setattr(sys, "argv", ["vitrine", "loadtest", *map(str, arguments)])
    monkeypatch.setattr(deploy.cli.signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit) as ended:
        deploy.cli.main()
    code = ended.value.code
    assert isinstance(code, int)
    return code


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (document(), 0),
        (document(met=False), 1),
        (document(invalid=("generator lag",)), 2),
        (document(invalid=("generator lag",), met=False), 2),
        (document(invalid=(f"{INTERRUPTED} after 3 s", "sends differ"), met=False), 130),
    ],
)
def test_the_exit_code_is_the_verdict(
    outcome: RunDocument, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    carried_out(monkeypatch, lambda *_: outcome)
    assert typed(monkeypatch, "run", "--rate", 5, "--out", tmp_path / "o", "--json") == code
    told = capsys.readouterr()
    assert RunDocument.model_validate(json.loads(told.out)) == outcome
    assert all(f"error: INVALID: {reason}" in told.err for reason in outcome.invalid)


@pytest.mark.parametrize("broken", [ServiceFailed("no [broker]"), RuntimeError("boom")])
def test_a_run_that_breaks_says_nothing_of_the_system(
    broken: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    def carry_out(options: RunOptions, inputs: Inputs, console: Console) -> RunDocument:
        raise broken

    carried_out(monkeypatch, carry_out)
    assert typed(monkeypatch, "run", "--rate", 5, "--out", tmp_path / "o", "--json") == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert str(broken) in told.err


def test_inputs_may_be_pipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Inputs] = []

    def carry_out(options: RunOptions, inputs: Inputs, console: Console) -> RunDocument:
        seen.append(inputs)
        return document()

    carried_out(monkeypatch, carry_out)
    reading, writing = os.pipe()
    os.write(writing, b"goodput: {within_ms: 1234, at_least: 0.5}")
    os.close(writing)
    try:
        assert typed(monkeypatch, "run", "--rate", 5, "--slo", f"/dev/fd/{reading}", "--out", tmp_path / "o") == 0
    finally:
        os.close(reading)
    (inputs,) = seen
    assert inputs.slo.within_ms == 1234


def test_what_the_system_does_not_have_is_usage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    mix = tmp_path / "mix.yaml"
    mix.write_text("{new_listings: 1, first: {photos: 1}, recipes: {no-such-recipe: 1}}")
    earlier = OutputFolder(tmp_path / "o")
    earlier.clear()
    earlier.document.write_text("{}")
    assert typed(monkeypatch, "run", "--rate", 5, "--mix", mix, "--out", tmp_path / "o") == 3
    assert "no-such-recipe" in capsys.readouterr().err
    # The report of the run before is still there.
    assert earlier.document.read_text() == "{}"


def test_the_schedule_of_a_run_may_be_repeated_into_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = OutputFolder(tmp_path / "o")
    seen: list[list[float]] = []

    def carry_out(options: RunOptions, inputs: Inputs, console: Console) -> RunDocument:
        out.clear()
        seen.append(inputs.arrivals.times(options.rate, options.duration_s, options.seed).tolist())
        return document()

    carried_out(monkeypatch, carry_out)
    out.clear()
    (out.path / "trace.csv").write_text("0\n0.5\n2\n")
    assert (
        typed(monkeypatch, "run", "--rate", 5, "--arrivals", f"trace:{out.path / 'trace.csv'}", "--out", out.path) == 0
    )
    assert seen == [[0.0, 0.5, 2.0]]


def test_ctrl_c_is_130(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def carry_out(options: RunOptions, inputs: Inputs, console: Console) -> RunDocument:
        raise KeyboardInterrupt

    carried_out(monkeypatch, carry_out)
    assert typed(monkeypatch, "run", "--rate", 5, "--out", tmp_path / "o") == 130


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["bogus"],
        ["--bogus"],
        ["run"],
        ["run", "--rate", "x"],
        ["run", "--rate", "0"],
        ["run", "--rate", "-3"],
        ["run", "--rate", "nan"],
        ["run", "--rate", "inf"],
        ["run", "--rate", "5", "--duration", "0"],
        ["run", "--rate", "5", "--warmup", "-1"],
        ["run", "--rate", "5", "--drain", "nan"],
        ["run", "--rate", "5", "--driver", "smoke"],
        ["run", "--rate", "5", "--brokers", "2"],
        ["run", "--rate", "5", "--seed", "-1"],
        ["run", "--rate", "5", "--namespace", "a b"],
        ["run", "--rate", "5", "--arrivals", "sometimes"],
        ["run", "--rate", "5", "--photos", "NOWHERE"],
        ["run", "--rate", "5", "--driver", "http", "--bootstrap", "b:1"],
        ["run", "--rate", "5", "--driver", "http", "--mode", "backlog"],
        ["run", "--rate", "5", "--driver", "inprocess", "--serve-url", "http://h:1"],
        ["run", "--rate", "5", "--driver", "http", "--serve-url", "h:1"],
        ["run", "--rate", "5", "--serve-url", "http://h:1"],
        ["run", "--rate", "5", "--bootstrap", "b:1", "--mode", "backlog"],
        ["run", "--rate", "5", "--bootstrap", "b:1", "--chaos", "CHAOS"],
        ["run", "--rate", "5", "--kafka", "none"],
        ["run", "--rate", "5", "--store", "none"],
        ["run", "--rate", "5", "--mix", "NOWHERE"],
        ["run", "--rate", "5", "--mix", "BAD"],
        ["run", "--rate", "5", "--slo", "BAD"],
        ["run", "--rate", "5", "--slo", "LIST"],
        ["run", "--rate", "5", "--chaos", "BAD"],
        ["run", "--rate", "5", "--chaos", "BINARY"],
        ["run", "--rate", "5", "--out", "FOREIGN"],
        ["run", "--rate", "5", "--out", "BAD"],
        ["search", "--low", "10"],
        ["search", "--low", "10", "--high", "5"],
        ["search", "--low", "0", "--high", "5"],
        ["search", "--low", "1", "--high", "inf"],
        ["search", "--low", "1", "--high", "5", "--probes", "0"],
        ["compare", "NOWHERE", "NOWHERE"],
        ["compare", "BAD", "BAD"],
    ],
)
def test_what_is_wrong_is_told_before_anything_starts(
    arguments: list[str], tmp_path: Path, ran: list[RunOptions], monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "BAD").write_text("a: [b\n")
    (tmp_path / "LIST").write_text("- 1\n")
    (tmp_path / "BINARY").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "FOREIGN").mkdir()
    (tmp_path / "FOREIGN" / "thesis.txt").write_text("years of work")
    assert typed(monkeypatch, *arguments) == 3
    assert ran == []
    told = capsys.readouterr()
    # Without any argument there is the help page, on stdout.
    assert told.err.strip() or not arguments
    assert "Traceback" not in told.err
    assert not (tmp_path / "out").exists()


def test_a_wrong_setting_is_usage_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    def carry_out(options: RunOptions, inputs: Inputs, console: Console) -> RunDocument:
        DeploySettings()
        return document()

    carried_out(monkeypatch, carry_out)
    monkeypatch.setenv("VITRINE_DEPLOY_PARTITIONS", "abc")
    assert typed(monkeypatch, "run", "--rate", 5, "--out", tmp_path / "o") == 3
    assert "VITRINE_DEPLOY_PARTITIONS" in capsys.readouterr().err


def test_a_folder_of_a_load_test_may_be_used_again(
    tmp_path: Path, ran: list[RunOptions], monkeypatch: pytest.MonkeyPatch
) -> None:
    OutputFolder(tmp_path / "o").clear()
    (tmp_path / "o" / "run.json").write_text("{}")
    assert typed(monkeypatch, "run", "--rate", 5, "--out", tmp_path / "o") == 0
    assert len(ran) == 1


def test_all_options_arrive(tmp_path: Path, ran: list[RunOptions], monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "o"
    line = f"run --driver kafka --rate 7.5 --duration 30 --seed 9 --kafka real --store real --out {out} --mode soak"
    line += " --arrivals constant --warmup 3 --drain 60 --namespace n1 --generators 2 --consumers 3 --brokers 3"
    line += f" --bootstrap b:1 --serve-url http://h:1 --photos {tmp_path}"
    assert typed(monkeypatch, *line.split()) == 0
    assert ran == [
        RunOptions(
            driver=DriverKind.KAFKA,
            rate=7.5,
            duration_s=30.0,
            seed=9,
            out=out,
            mode=Mode.SOAK,
            arrivals="constant",
            warmup_s=3.0,
            drain_s=60.0,
            namespace="n1",
            generators=2,
            consumers=3,
            kafka=KafkaKind.REAL,
            brokers=3,
            store=StoreKind.REAL,
            bootstrap="b:1",
            serve_url="http://h:1",
            photos=tmp_path,
        )
    ]


def limited(capacity: float) -> Run:
    return lambda options, inputs, console: document(
        met=options.rate <= capacity, rate=options.rate, did=min(options.rate, capacity)
    )


def test_a_search_finds_the_capacity_and_writes_it_down(tmp_path: Path, monkeypatch, capsys) -> None:
    ran = carried_out(monkeypatch, limited(90.0))
    assert typed(monkeypatch, "search", "--low", 10, "--high", 1000, "--out", tmp_path / "o", "--json") == 0
    told = capsys.readouterr()
    written = SearchDocument.model_validate_json((tmp_path / "o" / "search.json").read_bytes())
    assert SearchDocument.model_validate(json.loads(told.out)) == written
    assert written.capacity == pytest.approx(90.0, rel=0.05)
    assert written.slo == ["latency_ms.p99 <= 500 ms"]
    assert (written.revision, written.environment) == ("abc", {"cpus": 2})
    assert len(written.probes) == len(ran) == told.err.count("delivered") <= 10


@pytest.mark.parametrize(("invalid", "code"), [((), 1), (("generator lag",), 2)])
def test_a_search_without_capacity(
    invalid: tuple[str, ...], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    carried_out(monkeypatch, lambda *_: document(met=False, invalid=invalid))
    assert typed(monkeypatch, "search", "--low", 10, "--high", 100, "--out", tmp_path / "o") == code
    assert "not even 10/s" in capsys.readouterr().err


def test_a_search_that_is_interrupted_leaves_its_probes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def carry_out(options: RunOptions, inputs: Inputs, console: Console) -> RunDocument:
        if options.rate > 10:
            raise KeyboardInterrupt
        return document(rate=options.rate)

    carried_out(monkeypatch, carry_out)
    assert typed(monkeypatch, "search", "--low", 10, "--high", 100, "--out", tmp_path) == 130
    written = SearchDocument.model_validate_json((tmp_path / "search.json").read_bytes())
    assert (written.capacity, written.note, len(written.probes)) == (None, "interrupted", 1)


@pytest.fixture
def two_runs(tmp_path: Path) -> list[Path]:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(document().model_dump_json())
    return [tmp_path / "a", tmp_path / "b" / "run.json"]


LINE = Line(name="latency_ms.p99", a=812.0, b=990.0, ratio=1.22, low=1.15, high=1.3, verdict="worse")


@pytest.mark.parametrize(
    ("comparison", "force", "code"),
    [
        (Comparison(lines=[], regressed=False), False, 0),
        (Comparison(lines=[LINE], regressed=True), False, 1),
        (Comparison(lines=[], regressed=False, refused="other mixes"), False, 2),
        (Comparison(lines=[LINE], regressed=True, refused="other mixes"), True, 1),
    ],
)
def test_a_comparison_ends_by_what_it_found(
    comparison: Comparison,
    force: bool,
    code: int,
    two_runs: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked: list[tuple[float, bool]] = []

    def compare(*_: object, force: bool) -> Comparison:
        asked.append((float(_[4]), force))  # type: ignore[arg-type]
        return comparison

    monkeypatch.setattr(loadtest_compare, "compare", compare)
    arguments = ["compare", *two_runs, "--tolerance", 0.2, "--json", *(["--force"] if force else [])]
    assert typed(monkeypatch, *arguments) == code
    told = capsys.readouterr()
    assert asked == [(0.2, force)]
    assert json.loads(told.out)["regressed"] is comparison.regressed
    assert ("other mixes" in told.err) is (comparison.refused is not None)


def shown(what: Any, width: int) -> list[str]:
    console = Console(width=width, highlight=False, markup=False)
    with console.capture() as caught:
        console.print(what)
    return caught.get().splitlines()


@pytest.mark.parametrize("width", [40, 80, 200])
def test_what_is_shown_fits_the_terminal(width: int) -> None:
    lines = shown(table(Comparison(lines=[LINE], regressed=True)), width)
    assert max(map(len, lines)) <= width
    assert any("812" in line for line in lines)
