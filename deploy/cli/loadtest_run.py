"""Where the command line meets the load test itself."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

from deploy.cli.loadtest_exit import inputs_read
from deploy.loadtest import run
from deploy.loadtest.document import RunDocument
from deploy.loadtest.inputs import Inputs, read_inputs
from deploy.loadtest.options import RunOptions
from deploy.loadtest.output import OutputFolder
from deploy.loadtest.report.terminal import RunView


def check_inputs(options: RunOptions) -> Inputs:
    """Read all that the run is given; `BadInput` where something cannot be used. Nothing is started."""
    with inputs_read():
        inputs = read_inputs(options)
        OutputFolder(options.out).require_ours()
    return inputs


def carry_out(options: RunOptions, inputs: Inputs, console: Console) -> RunDocument:
    """One run with everything that it starts and stops, watched on the console; its report lies in `options.out`.

    `DeployError` where it could not be tried.
    """
    with RunView(console) as view:
        return run.carry_out(options, inputs, view)


@contextmanager
def probing(options: RunOptions, inputs: Inputs, console: Console) -> Iterator[Callable[[float], RunDocument]]:
    """A started system, and a function that puts it under a rate for `options.duration_s`; stopped after the block."""
    with RunView(console) as view, run.probing(options, inputs, view) as probe:
        yield probe
