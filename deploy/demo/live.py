"""What the person sees while the demo runs: a live view on a terminal, plain lines elsewhere."""

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from deploy.demo.progress import Progress

_PLAIN_EVERY_S = 5.0
_STYLES = {"ready": "green", "starting": "yellow", "stopping": "yellow", "stopped": "dim"}
_ENDINGS = {
    "enriched": "green",
    "review_required": "yellow",
    "rejected": "red",
    "failed": "red",
    "dead letter": "red",
}


class View:
    """Shows services and progress. Used as a context manager; `quiet` shows nothing."""

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        self._console = console
        self._quiet = quiet
        self._services: dict[str, str] = {}
        self._progress: Progress | None = None
        self._phase = "starting"
        self._told: tuple[float, int] = (0.0, -1)
        live = console.is_terminal and not quiet
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
        self._services[name] = phase
        if self._live is None:
            self._line(f"{name}: {phase}")

    def phase(self, text: str) -> None:
        """What goes on now."""
        self._phase = text
        if self._live is None:
            self._line(text)

    def update(self, progress: Progress) -> None:
        """New figures; without a terminal a line every few seconds, if something changed."""
        self._progress = progress
        now = time.monotonic()
        at, answered = self._told
        if self._live is None and now - at >= _PLAIN_EVERY_S and progress.answered != answered:
            self._told = (now, progress.answered)
            self._line(plain(progress))

    def _line(self, text: str) -> None:
        if not self._quiet:
            self._console.print(Text(text), soft_wrap=True)

    def _render(self) -> RenderableType:
        return render(self._phase, self._services, self._progress)


def plain(progress: Progress) -> str:
    """The figures in one line."""
    endings = ", ".join(f"{count} {name}" for name, count in sorted(progress.endings.items()))
    return (
        f"{progress.sent}/{progress.planned} events sent, {progress.answered} answered ({endings or 'none yet'}), "
        f"{progress.open} waiting, {progress.images} images, {progress.images_per_s:.1f} images/s"
    )


def render(phase: str, services: Mapping[str, str], progress: Progress | None) -> RenderableType:
    """The live view."""
    line = Text.assemble(*(part for name, state in services.items() for part in _service(name, state)))
    parts: list[RenderableType] = [line]
    if progress is not None:
        parts += [_bar(progress), Columns([_endings(progress), _stages(progress), _reasons(progress)], padding=(1, 4))]
    title = Text.assemble(("Vitrine", "bold"), f" · {phase}")
    return Panel(Group(*parts), title=title, title_align="left", border_style="dim")


def _service(name: str, state: str) -> tuple[tuple[str, str], str]:
    return ("● ", _STYLES.get(state, "red")), f"{name} {state}   "


def _bar(progress: Progress) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    grid.add_row(
        ProgressBar(total=max(1, progress.planned), completed=progress.answered, width=30),
        f"{progress.sent}/{progress.planned} sent",
        f"{progress.answered} answered",
        f"{progress.open} waiting",
        f"{progress.images} images",
        f"{progress.images_per_s:.1f} images/s",
        f"{progress.elapsed_s:.0f} s",
    )
    return grid


def _endings(progress: Progress) -> Table:
    table = Table("ended as", "events", box=None, title_justify="left")
    for name, count in sorted(progress.endings.items(), key=lambda item: -item[1]):
        table.add_row(Text(name, style=_ENDINGS.get(name, "blue")), str(count))
    return table


def _stages(progress: Progress) -> Table:
    table = Table("stage", "images", "ms/image", box=None)
    for name, stage in progress.stages.items():
        table.add_row(Text(name), str(stage.images), f"{stage.mean_ms:.0f}")
    return table


def _reasons(progress: Progress) -> Table:
    table = Table("not published for", "times", box=None)
    for name, count in list(progress.reasons.items())[:8]:
        table.add_row(Text(name), str(count))
    return table
