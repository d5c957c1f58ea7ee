"""What runs show while they last: a live picture on a terminal, plain lines every few seconds elsewhere."""

import time
from abc import ABC, abstractmethod
from collections import deque
from types import TracebackType
from typing import Self

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from deploy.loadtest.faults.conductor import Mark, Phase
from deploy.loadtest.report.words import printable

_PLAIN_EVERY_S = 5.0


class Screen(ABC):
    """Lines that were said, and a picture of the moment. Used as a context manager."""

    def __init__(self, console: Console, *, lines: int) -> None:
        """`lines`: how many of the last lines the picture may show."""
        self._console = console
        self.said: deque[str] = deque(maxlen=lines)
        self._told_at = float("-inf")
        self._live: Live | None = None

    @property
    def is_plain(self) -> bool:
        """Whether lines are written, because there is no terminal for a picture."""
        return not self._console.is_terminal

    def __enter__(self) -> Self:
        if not self.is_plain:
            self._live = Live(console=self._console, refresh_per_second=4, get_renderable=self.render)
            self._live.start(refresh=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    @abstractmethod
    def render(self) -> RenderableType:
        """The picture of the moment."""

    def say(self, text: str) -> None:
        """A line that stays."""
        self.said.append(text)
        if self.is_plain:
            self._print(text)

    def mark(self, mark: Mark) -> None:
        """The conductor did something."""
        self.say(mark_line(mark))

    def tell(self, line: str) -> None:
        """The figures of the moment in one line; shown only where there is no picture, and then every five seconds."""
        now = time.monotonic()
        if self.is_plain and now - self._told_at >= _PLAIN_EVERY_S:
            self._told_at = now
            self._print(line)

    def _print(self, text: str) -> None:
        self._console.print(plain(text), soft_wrap=True)


def mark_line(mark: Mark) -> str:
    """One line of the time line."""
    sign = "x" if mark.phase is Phase.STRIKE else "+"
    return f"{mark.at_s:7.1f} s  {sign} {mark.fault}: {mark.what} ({mark.answered} answered, took {mark.took_s:.1f} s)"


def plain(text: str, style: str = "") -> Text:
    """Text as it is: no markup in it counts, and nothing in it moves the cursor."""
    return Text(printable(text).replace("\n", " "), style=style)
