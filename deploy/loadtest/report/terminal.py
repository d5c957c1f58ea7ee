"""A load test on the terminal while it runs."""

from collections import deque
from collections.abc import Iterable, Sequence

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from deploy.loadtest.measuring.moment import Moment
from deploy.loadtest.report.screen import Screen, plain
from deploy.loadtest.report.words import count, figure, ms, rate, readable, seconds

_LINES = 6
#: Figures of so many seconds are in the sparklines.
_HISTORY = 48
_BLOCKS = "▁▂▃▄▅▆▇█"
_PHASES = {"ready": "green", "starting": "yellow", "stopping": "yellow", "stopped": "dim"}
_STYLES = {"enriched": "green", "review_required": "yellow", "failed": "red"}


class RunView(Screen):
    """Services while they start; then how far the run is, its figures, and the fault that is on."""

    def __init__(self, console: Console) -> None:
        super().__init__(console, lines=_LINES)
        self._services: dict[str, str] = {}
        self._moment: Moment | None = None
        self._history: deque[Moment] = deque(maxlen=_HISTORY)

    def service(self, name: str, phase: str) -> None:
        """A service changed."""
        self._services[name] = phase
        if self.is_plain:
            self._print(f"{name}: {phase}")

    def update(self, moment: Moment) -> None:
        """New figures."""
        self._moment = moment
        if not self._history or moment.elapsed_s - self._history[-1].elapsed_s >= 1:
            self._history.append(moment)
        self.tell(line(moment))

    def render(self) -> RenderableType:
        """The picture of the moment."""
        parts: list[RenderableType] = []
        if self._moment is None:
            parts.append(_services(self._services))
        else:
            parts += [
                _progress(self._moment),
                Text(),
                _figures(self._moment),
                _curves(self._history),
                _endings(self._moment),
            ]
            parts += [part for part in (_samples(self._moment), _fault(self._moment)) if part]
        parts += [_one_line(plain(text, "dim")) for text in self.said]
        title = f"Vitrine · load test · {'starting' if self._moment is None else self._moment.phase}"
        return Panel(Group(*parts), title=plain(title), title_align="left", border_style="dim")


def line(moment: Moment) -> str:
    """The figures in one line."""
    parts = [
        f"{moment.elapsed_s:5.0f}/{moment.planned_s:.0f} s {moment.phase}",
        f"{rate(moment.offered)} offered, {rate(moment.delivered)} delivered",
        f"{count(_open(moment))} in flight",
        f"p50 {ms(moment.p50_ms)}, p99 {ms(moment.p99_ms)}",
        f"generator lag p99 {ms(moment.lag_p99_ms)}",
    ]
    if moment.unsent:
        parts.append(f"{count(moment.unsent)} unsent")
    if moment.faults:
        parts.append(f"fault {moment.healed}/{moment.faults}: {moment.fault or 'none'}")
    return ", ".join(parts)


def sparkline(values: Sequence[float | None]) -> str:
    """A block for each figure, from 0 to the largest; a blank where there is none."""
    top = max((value for value in values if value is not None), default=0.0)
    if top <= 0:
        return "".join(" " if value is None else _BLOCKS[0] for value in values)
    last = len(_BLOCKS) - 1
    return "".join(" " if value is None else _BLOCKS[min(last, max(0, round(value / top * last)))] for value in values)


def _open(moment: Moment) -> int:
    return max(0, moment.sent - moment.answered)


def _services(services: dict[str, str]) -> Text:
    return Text.assemble(
        *(
            part
            for name, phase in services.items()
            for part in ((("● "), _PHASES.get(phase, "red")), plain(f"{name} {phase}   "))
        )
    )


def _progress(moment: Moment) -> RenderableType:
    left = moment.planned_s - moment.elapsed_s
    until = f"{seconds(round(left))} left" if left >= 1 else f"{count(_open(moment))} events to wait for"
    grid = Table.grid(padding=(0, 2))
    grid.add_row(
        ProgressBar(total=max(1, moment.planned), completed=min(moment.planned, moment.answered), width=24),
        _one_line(plain(f"{count(moment.answered)} of {count(moment.planned)} answered")),
        _one_line(plain(until, "bold")),
    )
    return grid


def _figures(moment: Moment) -> Table:
    table = Table(
        "offered",
        "delivered",
        "in flight",
        "p50",
        "p99",
        "generator lag p99",
        box=None,
        padding=(0, 2, 0, 0),
        pad_edge=False,
    )
    table.add_row(
        rate(moment.offered),
        Text(rate(moment.delivered), style="bold"),
        count(_open(moment)),
        ms(moment.p50_ms),
        Text(ms(moment.p99_ms), style="bold"),
        ms(moment.lag_p99_ms),
    )
    return table


def _curves(history: Iterable[Moment]) -> Table:
    moments = list(history)
    grid = Table.grid(padding=(0, 2))
    delivered, p99 = [one.delivered for one in moments], [one.p99_ms for one in moments]
    grid.add_row("")
    grid.add_row("delivered", Text(sparkline(delivered), style="cyan", no_wrap=True, overflow="crop"))
    grid.add_row("p99", Text(sparkline(p99), style="yellow", no_wrap=True, overflow="crop"))
    return grid


def _endings(moment: Moment) -> Text:
    shown = sorted(((name, number) for name, number in moment.endings.items() if number), key=lambda one: -one[1])
    parts = [
        plain(f"{readable(name)}\N{NO-BREAK SPACE}{count(number)}   ", _STYLES.get(name, "blue"))
        for name, number in shown
    ]
    if moment.unsent:
        parts.append(Text(f"{count(moment.unsent)} unsent", style="bold red"))
    return Text.assemble("\n", *parts)


def _samples(moment: Moment) -> Text | None:
    samples = moment.samples
    parts = []
    if "lag_events" in samples:
        age = f", oldest {seconds(round(samples['lag_age_s'], 1))}" if "lag_age_s" in samples else ""
        parts.append(f"queue {count(samples['lag_events'])}{age}")
    parts += [f"{name} {count(samples[name])}" for name in ("replicas", "consumers") if name in samples]
    cores = {name.removeprefix("cpu."): used for name, used in samples.items() if name.startswith("cpu.")}
    if cores:
        used = ", ".join(f"{name} {figure(number)}" for name, number in sorted(cores.items(), key=lambda one: -one[1]))
        parts.append(f"cores: {used}")
    return plain(" · ".join(parts)) if parts else None


def _fault(moment: Moment) -> Text | None:
    if not moment.faults:
        return None
    if moment.fault is None:
        return plain(f"fault {moment.healed} of {moment.faults} healed")
    return plain(f"fault {moment.healed + 1} of {moment.faults} is on: {moment.fault}", "bold red")


def _one_line(text: Text) -> Text:
    text.no_wrap, text.overflow = True, "ellipsis"
    return text
