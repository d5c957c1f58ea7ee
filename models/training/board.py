"""The curves for TensorBoard, for those who have it; the run's own page needs nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Protocol

from models.training.loop import State, TrainingError


class Writer(Protocol):
    """As much of `SummaryWriter` as is used."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> object:
        """One point of a curve."""
        ...


class Board:
    """Writes what is new since the last call."""

    def __init__(self, writer: Writer, state: State) -> None:
        self._writer = writer
        self._step, self._looks = state.step, len(state.figures)

    def write(self, state: State) -> None:
        """The terms of the loss at each step, and the figures of each validation."""
        for name, values in state.losses.items():
            for step in range(self._step, min(state.step, len(values))):
                self._writer.add_scalar(f"loss/{name}", values[step], step + 1)
        for step, figures in state.figures[self._looks :]:
            for name, value in figures.items():
                self._writer.add_scalar(f"validation/{name}", value, step)
        self._step, self._looks = state.step, len(state.figures)


@contextmanager
def open_board(folder: Path, state: State) -> Iterator[Board]:
    """A board in the run's folder; points after the state's step, of a run that was killed, no longer count."""
    try:
        module = import_module("tensorboardX")
    except ImportError as error:
        raise TrainingError("--tensorboard needs the package tensorboardX: pip install 'vitrine[train]'") from error
    with module.SummaryWriter(str(folder / "tensorboard"), purge_step=state.step + 1) as writer:
        yield Board(writer, state)
