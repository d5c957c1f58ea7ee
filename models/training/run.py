"""A whole run of the style net: data, training, measuring, export. Everything it leaves lies in one folder."""

import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from models.style_transfer import StyleTransfer
from models.training import trainer
from models.training.data import (
    Picture,
    StyleWindows,
    fingerprint,
    load_windows,
    make_windows,
    save_windows,
    validation_windows,
)
from models.training.export import export
from models.training.measure import Figures, sample_grid
from models.training.recipes import StyleRecipe
from models.training.report import loss_curve, write_json, write_picture
from models.training.scenes import DataError, find_samples

#: Steps between two lines of the log where there is no terminal for a progress bar.
_LOG_EVERY = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class StyleRun:
    """One run and where it happens."""

    recipe: StyleRecipe
    data: Path | None
    out: Path
    device: torch.device
    console: Console

    def execute(self, *, resume: bool, train: bool, weights: Path) -> None:
        """Train (or go on, or only export); raise `DataError` where photos or checkpoint are missing."""
        validation = validation_windows(self.recipe, find_samples(self.data, "validation"))
        state = trainer.start(self.recipe, self.device)
        checkpoint = self.out / "checkpoint.pt"
        if resume:
            if not checkpoint.is_file():
                raise DataError(f"nothing to resume: {checkpoint} is missing")
            trainer.resume(state, checkpoint)
        begun = time.monotonic()
        if train:
            self._train(state, self._training_windows(), checkpoint)
        figures = export(state, self.recipe, validation, weights)
        self._report(state, validation, weights, figures, seconds=time.monotonic() - begun)

    def _report(
        self, state: trainer.TrainingState, validation: Picture, weights: Path, figures: Figures, seconds: float
    ) -> None:
        self.out.mkdir(parents=True, exist_ok=True)
        model = StyleTransfer.load("cpu", weights)
        write_picture(self.out / "loss.png", loss_curve(state.losses))
        write_picture(self.out / "samples.png", sample_grid(model, validation, rows=6))
        content = {
            "recipe": asdict(self.recipe),
            "version": model.version,
            "steps": state.step,
            "seconds_of_this_call": round(seconds),
            "device": str(self.device),
            "torch": torch.__version__,
            "validation": figures,
            "losses_every_10": [round(loss, 5) for loss in state.losses[::10]],
        }
        write_json(self.out / "run.json", content)
        for style, figure in figures.items():
            self.console.print(f"{style}: PSNR {figure['psnr_db']:.1f} dB, SSIM {figure['ssim']:.3f}")
        self.console.print(f"weights {model.version} in {weights}; curve, samples and run.json in {self.out}")

    def _training_windows(self) -> StyleWindows:
        samples = find_samples(self.data, "train")
        self.out.mkdir(parents=True, exist_ok=True)
        path = self.out / f"windows-{fingerprint(self.recipe, samples)}.npz"
        if path.is_file():
            return load_windows(path)
        with self._progress() as progress:
            task = progress.add_task("drawing the windows", total=self.recipe.windows)
            windows = make_windows(self.recipe, samples, self.recipe.windows, lambda: progress.advance(task))
        save_windows(windows, path)
        return windows

    def _train(self, state: trainer.TrainingState, windows: StyleWindows, checkpoint: Path) -> None:
        begun = time.monotonic()
        with self._progress() as progress:
            task = progress.add_task("training", total=self.recipe.steps, completed=state.step)
            for loss in trainer.train(state, self.recipe, windows, checkpoint):
                progress.update(task, completed=state.step, description=f"training, loss {loss:.4f}")
                if not self.console.is_terminal and state.step % _LOG_EVERY == 0:
                    recent = sum(state.losses[-_LOG_EVERY:]) / _LOG_EVERY
                    self.console.print(f"step {state.step} loss {recent:.4f} {time.monotonic() - begun:.0f} s")

    def _progress(self) -> Progress:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        return Progress(*columns, TimeRemainingColumn(), console=self.console)
