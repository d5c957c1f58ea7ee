"""`vitrine loadtest search`: probes on one started system, and `search.json`."""

import shlex
import sys
from collections.abc import Callable
from datetime import UTC, datetime

from rich.console import Console
from rich.text import Text

from deploy.cli.loadtest_exit import INVALID, MET, MISSED
from deploy.cli.loadtest_run import probing
from deploy.loadtest.document import Probe, RunDocument, SearchDocument
from deploy.loadtest.inputs import Inputs
from deploy.loadtest.options import RunOptions
from deploy.loadtest.report.html_report import write_search_report
from deploy.loadtest.report.words import figure, ms, rate
from deploy.loadtest.searching.probes import ProbeResult, result_of
from deploy.loadtest.searching.search import SearchOutcome, search
from deploy.services.atomic import write_atomically

_FILE = "search.json"


class Searching:
    """One search: keeps what the probes told, and writes it down after each."""

    def __init__(
        self, options: RunOptions, inputs: Inputs, most_probes: int, tolerance: float, console: Console
    ) -> None:
        self._options = options
        self._inputs = inputs
        self._most = most_probes
        self._tolerance = tolerance
        self._console = console
        self._started_at = datetime.now(UTC)
        self._lines: list[Probe] = []
        self._last: RunDocument | None = None

    def run(self, low: float, high: float) -> SearchDocument:
        """Find the capacity between two rates; `search.json` lies in the folder of the options, whatever ends it."""
        try:
            with probing(self._options, self._inputs, self._console) as probe:
                outcome = search(
                    lambda rate: self._probed(probe, rate),
                    low,
                    high,
                    tolerance=self._tolerance,
                    most_probes=self._most,
                    report=self._report,
                )
        except BaseException as error:
            # What the probes told so far is not lost, whatever ended the search.
            note = "interrupted" if isinstance(error, KeyboardInterrupt) else f"not carried through: {error}"
            self._written(SearchOutcome(capacity=None, interval=None, knee=None, probes=(), note=note))
            raise
        return self._written(outcome)

    def _probed(self, probe: Callable[[float], RunDocument], rate: float) -> ProbeResult:
        self._last = probe(rate)
        return result_of(rate, self._last)

    def _report(self, one: ProbeResult) -> None:
        self._lines.append(one.line())
        self._console.print(_told(len(self._lines), self._most, self._lines[-1]), soft_wrap=True)

    def _written(self, outcome: SearchOutcome) -> SearchDocument:
        last, options = self._last, self._options
        document = SearchDocument(
            capacity=outcome.capacity,
            interval=outcome.interval,
            knee=outcome.knee,
            at_least=outcome.at_least,
            note=outcome.note,
            slo=[] if last is None else [f"{one.name} {one.required}" for one in last.slo.objectives],
            probes=self._lines,
            driver=options.driver.value,
            seed=options.seed,
            started_at=self._started_at,
            revision="" if last is None else last.revision,
            environment={} if last is None else last.environment,
            config={} if last is None else last.config,
        )
        write_atomically(options.out / _FILE, document.model_dump_json(indent=2) + "\n")
        write_search_report(document, options.out, command=shlex.join(["vitrine", *sys.argv[1:]]))
        return document


def _told(number: int, most: int, one: Probe) -> Text:
    """One line as a probe is done."""
    style = {"met": "green", "missed": "red"}.get(one.verdict, "yellow")
    text = f" {rate(one.rate)}: {figure(one.delivered)} delivered, p90 {ms(one.p90_ms)}, p99 {ms(one.p99_ms)}, "
    note = f" ({one.note})" if one.note else ""
    return Text.assemble((f"{number}/{most}", "dim"), text, (one.verdict, style), note)


def code_of_search(document: SearchDocument) -> int:
    """0 with a capacity, 1 where no rate meets the SLO, 2 where not one probe was valid."""
    if document.capacity is not None:
        return MET
    return MISSED if any(one.verdict != "invalid" for one in document.probes) else INVALID
