"""Fine-tuning: a run that begins with weights, its own or a smaller net's."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console

from models.training import loop
from models.training.begin import begin_with
from models.training.loop import TrainingError
from models.training.record import read_record
from models.training.run import Settings, execute, with_rate, with_steps
from tests.support.tiny_recipe import TinyRecipe, plan

CPU = torch.device("cpu")


def finished(out: Path, recipe: TinyRecipe, begin: Path | None = None) -> Path:
    """A run to its end; the folder of its weights."""
    execute(recipe, Settings(out=out, threads=1, begin=begin), Console(file=io.StringIO()))
    return out / "weights"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished(tmp_path_factory.mktemp("first"), TinyRecipe())


def test_a_run_begins_where_the_weights_ended(weights: Path, tmp_path: Path) -> None:
    begun = with_steps(with_rate(TinyRecipe(), 1e-6), 12)
    finished(tmp_path / "begun", begun, weights)
    finished(tmp_path / "fresh", begun)
    (later,), (fresh,) = (
        [run["figures"][-1]["error"]] for run in map(read_record, (tmp_path / "begun", tmp_path / "fresh"))
    )
    before = read_record(weights.parent)["figures"][-1]["error"]
    assert abs(later - before) < 0.2 * abs(fresh - before)


def test_the_record_says_what_it_began_with_also_after_a_kill(weights: Path, tmp_path: Path) -> None:
    finished(tmp_path, TinyRecipe(), weights)
    version = read_record(weights.parent)["weights"]["version"]
    assert read_record(tmp_path)["begun_with"] == version
    execute(with_steps(TinyRecipe(), 26), Settings(out=tmp_path, threads=1), Console(file=io.StringIO()))
    assert read_record(tmp_path)["begun_with"] == version
    assert read_record(weights.parent)["begun_with"] is None


def test_what_the_net_has_grown_since_stays_as_it_was_initialised(weights: Path) -> None:
    task = TinyRecipe().task(None, weights)
    task.net.append(torch.nn.Conv2d(3, 3, 1))
    state = loop.start(task, plan(), CPU)
    own = {name: tensor.clone() for name, tensor in state.net.state_dict().items()}
    begin_with(state, TinyRecipe(), weights)
    changed = {name for name, tensor in state.net.state_dict().items() if not torch.equal(tensor, own[name])}
    assert "0.weight" in changed
    assert not changed & {"4.weight", "4.bias"}
    assert all(
        torch.equal(a, b)
        for a, b in zip(state.net.state_dict().values(), state.averaged.state_dict().values(), strict=True)
    )


def test_weights_of_another_size_or_none_at_all_are_refused(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"0\.weight.*of another size"):
        finished(tmp_path / "wide", TinyRecipe(width=7), weights)
    with pytest.raises(TrainingError, match="--begin"):
        finished(tmp_path / "none", replace(TinyRecipe(), version="0.2"), tmp_path)
