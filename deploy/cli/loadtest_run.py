"""Where the command line meets the load test itself."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

from deploy.cli.loadtest_exit import inputs_read
from deploy.errors import DeployError
from deploy.loadtest.faults.timeline import load_timeline
from deploy.loadtest.judging.slo import read_slo
from deploy.loadtest.options import RunOptions
from deploy.loadtest.report.document import RunDocument
from deploy.loadtest.workload.arrivals import Arrivals
from deploy.loadtest.workload.mix import load_mix


def check_inputs(options: RunOptions) -> None:
    """Read all that the run is given; `BadInput` where something cannot be used. Nothing is started."""
    with inputs_read():
        load_mix(options.mix)
        read_slo(options.slo)
        Arrivals.parse(options.arrivals)
        if options.chaos is not None:
            load_timeline(options.chaos, options.seed, options.duration_s)


def carry_out(options: RunOptions, console: Console) -> RunDocument:
    """One run with everything that it starts and stops; its report lies in `options.out`.

    Ctrl-C ends it early: what was measured is written, with `INTERRUPTED_REASON` among the reasons in `invalid`.
    `DeployError` where it could not be carried through.
    """
    raise DeployError(f"no run for {options.driver} on {console.width} columns yet")


@contextmanager
def probing(options: RunOptions, console: Console) -> Iterator[Callable[[float], RunDocument]]:
    """A started system, and a function that puts it under a rate for `options.duration_s`; stopped after the block.

    Every probe has a namespace of its own, and waits until the events of the one before are answered.
    """
    yield lambda rate: carry_out(options, console)  # noqa: ARG005 - until there is a run
