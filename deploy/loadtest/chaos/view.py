"""What a person sees while a chaos run goes on: a live view on a terminal, plain lines elsewhere."""

from dataclasses import dataclass

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from deploy.loadtest.report.screen import Screen

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


class ChaosView(Screen):
    """Shows services, progress and faults."""

    def __init__(self, console: Console) -> None:
        super().__init__(console, lines=_LINES)
        self._moment: Moment | None = None

    def service(self, name: str, phase: str) -> None:
        """A service changed."""
        self.say(f"{name}: {phase}")

    def update(self, moment: Moment) -> None:
        """New figures."""
        self._moment = moment
        self.tell(moment.line)

    def render(self) -> RenderableType:
        """The picture of the moment."""
        parts: list[RenderableType] = [Text(line, overflow="ellipsis", no_wrap=True) for line in self.said]
        if (moment := self._moment) is not None:
            grid = Table.grid(padding=(0, 2))
            grid.add_row(ProgressBar(total=moment.planned, completed=moment.answered, width=30), moment.line)
            parts.append(grid)
        return Panel(Group(*parts), title="Vitrine · chaos", title_align="left", border_style="dim")
