"""What a run says while it goes on: a bar with rate and remaining time, or plain lines where there is no terminal."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from models.training.loop import State

#: Seconds between two plain lines.
_PAUSE = 15.0
#: The rate is that of so many last steps; the loss shown is their mean.
_RECENT = 50


@contextmanager
def shown(console: Console, name: str, state: State, steps: int) -> Iterator[Callable[[], None]]:
    """Gives what is to be called after each step."""
    if console.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, TextColumn("{task.fields[rate]}"), console=console) as progress:
            bar = progress.add_task(name, total=steps, completed=state.step, rate="")
            pace = Pace(state)
            yield lambda: progress.update(
                bar, completed=state.step, description=f"{name}, {losses(state)}", rate=pace.text(steps)
            )
    else:
        yield _Lines(console, name, state, steps)


class Pace:
    """Seconds per step of the last steps, validation and saving included."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._seen = [(state.step, state.seconds)]

    def text(self, steps: int) -> str:
        """Rate and remaining time; to be called after each step."""
        self._seen = [*self._seen[-_RECENT:], (self._state.step, self._state.seconds)]
        (first, begun), (now, seconds) = self._seen[0], self._seen[-1]
        each = (seconds - begun) / max(now - first, 1)
        return f"{each:.3g} s/step, {clock(each * max(steps - now, 0))} left"


class _Lines:
    """A line after the first step, every few seconds, and after the last step."""

    def __init__(self, console: Console, name: str, state: State, steps: int) -> None:
        self._console, self._name, self._state, self._steps = console, name, state, steps
        self._pace = Pace(state)
        self._last = -_PAUSE

    def __call__(self) -> None:
        """After each step."""
        text = self._pace.text(self._steps)
        if time.monotonic() - self._last >= _PAUSE or self._state.step >= self._steps:
            self._last = time.monotonic()
            self._console.print(
                f"{self._name} {self._state.step}/{self._steps} {text}, {losses(self._state, terms=True)}"
            )


def losses(state: State, *, terms: bool = False) -> str:
    """Mean of the last steps: the sum, and each term where it is asked for and there are several."""
    means = {name: sum(values[-_RECENT:]) / len(values[-_RECENT:]) for name, values in state.losses.items() if values}
    each = ", ".join(f"{name} {value:.4f}" for name, value in means.items())
    return f"loss {sum(means.values()):.4f}{f' ({each})' if terms and len(means) > 1 else ''}"


def clock(seconds: float) -> str:
    """As hours, minutes and seconds: `1:02:03`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
