"""What a run leaves: folder, page, curves, weights with their card; and its command line."""

import itertools
import json
import re
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from safetensors.torch import load_file
from typer.testing import CliRunner

from models.registry.manifest import read_manifest
from models.training import __main__ as training
from models.training import board
from models.training.charts import Chart, Series, draw, smoothed, ticks
from models.training.export import pack
from models.training.loop import State
from models.training.record import losses, read_record
from models.training.report import figure_charts
from models.training.run import Settings, execute
from tests.support.tiny_recipe import TinyRecipe, plan

RECIPE = TinyRecipe()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("run")
    execute(RECIPE, Settings(out=out, threads=1), Console(quiet=True))
    return out


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch):
    """The command line with the tiny recipe in place of the style's."""
    monkeypatch.setattr(training, "RECIPES", {"style": TinyRecipe})
    return lambda *arguments: CliRunner().invoke(training.app, [str(argument) for argument in arguments])


class Links(HTMLParser):
    """Everything that a page fetches or leads to, and whether its tags are balanced."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.found: list[str] = []
        self.open: list[str] = []
        self.feed(page.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in {"src", "href"} and value]
        if tag not in {"meta", "img"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_shows_curves_and_samples_that_are_there_and_nothing_from_elsewhere(folder: Path) -> None:
    page = Links(folder / "index.html")
    assert page.open == []
    assert {"losses.png", "figures.png", "samples/step-000008.png", "samples/step-000024.png"} <= set(page.found)
    for link in page.found:
        assert (folder / link).is_file()
    text = (folder / "index.html").read_text("utf-8")
    assert "<script" not in text
    assert 'name="viewport"' in text
    assert "http-equiv" not in text  # a finished run need not be looked at again
    assert cv2.imread(str(folder / "losses.png")).shape[2] == 3


def test_the_record_says_what_was_run_and_how(folder: Path) -> None:
    run = json.loads((folder / "run.json").read_text())
    assert (run["step"], run["steps"], run["seed"], run["device"], run["workers"]) == (24, 24, 7, "cpu", 1)
    assert run["recipe"]["width"] == 6
    assert run["recipe"]["plan.learning_rate"] == 0.02
    assert run["seconds"] > 0
    assert {"python", "torch", "numpy", "vitrine"} <= run["versions"].keys()
    assert [figures["step"] for figures in run["figures"]] == [8, 16, 24]
    assert set(run["losses"]["terms"]) == {"total", "colour", "light"}
    assert run["weights"]["version"] == read_manifest(folder / "weights")["tiny"].version


def test_the_weights_are_the_averaged_ones_with_manifest_and_card(folder: Path) -> None:
    entry = read_manifest(folder / "weights")["tiny"]
    state = torch.load(folder / "checkpoint.pt", weights_only=True)
    written = load_file(folder / "weights" / entry.file)
    assert written.keys() == state["averaged"].keys()
    torch.testing.assert_close(written["0.weight"], state["averaged"]["0.weight"], atol=0, rtol=0)
    assert entry.architecture == "tiny-net"
    assert entry.config == {"width": 6}
    assert entry.figures["error"] == pytest.approx(state["figures"][-1][1]["error"], rel=1e-4)
    card = (folder / "weights" / entry.card).read_text("utf-8")
    for part in (
        entry.version,
        "A net for tests.",
        "n = 4",
        "python -m models.training tiny",
        "| r | ",
        "All of them.",
    ):
        assert part in card


def test_float16_is_measured_as_it_was_written(folder: Path, tmp_path: Path, invoke) -> None:
    (tmp_path / "checkpoint.pt").write_bytes((folder / "checkpoint.pt").read_bytes())
    done = invoke("style", "--export", "--half", "--out", tmp_path)
    assert done.exit_code == 0, done.output
    written = load_file(tmp_path / "weights" / "tiny.safetensors")
    assert written["0.weight"].dtype == torch.float16
    assert written["1.running_var"].dtype == torch.float32
    figures = read_manifest(tmp_path / "weights")["tiny"].figures
    whole = read_manifest(folder / "weights")["tiny"].figures
    assert figures["error"] == pytest.approx(whole["error"], rel=0.02)
    assert figures["error"] != whole["error"]


def test_what_float16_cannot_hold_stays_whole() -> None:
    net = torch.nn.Linear(2, 2)
    net.weight.data[0, 0] = 1e5
    assert pack(net, half=True)["weight"].dtype == torch.float32
    assert pack(torch.nn.Linear(2, 2), half=True)["weight"].dtype == torch.float16


def test_the_command_trains_goes_on_and_exports(tmp_path: Path, invoke) -> None:
    out, weights = tmp_path / "run", tmp_path / "weights"
    first = invoke("style", "--out", out, "--steps", 5, "--threads", 1, "--device", "cpu", "--weights", weights)
    assert first.exit_code == 0, first.output
    assert re.search(r"tiny 5/5 .* s/step, 0:00:00 left, loss", first.output)
    more = invoke("style", "--out", out, "--steps", 7, "--resume", "--weights", weights)
    assert "going on from step 5" in more.output
    before = (out / "checkpoint.pt").read_bytes()
    assert invoke("style", "--out", out, "--steps", 7, "--export", "--weights", weights).exit_code == 0
    assert (out / "checkpoint.pt").read_bytes() == before
    assert read_record(out)["step"] == 7


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--resume"], "nothing to go on from"),
        (["--export"], "nothing to go on from"),
        (["--data", "/nowhere"], "no photos in /nowhere"),
        (["--device", "cuda"], "no CUDA device"),
    ],
)
def test_what_cannot_run_is_said_in_a_line(tmp_path: Path, invoke, arguments: list[str], said: str) -> None:
    if "cuda" in arguments and torch.cuda.is_available():
        arguments = ["--device", "cuda:99"]
    result = invoke("style", "--out", tmp_path, *arguments)
    assert result.exit_code == 2
    assert said in result.output
    assert not (tmp_path / "checkpoint.pt").exists()


def test_runs_are_compared_side_by_side(folder: Path, tmp_path: Path, invoke) -> None:
    other = tmp_path / "wider"
    execute(TinyRecipe(width=8, plan=plan(steps=8)), Settings(out=other, threads=1), Console(quiet=True))
    out = tmp_path / "compare"
    assert invoke("compare", folder, other, "--out", out).exit_code == 0
    page = Links(out / "index.html")
    assert all((out / link).is_file() for link in page.found)
    assert len([link for link in set(page.found) if link.startswith("samples-")]) == 2
    text = (out / "index.html").read_text("utf-8")
    assert "<td>width</td><td>6</td><td>8</td>" in text
    assert "plan.learning_rate" not in text  # the same in both
    nothing = invoke("compare", tmp_path / "none", "--out", out)
    assert nothing.exit_code == 2
    assert "run.json" in nothing.output


class FakeWriter:
    points: list[tuple[str, float, int]]

    def __init__(self) -> None:
        self.points = []

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:
        self.points.append((tag, scalar_value, global_step))


def test_tensorboard_gets_each_point_once() -> None:
    net, writer = torch.nn.Linear(1, 1), FakeWriter()
    state = State(net=net, averaged=net, optimiser=torch.optim.SGD(net.parameters()), step=1, losses={"a": [9.0]})
    shown = board.Board(writer, state)
    state.step, state.losses, state.figures = 3, {"a": [9.0, 8.0, 7.0]}, [(3, {"iou": 0.5})]
    shown.write(state)
    shown.write(state)
    assert writer.points == [("loss/a", 8.0, 2), ("loss/a", 7.0, 3), ("validation/iou", 0.5, 3)]


def test_without_tensorboard_the_command_says_what_to_install(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    invoke,
) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(board, "import_module", missing)
    result = invoke("style", "--out", tmp_path, "--tensorboard")
    assert result.exit_code == 2
    assert "pip install" in result.output


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=1500), st.integers(0, 100))
def test_thinned_losses_keep_mean_and_end(values: list[float], before: int) -> None:
    kept = losses({"a": values}, before + len(values))
    assert len(kept["steps"]) == len(kept["terms"]["a"]) == min(len(values), 400)
    assert kept["steps"][-1] == before + len(values)
    lengths = np.diff([before, *kept["steps"]])
    assert (lengths > 0).all()
    assert np.average(kept["terms"]["a"], weights=lengths) == pytest.approx(np.mean(values), rel=1e-4)


@given(st.floats(-1e4, 1e4), st.floats(1e-3, 1e4))
def test_ticks_are_few_round_and_inside(low: float, width: float) -> None:
    marks = ticks(low, low + width)
    assert 2 <= len(marks) <= 9
    assert all(low - 1e-6 * width <= mark <= low + width * (1 + 1e-6) for mark in marks)
    assert len({round(b - a, 6) for a, b in itertools.pairwise(marks)}) <= 2


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=60), st.integers(1, 10))
def test_smoothing_is_the_mean_of_the_last_values(values: list[float], width: int) -> None:
    found = smoothed(np.array(values), width)
    expected = [np.mean(values[max(0, i + 1 - width) : i + 1]) for i in range(len(values))]
    np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize("values", [[], [1.0], [0.0, 0.0], [-1.0, 3.0], [1e-12, 1e6], [5.0] * 900])
@pytest.mark.parametrize("falling", [False, True])
def test_any_curve_can_be_drawn(values: list[float], falling: bool) -> None:
    series = Series(name="a", steps=list(range(1, len(values) + 1)), values=values)
    picture = draw([Chart(title="t", series=[series, series], falling=falling)])
    assert picture.ndim == 3
    assert (picture < 250).any()


def test_figures_of_one_run_share_charts_by_name_and_those_of_several_do_not() -> None:
    run: Mapping = {"figures": [{"step": 5, "n": 3, "ssim": 0.5, "ssim/oil": 0.4, "ssim/ink": 0.6}]}
    alone = figure_charts({"": run})
    assert [(chart.title, [line.name for line in chart.series]) for chart in alone] == [
        ("ssim", [""]),
        ("ssim", ["oil", "ink"]),
    ]
    both = figure_charts({"a": run, "b": run})
    assert [chart.title for chart in both] == ["ssim", "ssim/oil", "ssim/ink"]


def test_a_run_that_goes_on_renews_its_page(tmp_path: Path) -> None:
    class Stopped(Exception):
        pass

    class Stopping(TinyRecipe):
        def task(self, data: Path | None, cache: Path):
            task = super().task(data, cache)
            task.samples = stop
            return task

    def stop(*_: object) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        execute(Stopping(), Settings(out=tmp_path, threads=1), Console(quiet=True))
    assert 'http-equiv="refresh"' in (tmp_path / "index.html").read_text("utf-8")
