"""`python -m models.bench`: ms per photo of 512 px for each net, number of threads and way of running it.

Of plain: median of its time as a share of the plain way's in the same round. cpu ms: of all threads of the process,
nearly the same on a busy machine as on a quiet one. Goal: for one thread of a CPU.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import torch
from rich.console import Console
from rich.table import Table

from models.bench.modes import MODES, PLAIN
from models.bench.nets import ENTRIES, Entry, Subject, subject
from models.bench.timing import take_turns


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure."""

    net: str
    trained: bool
    parameters: int
    device: str
    threads: int
    mode: str
    wall_ms: float
    processor_ms: float
    share: float
    #: For one thread of a CPU.
    goal_ms: float | None


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 2 where the device is not there."""
    options = _parser().parse_args(arguments)
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        sys.stderr.write("there is no CUDA device here\n")
        return 2
    modes = options.modes or [PLAIN, "channels last", "folded", "bf16"]
    compiled = ["compiled"] if options.compile or (device.type == "cuda" and not options.modes) else []
    modes = list(dict.fromkeys([PLAIN, *modes, *compiled]))
    chosen = [entry for entry in ENTRIES if not options.only or entry.name in options.only]
    rows = [row for entry in chosen for row in measured(entry, device, options.threads, modes, options.rounds)]
    if options.json:
        sys.stdout.write(json.dumps([asdict(row) for row in rows]) + "\n")
    else:
        Console().print(_table(rows))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m models.bench", description=__doc__)
    parser.add_argument("--threads", type=int, nargs="+", default=[1], metavar="N", help="on a CPU; 1 by default")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:0, ...")
    parser.add_argument("--rounds", type=int, default=15, help="each way is timed once in each; 15 by default")
    parser.add_argument("--only", nargs="+", choices=[entry.name for entry in ENTRIES], help="nets; all by default")
    parser.add_argument("--modes", nargs="+", choices=list(MODES), help="ways; all but compiled by default")
    parser.add_argument("--compile", action="store_true", help="torch.compile too, as on CUDA: a minute per net")
    parser.add_argument("--json", action="store_true", help="one JSON line instead of a table")
    return parser


def measured(
    entry: Entry, device: torch.device, threads: Sequence[int], modes: Sequence[str], rounds: int
) -> Iterator[Row]:
    """One row per number of threads and way."""
    timed: Subject = subject(entry)
    parameters = sum(each.numel() for each in timed.net.parameters())
    before = torch.get_num_threads()
    try:
        for count in threads:
            torch.set_num_threads(count)
            calls = {mode: MODES[mode](timed, device) for mode in modes}
            finish = torch.cuda.synchronize if device.type == "cuda" else _at_once
            for mode, figures in take_turns(calls, rounds, finish).items():
                yield Row(
                    net=entry.name,
                    trained=timed.trained,
                    parameters=parameters,
                    device=str(device),
                    threads=count,
                    mode=mode,
                    goal_ms=entry.goal_ms if device.type == "cpu" and count == 1 else None,
                    **{name: round(value, 3) for name, value in asdict(figures).items()},
                )
    finally:
        torch.set_num_threads(before)


def _at_once() -> None:
    """A CPU has finished when it returns."""


def _table(rows: Sequence[Row]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for name in ("net", "weights", "threads", "way"):
        table.add_column(name, no_wrap=True)
    for name in ("ms", "of plain", "cpu ms", "goal"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        goal = "-" if row.goal_ms is None else f"{row.goal_ms:g}"
        weights = "trained" if row.trained else "random"
        figures = (f"{row.wall_ms:.1f}", f"{row.share:.2f}", f"{row.processor_ms:.1f}", goal)
        table.add_row(row.net, weights, str(row.threads), row.mode, *figures)
    return table


if __name__ == "__main__":
    sys.exit(main())
