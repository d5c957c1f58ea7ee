"""The course of the run: charts over the same seconds below each other, faults through all of them."""

from collections.abc import Sequence

from deploy.loadtest.document import Mark, RunDocument, Series
from deploy.loadtest.report.charts.frame import STYLES, Line
from deploy.loadtest.report.charts.scales import Label, known
from deploy.loadtest.report.charts.timeline import Band, Timeline, timeline
from deploy.loadtest.report.page.elements import Table, chart, section, table, text
from deploy.loadtest.report.words import NONE, count, figure, ms, plural, readable, seconds, short, short_ms

Values = Sequence[float | None]


class Course:
    """Charts of a run over time."""

    def __init__(self, document: RunDocument) -> None:
        self._document = document
        self._series = document.series
        self.bands = bands(document.marks)

    def rates(self) -> str:
        """Offered, delivered, goodput."""
        lines = [
            Line(name="goodput", values=self._series.goodput, style=3, filled=True),
            Line(name="delivered", values=self._series.delivered, style=1),
            Line(name="offered", values=self._series.offered, style=2),
        ]
        return self._chart("Throughput", "events/s", lines, short, named=True)

    def latency(self) -> str:
        """Median and p99."""
        lines = [
            Line(name="p99", values=self._series.p99_ms, style=2),
            Line(name="p50", values=self._series.p50_ms, style=1),
        ]
        within = (self._document.within_ms, f"in time: {short_ms(self._document.within_ms)}")
        note = "from the intended time, by the time at which events were to be sent"
        return self._chart("Latency", note, lines, short_ms, may_bend=True, guide=within)

    def lag(self) -> str:
        """What waits in the queue, and how long the oldest of it has waited."""
        return self._samples("Queue", "events that wait", {"lag_events": "waiting"}, count, whole=True) + self._samples(
            "Oldest event in the queue", "", {"lag_age_s": "age"}, seconds
        )

    def copies(self) -> str:
        """Replicas and consumers."""
        names = {"replicas": "replicas", "consumers": "consumers"}
        return self._samples("Replicas and consumers", "", names, short, stepped=True, whole=True, height=90)

    def cpu(self) -> str:
        """Cores by role."""
        return self._samples("CPU", "cores, roles on top of each other", self._roles("cpu."), short, stacked=True)

    def memory(self) -> str:
        """Memory by role."""
        return self._samples("Memory", "MB", self._roles("rss_mb."), short)

    def rest(self) -> str:
        """A chart for each other sample, such as those of a GPU."""
        shown = {"lag_events", "lag_age_s", "replicas", "consumers", *self._roles("cpu."), *self._roles("rss_mb.")}
        return "".join(
            self._samples(text(name), "", {name: name}, short, height=90)
            for name in sorted(self._series.samples)
            if name not in shown
        )

    def _roles(self, prefix: str) -> dict[str, str]:
        return {name: name.removeprefix(prefix) for name in sorted(self._series.samples) if name.startswith(prefix)}

    def _samples(
        self,
        title: str,
        note: str,
        names: dict[str, str],
        label: Label,
        *,
        stepped: bool = False,
        stacked: bool = False,
        whole: bool = False,
        height: float = 120,
    ) -> str:
        samples = self._series.samples
        there = [(name, words) for name, words in names.items() if name in samples]
        lines = [
            Line(name=words, values=samples[name], style=index % STYLES + 1, stepped=stepped)
            for index, (name, words) in enumerate(there)
        ]
        return self._chart(title, note, lines, label, stacked=stacked, whole=whole, height=height) if lines else ""

    def _chart(
        self,
        title: str,
        note: str,
        lines: Sequence[Line],
        label: Label,
        *,
        named: bool = False,
        may_bend: bool = False,
        stacked: bool = False,
        whole: bool = False,
        guide: tuple[float, str] | None = None,
        height: float = 150,
    ) -> str:
        content = Timeline(
            title=title,
            description=f"Over {seconds(self._document.duration_s)}. {_spoken(lines, label)}",
            # A figure is of a whole step: it stands in its middle.
            at_s=[at + self._series.step_s / 2 for at in self._series.at_s],
            lines=lines,
            label=label,
            bands=self.bands,
            window=(0.0, self._document.duration_s),
            stacked=stacked,
            whole=whole,
            may_bend=may_bend,
            guide=guide,
            named=named,
            height=height,
        )
        return chart(title, note, lambda width: timeline(content, width))


