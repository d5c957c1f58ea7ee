"""What a whole load test costs beside the system that it puts under load, at 500 events a second."""

import tempfile
from pathlib import Path

from rich.console import Console

from deploy.bench.answering import answering
from deploy.bench.figure import Figure, Progress, Round
from deploy.errors import ServiceFailed
from deploy.loadtest.document import RunDocument
from deploy.loadtest.inputs import read_inputs
from deploy.loadtest.options import DriverKind, RunOptions
from deploy.loadtest.report.terminal import RunView
from deploy.loadtest.run import carry_out

_RATE = 500.0
#: Everything of the load test together may use one core.
_GOAL = 1.0
_MIX = "new_listings: 1\nfirst: {bare: 1}\n"


def run(progress: Progress, *, seconds: float = 15.0, rounds: int = 3) -> Figure:
    """One core by those that the load test uses, both as rates; over HTTP to an ingress that answers at once."""
    found = []
    with tempfile.TemporaryDirectory(prefix="vitrine-bench-") as name:
        folder = Path(name)
        (folder / "mix.yaml").write_text(_MIX)
        with answering(folder) as url:
            for number in range(rounds):
                progress(number, rounds)
                found.append(_measured(folder, url, seconds, number))
    progress(rounds, rounds)
    lag = max(one.generator_lag_ms.p99 or 0.0 for one in found)
    invalid = sum(not one.valid for one in found)
    note = f"generator lag p99 {lag:.1f} ms at most; {invalid} of {rounds} runs invalid"
    turns = [Round(1.0, 1 / one.harness_cores) for one in found]
    return Figure.of("loadtest", turns, unit="1/core", goal=_GOAL, note=note)


def _measured(folder: Path, url: str, seconds: float, seed: int) -> RunDocument:
    options = RunOptions(
        driver=DriverKind.HTTP,
        rate=_RATE,
        duration_s=seconds,
        warmup_s=2.0,
        drain_s=10.0,
        seed=seed,
        mix=folder / "mix.yaml",
        out=folder / f"out-{seed}",
        serve_url=url,
        namespace=f"bench{seed}",
    )
    with RunView(Console(quiet=True)) as view:
        document = carry_out(options, read_inputs(options), view)
    # An idle load test is a cheap one.
    if document.ledger.missing or document.ledger.unsent or not document.harness_cores:
        raise ServiceFailed(f"{document.ledger.missing} events were lost, {document.ledger.unsent} were not sent")
    return document
