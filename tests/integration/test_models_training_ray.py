"""The same recipe on Ray Train: two workers learn what one would from the mean of two batches, and survive a death."""

import io
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
import torch
from rich.console import Console

from models.training import loop
from models.training.ray_train import execute_on_ray
from models.training.record import read_record
from models.training.run import Settings
from tests.support.tiny_recipe import TinyRecipe, plan

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    """A Ray of this module's own, whose workers can import the tests; its sockets need a short path."""
    place = tempfile.mkdtemp(prefix="vt-", dir="/tmp")
    with pytest.MonkeyPatch.context() as environment:
        # Ray's workers step back for everything else by default: on a busy machine they would not get on.
        environment.setenv("RAY_worker_niceness", "0")
        start(place)
    yield
    ray.shutdown()
    shutil.rmtree(place, ignore_errors=True)


def start(place: str) -> None:
    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        _temp_dir=place,
        object_store_memory=100_000_000,
        runtime_env={"env_vars": {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}},
    )


def learnt_by_one(recipe: TinyRecipe) -> dict[str, torch.Tensor]:
    """What the mean gradient of two batches at a time teaches, worked out in a plain loop."""
    task = recipe.task(None, Path())
    state = loop.start(task, recipe.plan, torch.device("cpu"))
    for step in range(0, recipe.plan.steps, 2):
        for group in state.optimiser.param_groups:
            group["lr"] = group["rate"] * recipe.plan.learning_rate * loop.schedule(step, recipe.plan)
        state.optimiser.zero_grad()
        for number in (step, step + 1):
            terms = task.loss(task.batch(number), torch.device("cpu"))
            (sum(terms.values()) / 2).backward()
        torch.nn.utils.clip_grad_norm_(state.net.parameters(), recipe.plan.clip)
        state.optimiser.step()
    return state.net.state_dict()


@pytest.mark.timeout(900)  # some ten processes load torch or Ray Train
def test_two_workers_see_every_batch_once_and_go_on_after_a_death(tmp_path: Path) -> None:
    recipe = TinyRecipe(restless=False, grave=str(tmp_path / "grave"), plan=plan(average=0.0, steps=16))
    out = tmp_path / "run"
    console = Console(file=io.StringIO())
    ctrl_c = signal.getsignal(signal.SIGINT)
    execute_on_ray(recipe, Settings(out=out, threads=1, device="cpu"), console, workers=2)

    assert signal.getsignal(signal.SIGINT) is ctrl_c
    assert (tmp_path / "grave").exists()  # one of the workers did die
    run = read_record(out)
    assert (run["step"], run["workers"]) == (16, 2)
    assert (out / "index.html").is_file()
    assert (out / "weights" / "tiny.safetensors").is_file()
    content = torch.load(out / "checkpoint.pt", weights_only=True)
    task = recipe.task(None, Path())
    with torch.no_grad():
        first = [sum(task.loss(task.batch(number), torch.device("cpu")).values()).item() for number in (0, 1)]
    both = [sum(values) for values in zip(*content["losses"].values(), strict=True)]
    assert both[:2] == pytest.approx(first, rel=1e-5)
    assert len(both) == 16
    for name, tensor in learnt_by_one(recipe).items():
        torch.testing.assert_close(content["net"][name], tensor, atol=1e-5, rtol=1e-4)
