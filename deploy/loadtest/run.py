"""A load test from its options to its report: one run, or the probes of a search on one system."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Protocol

from deploy.loadtest.attempt import Attempt, View
from deploy.loadtest.document import RunDocument
from deploy.loadtest.inputs import BadInput, Inputs, named
from deploy.loadtest.judging.evidence import Evidence
from deploy.loadtest.judging.judge import judge, latency_series
from deploy.loadtest.ledger.account import rows
from deploy.loadtest.measuring.hlog import write_hlog
from deploy.loadtest.options import RunOptions, command_of
from deploy.loadtest.output import OutputFolder
from deploy.loadtest.report.html_report import write_report
from deploy.loadtest.system.given import open_system
from deploy.loadtest.system.interface import System
from deploy.loadtest.workload.photo_host import BASES, PhotoHost
from deploy.services.atomic import write_atomically


class LiveView(View, Protocol):
    """Whoever watches the services, too."""

    def service(self, name: str, phase: str) -> None:
        """A service changed."""
        ...


def carry_out(options: RunOptions, inputs: Inputs, view: LiveView) -> RunDocument:
    """One run with everything that it starts and stops; its report lies in `options.out`.

    Ctrl-C ends it early: what was measured is written, with `INTERRUPTED` among the reasons in `invalid`.

    Raises:
        BadInput: where nothing was started, for the inputs ask for what there is not.
        DeployError: where it could not be tried.
    """
    options = named(options)
    with _opened(options, inputs, view) as (system, out):
        evidence = Attempt(system, options, inputs, view, out).run()
        return _written(evidence, out)


@contextmanager
def probing(options: RunOptions, inputs: Inputs, view: LiveView) -> Iterator[Callable[[float], RunDocument]]:
    """A started system, and a function that puts it under a rate for `options.duration_s`; stopped after the block.

    Every probe has a namespace of its own, and lasts until the events of the one before are answered or given up.
    """
    options = named(options)
    with _opened(options, inputs, view) as (system, out):
        numbers = count(1)

        def probe(rate: float) -> RunDocument:
            number = next(numbers)
            view.say(f"-- probe {number}: {rate:.3g} events/s")
            own = replace(options, rate=rate, namespace=f"{options.namespace}-{number}", seed=options.seed + number)
            folder = OutputFolder(out.path / f"probe-{number}")
            folder.clear()
            return _written(Attempt(system, own, inputs, view, folder).run(), folder)

        yield probe


@contextmanager
def _opened(options: RunOptions, inputs: Inputs, view: LiveView) -> Iterator[tuple[System, OutputFolder]]:
    out = OutputFolder(options.out)
    photos = partial(_photo_host, options, inputs, out.services)
    opening = open_system(options, view.service, out.services, photos)
    # Known before anything is started, and before the report of an earlier run is gone.
    if unknown := set(inputs.mix.recipes_used) - set(opening.recipes):
        raise BadInput(
            f"the mix names recipes that are not served: {', '.join(sorted(unknown))}; "
            "`--mix marketplace` keeps to those that come with Vitrine"
        )
    out.clear()
    with opening as system:
        yield system, out


def _photo_host(options: RunOptions, inputs: Inputs, folder: Path, host: str, port: int) -> PhotoHost:
    # Drawing takes seconds; where no event names a photo one is enough.
    edges, bases = (inputs.mix.edges_used, BASES) if inputs.mix.has_photos else ((), 0)
    return PhotoHost(folder, seed=options.seed, edges=edges, bases=bases, photos=options.photos, host=host, port=port)


def _written(evidence: Evidence, out: OutputFolder) -> RunDocument:
    document = judge(evidence)
    write_hlog(out.histograms, latency_series(evidence.records), evidence.window_began_at)
    write_atomically(out.document, document.model_dump_json(indent=2) + "\n")
    write_report(document, rows(evidence.records), out.path, command=command_of(evidence.options))
    return document