def _spoken(lines: Sequence[Line], label: Label) -> str:
    parts = []
    for one in lines:
        values = known(one.values)
        parts.append(f"{one.name}: {label(min(values))} to {label(max(values))}" if values else f"{one.name}: nothing")
    return "; ".join(parts) + "."


def course(document: RunDocument) -> str:
    """Rates, latency and queue, with the faults."""
    charts = Course(document)
    lead = "Grey at the left is warm-up, grey at the right drain: neither counts."
    if charts.bands:
        lead += f" Bands are the {plural(len(charts.bands), 'fault')}, from strike to heal."
    parts = (charts.rates(), charts.latency(), charts.lag(), charts.copies(), _faults(document, charts.bands))
    return section("course", "Over time", lead, *parts)


def resources(document: RunDocument) -> str:
    """CPU and memory by role, and what a soak shows."""
    charts = Course(document)
    lead = f"The load test itself used {figure(document.harness_cores)} cores."
    return section("resources", "Resources", lead, charts.cpu(), charts.memory(), charts.rest(), _soak(document))


def bands(marks: Sequence[Mark]) -> list[Band]:
    """Faults by their marks, numbered from 1; a strike without a heal lasts to the end."""
    found: list[Band] = []
    for mark in sorted(marks, key=lambda one: one.at_s):
        if mark.phase == "strike":
            found.append(Band(len(found) + 1, readable(mark.fault), mark.at_s, None))
            continue
        open_ = [band for band in found if band.name == readable(mark.fault) and band.end_s is None]
        for band in open_[:1]:
            found[band.number - 1] = band._replace(end_s=mark.at_s + mark.took_s)
    return found


def _faults(document: RunDocument, shown: Sequence[Band]) -> str:
    if not shown:
        return ""
    strikes = sorted((mark for mark in document.marks if mark.phase == "strike"), key=lambda one: one.at_s)
    rows = []
    for band, strike in zip(shown, strikes, strict=True):
        end = document.series.at_s[-1] if band.end_s is None and document.series.at_s else band.end_s or band.start_s
        worst = _worst(document.series, document.series.p99_ms, band.start_s, end)
        queue = _worst(document.series, document.series.samples.get("lag_events", []), band.start_s, end)
        lasted = "not healed" if band.end_s is None else seconds(round(band.end_s - band.start_s, 1))
        rows.append(
            (
                str(band.number),
                f"<b>{text(band.name)}</b>",
                text(strike.what),
                seconds(round(band.start_s, 1)),
                lasted,
                ms(worst),
                NONE if queue is None else count(queue),
            )
        )
    head = ("", "fault", "what", "struck at", "for", "worst p99 meanwhile", "deepest queue")
    return table(Table(head=head, rows=rows, numbers=frozenset({3, 4, 5, 6}), class_="cards"))


def _worst(series: Series, values: Values, start: float, end: float) -> float | None:
    inside = [value for at, value in zip(series.at_s, values, strict=False) if start - series.step_s < at <= end]
    return max(known(inside), default=None)


def _soak(document: RunDocument) -> str:
    if not document.soak:
        return ""
    rows = [
        (
            f"<b>{text(one.role)}</b>",
            f"{figure(one.start_mb)} MB",
            f"{figure(one.end_mb)} MB",
            f"{figure(one.slope_mb_per_h)} MB/h",
            f"{figure(one.interval.low)} to {figure(one.interval.high)}",
            '<span class="badge bad">grows</span>' if one.leaks else '<span class="badge good">steady</span>',
        )
        for one in document.soak
    ]
    head = ("role", "at the start", "at the end", "slope", "95 % interval", "")
    return table(Table(head=head, rows=rows, numbers=frozenset({1, 2, 3, 4}), class_="cards", caption="Memory trend"))
