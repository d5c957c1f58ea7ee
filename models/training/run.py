"""A whole run of any recipe: examples, training, report, export. Everything it leaves lies in one folder."""

import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import cv2
import torch
from rich.console import Console

from models.training.begin import begin_with
from models.training.board import Board, open_board
from models.training.card import missing_sections
from models.training.export import Exported, export
from models.training.loop import State, Task, TrainingError, resume, start, train
from models.training.parallel import ALONE, Share
from models.training.progress import shown
from models.training.recipe import Recipe
from models.training.record import identity, record
from models.training.report import sample_path, write_picture, write_report

CHECKPOINT = "checkpoint.pt"
#: Seconds between two reports while nothing is validated.
_PAUSE = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where and how a recipe is run; nothing here changes what is learnt."""

    #: The folder of the run.
    out: Path
    data: Path | None = None
    #: What is costly to prepare, shared between runs.
    cache: Path = Path("out/cache")
    #: Where weights, manifest and card go; `out/weights` by default.
    weights: Path | None = None
    device: str = "auto"
    #: CPU threads; 0 leaves the choice to torch.
    threads: int = 0
    #: Processes that make batches ahead of time; 1 is a thread.
    readers: int = 1
    #: Whether there must be something to go on from.
    resume: bool = False
    tensorboard: bool = False
    #: Folder or file of weights to begin with; from nothing by default.
    begin: Path | None = None
    #: Whether weights are exported as float16; the recipe's own choice by default.
    half: bool | None = None

    @property
    def checkpoint(self) -> Path:
        """The state of the run."""
        return self.out / CHECKPOINT

    def torch_device(self) -> torch.device:
        """The device that is meant; `TrainingError` where it is not there."""
        cuda = torch.cuda.is_available()
        device = torch.device(("cuda" if cuda else "cpu") if self.device == "auto" else self.device)
        if device.type == "cuda" and not cuda:
            raise TrainingError("there is no CUDA device here: --device cpu, or auto")
        return device


def with_steps(recipe: Recipe, steps: int) -> Recipe:
    """The same recipe over so many steps: warm-up, finish and the fall of the rate follow."""
    changed = replace(cast("Any", recipe), plan=replace(recipe.plan, steps=steps))
    return cast("Recipe", changed)


def with_rate(recipe: Recipe, rate: float) -> Recipe:
    """The same recipe at another learning rate."""
    changed = replace(cast("Any", recipe), plan=replace(recipe.plan, learning_rate=rate))
    return cast("Recipe", changed)


def execute(recipe: Recipe, settings: Settings, console: Console, share: Share = ALONE) -> Exported | None:
    """Train from the start or from where the checkpoint left off, report, and export; the first of several workers
    alone reports and exports. Raise `DataError` without photos, `TrainingError` where the run cannot go on.
    """
    run = Run.prepared(recipe, settings, console, share)
    board = open_board(settings.out, run.state) if settings.tensorboard and share.rank == 0 else nullcontext()
    with board as events:
        run.train(events)
    return run.export() if share.rank == 0 else None


def export_only(recipe: Recipe, settings: Settings, console: Console) -> Exported:
    """Export the checkpoint as it is."""
    return Run.prepared(recipe, replace(settings, resume=True), console, ALONE).export()


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A recipe, its task and its state on a device."""

    recipe: Recipe
    task: Task[Any]
    state: State
    settings: Settings
    console: Console
    share: Share

    @classmethod
    def prepared(cls, recipe: Recipe, settings: Settings, console: Console, share: Share) -> "Run":
        """Load the examples and the checkpoint, if there is one."""
        device = settings.torch_device()
        if settings.threads:
            torch.set_num_threads(settings.threads)
            cv2.setNumThreads(settings.threads)
        there = settings.checkpoint.is_file()
        if settings.resume and not there:
            raise TrainingError(f"nothing to go on from: {settings.checkpoint} is missing")
        torch.manual_seed(recipe.plan.seed)
        task = recipe.task(settings.data, settings.cache)
        state = start(task, recipe.plan, device)
        state.recipe = identity(recipe)
        if there:
            resume(state, settings.checkpoint)
        elif settings.begin:
            state.recipe["begun_with"] = begin_with(state, recipe, settings.begin)
        return cls(recipe=recipe, task=task, state=state, settings=settings, console=console, share=share)

    def train(self, board: Board | None) -> None:
        """Run the steps that are left; the folder shows what was seen at each checkpoint."""
        plan, state = self.recipe.plan, self.state
        steps = train(self.task, state, plan, self.settings.checkpoint, share=self.share, readers=self.settings.readers)
        if self.share.rank:
            for _ in steps:
                pass
            return
        if state.step:
            self.console.print(f"going on from step {state.step} in {self.settings.out}")
        with shown(self.console, self.recipe.name, state, plan.steps) as tell:
            self._watch(steps, board, tell)

    def _watch(self, steps: Iterator[State], board: Board | None, tell: Callable[[], None]) -> None:
        state, reported = self.state, -_PAUSE
        looks = len(state.figures)
        for _ in steps:
            tell()
            looked, looks = len(state.figures) > looks, len(state.figures)
            if looked:
                step, figures = state.figures[-1]
                found = ", ".join(f"{name} {value:.4g}" for name, value in figures.items() if "/" not in name)
                self.console.print(f"step {step}: {found}")
                self._keep_samples()
            if looked or time.monotonic() - reported >= _PAUSE:
                self.report()
                reported = time.monotonic()
                if board:
                    board.write(state)

    def _keep_samples(self) -> None:
        path = sample_path(self.settings.out, self.state.step)
        if not path.exists():
            write_picture(path, self.task.samples(self.state.averaged.eval(), self._device))

    @property
    def _device(self) -> torch.device:
        return next(self.state.net.parameters()).device

    def report(self, exported: Exported | None = None) -> None:
        """Write `run.json`, curves and page."""
        content = record(self.recipe, self.state, self._device, self.share.workers)
        write_report(self.settings.out, content | ({"weights": exported.summary()} if exported else {}))

    def export(self) -> Exported:
        """Write the weights with manifest and card, and say so in the report."""
        half = self.recipe.plan.half if self.settings.half is None else self.settings.half
        folder = self.settings.weights or self.settings.out / "weights"
        content = record(self.recipe, self.state, self._device, self.share.workers)
        done = export(self.recipe, self.task, self.state, content, folder, half)
        self._keep_samples()
        self.report(done)
        if missing := missing_sections(self.recipe):
            self.console.print(f"the recipe leaves sections of the model card empty: {', '.join(missing)}")
        self.console.print(
            f"{done.entry.version}, {done.size / 1e6:.1f} MB in {folder}; {self.settings.out}/index.html"
        )
        return done
