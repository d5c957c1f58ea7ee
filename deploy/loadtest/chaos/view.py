"""What a person sees while a chaos run goes on: a live view on a terminal, plain lines elsewhere."""

import time
from collections import deque
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from deploy.loadtest.chaos.report import mark_line
from deploy.loadtest.faults.conductor import Mark

_PLAIN_EVERY_S = 5.0
_LINES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The figures of a moment."""

    planned: int
    sent: int
    answered: int
    elapsed_s: float
    faults: int
    healed: int
    now_on: str | None

    @property
    def line(self) -> str:
        """In one line."""
        rate = self.answered / self.elapsed_s if self.elapsed_s else 0.0
        fault = self.now_on or "none"
        return (
            f"{self.elapsed_s:6.0f} s  {self.answered}/{self.planned} answered, {self.sent} sent, {rate:.0f}/s, "
            f"fault {self.healed}/{self.faults}: {fault}"
        )


class ChaosView:
    """Shows services, progress and faults."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._said: deque[str] = deque(maxlen=_LINES)
        self._moment: Moment | None = None
        self._told_at = float("-inf")
        live = console.is_terminal
        self._live = Live(console=console, refresh_per_second=4, get_renderable=self._render) if live else None

    def __enter__(self) -> Self:
        if self._live:
            self._live.start(refresh=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def service(self, name: str, phase: str) -> None:
        """A service changed."""
        self.say(f"{name}: {phase}")

    def mark(self, mark: Mark) -> None:
        """The conductor did something."""
        self.say(mark_line(mark))

    def say(self, text: str) -> None:
        """A line."""
        self._said.append(text)
        if self._live is None:
            self._print(text)

    def update(self, moment: Moment) -> None:
        """New figures."""
        self._moment = moment
        now = time.monotonic()
        if self._live is None and now - self._told_at >= _PLAIN_EVERY_S:
            self._told_at = now
            self._print(moment.line)

    def _print(self, text: str) -> None:
        self._console.print(Text(text), soft_wrap=True)

    def _render(self) -> RenderableType:
        parts: list[RenderableType] = [Text(line, overflow="ellipsis", no_wrap=True) for line in self._said]
        if (moment := self._moment) is not None:
            grid = Table.grid(padding=(0, 2))
            grid.add_row(ProgressBar(total=moment.planned, completed=moment.answered, width=30), moment.line)
            parts.append(grid)
        return Panel(Group(*parts), title="Vitrine · chaos", title_align="left", border_style="dim")
