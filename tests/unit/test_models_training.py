"""Training: seeded, resumable after a kill at any moment, and another run's checkpoint is refused."""

import io
import multiprocessing
import random
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from models.training import loop
from models.training.loop import Plan, State, TrainingError, schedule
from models.training.progress import Pace, clock
from models.training.recipes import RECIPES
from models.training.run import Settings, execute, with_steps
from tests.support.tiny_recipe import TinyRecipe, plan

APART = multiprocessing.get_context("forkserver")
# The optimiser imports Dynamo, which takes longer than all the rest.
APART.set_forkserver_preload(["models.training.run", "tests.support.tiny_recipe", "torch._dynamo"])


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def run(out: Path, recipe: TinyRecipe, resume: bool = False) -> str:
    """Run to the end; what it says."""
    console = Console(file=io.StringIO(), width=200)
    execute(recipe, Settings(out=out, threads=1, resume=resume), console)
    return console.file.getvalue()


def content(out: Path) -> dict:
    return torch.load(out / "checkpoint.pt", weights_only=True)


def trained(recipe: TinyRecipe, folder: Path, readers: int = 1) -> State:
    task = recipe.task(None, folder)
    state = loop.start(task, recipe.plan, torch.device("cpu"))
    for _ in loop.train(task, state, recipe.plan, folder / "c.pt", readers=readers):
        pass
    return state


def assert_same(one: dict, other: dict) -> None:
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        torch.testing.assert_close(other[name], tensor, atol=0, rtol=0)


def test_a_run_killed_again_and_again_ends_with_the_same_bytes(tmp_path: Path) -> None:
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    recipe = TinyRecipe(pause=0.01)
    run(straight, recipe)
    dice, kills = random.Random(3), 0
    for _ in range(3):
        before = content(killed)["step"] if (killed / "checkpoint.pt").exists() else 0
        process = APART.Process(target=run, args=(killed, recipe))
        process.start()
        while process.is_alive() and not ((killed / "checkpoint.pt").exists() and content(killed)["step"] > before):
            time.sleep(0.002)
        time.sleep(dice.uniform(0, 0.04))
        kills += process.is_alive()
        process.kill()
        process.join()
    assert kills
    run(killed, recipe, resume=True)

    for part in ("net", "averaged"):
        assert_same(content(straight)[part], content(killed)[part])
    for part in ("losses", "figures", "step"):
        assert content(straight)[part] == content(killed)[part]
    for name in ("weights/tiny.safetensors", "weights/weights.json", "samples/step-000024.png"):
        assert (straight / name).read_bytes() == (killed / name).read_bytes()


def test_a_batch_does_not_depend_on_what_was_asked_before() -> None:
    recipe = TinyRecipe()
    one, other = recipe.task(None, Path()), recipe.task(None, Path())
    forwards = [one.batch(step) for step in range(4)]
    backwards = [other.batch(step) for step in reversed(range(4))]
    assert all(torch.equal(a, b) for a, b in zip(forwards, reversed(backwards), strict=True))
    assert not torch.equal(forwards[0], forwards[1])


def test_readers_change_nothing(tmp_path: Path) -> None:
    one, three = (trained(TinyRecipe(), tmp_path, readers) for readers in (1, 3))
    assert_same(one.net.state_dict(), three.net.state_dict())
    assert one.losses == three.losses


def test_training_lowers_the_loss_and_another_seed_is_another_run(tmp_path: Path) -> None:
    state = trained(TinyRecipe(restless=False), tmp_path)
    assert sum(state.losses["colour"][-5:]) < 0.3 * sum(state.losses["colour"][:5])
    assert [step for step, _ in state.figures] == [8, 16, 24]
    other = trained(TinyRecipe(restless=False, plan=plan(seed=8)), tmp_path)
    assert other.losses["colour"][0] != state.losses["colour"][0]


def test_without_averaging_the_net_itself_is_looked_at_in_evaluation_mode(tmp_path: Path) -> None:
    state = trained(TinyRecipe(plan=plan(average=0.0)), tmp_path)  # the task asserts the mode
    assert state.averaged is state.net


def test_a_finished_run_can_be_made_longer(tmp_path: Path) -> None:
    run(tmp_path, TinyRecipe())
    said = run(tmp_path, with_steps(TinyRecipe(), 30))
    assert "going on from step 24" in said
    assert content(tmp_path)["step"] == 30


