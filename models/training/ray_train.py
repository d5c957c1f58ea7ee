"""The same run on Ray Train: several workers, each with its share of the batches. The only module that imports Ray.

All workers must see the folders of run, data and cache under the same path: one machine, or a shared file system.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import ray.train.torch
from ray.train import FailureConfig, RunConfig, ScalingConfig
from rich.console import Console

from models.training.loop import TrainingError
from models.training.parallel import Share
from models.training.recipe import Recipe
from models.training.run import Settings, execute

#: A worker that dies takes its group along; the group goes on from the last checkpoint, so often at most.
_RESTARTS = 3


def execute_on_ray(recipe: Recipe, settings: Settings, console: Console, workers: int) -> None:
    """Train on the cluster of `RAY_ADDRESS`, or on one of this machine's own; `TrainingError` where it fails."""
    settings = _absolute(settings)
    device = settings.torch_device()
    # Fills the cache, and fails here and now where photos are missing.
    recipe.task(settings.data, settings.cache)
    console.print(f"{workers} workers on Ray Train")
    trainer = ray.train.torch.TorchTrainer(
        _work,
        train_loop_config={"recipe": recipe, "settings": settings},
        torch_config=ray.train.torch.TorchConfig(backend="nccl" if device.type == "cuda" else "gloo"),
        scaling_config=ScalingConfig(
            num_workers=workers,
            use_gpu=device.type == "cuda",
            resources_per_worker={"CPU": settings.threads or 1} | ({"GPU": 1} if device.type == "cuda" else {}),
        ),
        run_config=RunConfig(
            name="ray", storage_path=str(settings.out), failure_config=FailureConfig(max_failures=_RESTARTS)
        ),
    )
    try:
        with _own_interrupts():
            trainer.fit()
    except ray.train.TrainingFailedError as error:
        raise TrainingError(f"the workers failed: {error}") from error


@contextmanager
def _own_interrupts() -> Iterator[None]:
    """Ctrl-C means afterwards what it meant before: Ray Train leaves a handler that asks a dead actor."""
    if threading.current_thread() is not threading.main_thread():  # where neither of us can set one
        yield
        return
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _work(config: dict[str, Any]) -> None:
    """What every worker does."""
    context = ray.train.get_context()
    share = Share(rank=context.get_world_rank(), workers=context.get_world_size())
    execute(config["recipe"], config["settings"], Console(), share)


def _absolute(settings: Settings) -> Settings:
    """Workers run in other folders, and by default on one thread each."""
    return replace(
        settings,
        out=settings.out.absolute(),
        data=settings.data and settings.data.absolute(),
        cache=settings.cache.absolute(),
        weights=settings.weights and settings.weights.absolute(),
        begin=settings.begin and settings.begin.absolute(),
        threads=settings.threads or 1,
    )