def test_the_checkpoint_of_another_recipe_is_refused_by_what_differs(tmp_path: Path) -> None:
    run(tmp_path, TinyRecipe())
    with pytest.raises(TrainingError, match="width was 6, is 7"):
        run(tmp_path, TinyRecipe(width=7))
    with pytest.raises(TrainingError, match=r"plan\.seed was 7, is 8"):
        run(tmp_path, TinyRecipe(plan=plan(seed=8)))
    run(tmp_path, TinyRecipe(version="0.2", plan=plan(save_every=5, validate_every=3)))


def test_a_checkpoint_from_before_recipes_were_kept_goes_on(tmp_path: Path) -> None:
    run(tmp_path, TinyRecipe())
    old = {key: value for key, value in content(tmp_path).items() if key not in {"recipe", "seconds"}}
    torch.save(old, tmp_path / "checkpoint.pt")
    run(tmp_path, with_steps(TinyRecipe(), 26), resume=True)
    assert content(tmp_path)["step"] == 26
    torch.save(old, tmp_path / "checkpoint.pt")
    with pytest.raises(TrainingError, match="no checkpoint of this recipe"):
        run(tmp_path, TinyRecipe(width=7))


@pytest.mark.parametrize("body", [b"", b"not a checkpoint", b"PK\x03\x04 half"])
def test_a_damaged_checkpoint_is_named(tmp_path: Path, body: bytes) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(body)
    with pytest.raises(TrainingError, match=r"checkpoint\.pt is no checkpoint"):
        run(tmp_path, TinyRecipe())
    assert (tmp_path / "checkpoint.pt").read_bytes() == body


def test_a_loss_that_is_not_finite_stops_the_run_and_spares_the_checkpoint(tmp_path: Path) -> None:
    recipe = TinyRecipe(restless=False, plan=plan(steps=6))
    run(tmp_path, recipe)
    broken = content(tmp_path)
    broken["net"]["1.bias"].fill_(float("nan"))
    torch.save(broken, tmp_path / "checkpoint.pt")
    with pytest.raises(TrainingError, match="not finite at step 6"):
        run(tmp_path, with_steps(recipe, 9))
    assert content(tmp_path)["step"] == 6


@given(steps=st.integers(2, 5000), warmup=st.integers(0, 200), floor=st.floats(0, 0.5))
def test_the_rate_rises_once_then_falls_to_the_floor(steps: int, warmup: int, floor: float) -> None:
    chosen = Plan(steps=steps, learning_rate=1.0, warmup_steps=warmup, floor=floor)
    rates = [schedule(step, chosen) for step in range(0, steps + 1, max(1, steps // 50))]
    assert all(0 <= rate <= 1 for rate in rates)
    after = [schedule(step, chosen) for step in range(warmup, steps + 1, max(1, steps // 50))]
    assert after == sorted(after, reverse=True)
    assert schedule(steps, chosen) == pytest.approx(floor * min(1, (steps + 1) / max(1, warmup)))


@given(st.integers(0, 100 * 3600))
def test_a_clock_can_be_read_back(seconds: int) -> None:
    hours, minutes, rest = (int(part) for part in clock(seconds).split(":"))
    assert hours * 3600 + minutes * 60 + rest == seconds


def test_the_pace_is_that_of_this_call() -> None:
    state = trained_state(step=100, seconds=5000.0)
    pace = Pace(state)
    state.step, state.seconds = 110, 5020.0
    assert pace.text(160) == "2 s/step, 0:01:40 left"


def trained_state(step: int, seconds: float) -> State:
    net = torch.nn.Linear(1, 1)
    return State(net=net, averaged=net, optimiser=torch.optim.AdamW(net.parameters()), step=step, seconds=seconds)


def test_every_recipe_is_named_as_its_weights_and_says_what_the_card_needs() -> None:
    for name, function in RECIPES.items():
        recipe = function()
        assert recipe.name == name
        assert function.__doc__
        assert recipe.plan.steps > recipe.plan.warmup_steps
        assert hash(recipe) == hash(replace(recipe))
        assert with_steps(recipe, 12).plan.steps == 12
