"""Figures for people and for programs."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.table import Table
from rich.text import Text

from deploy.bench.figure import Figure
from deploy.bench.registry import BENCHES


def table(figures: Sequence[Figure]) -> Table:
    """One row per figure."""
    made = Table(title=f"ratios within one run, {machine()}", title_justify="left", show_lines=True)
    made.add_column("bench", no_wrap=True)
    made.add_column("measured / baseline", min_width=20)
    for name in ("ratio", "min..max", "goal", "rates"):
        made.add_column(name, justify="right", no_wrap=True)
    for figure in figures:
        made.add_row(*_row(figure))
    return made


def _row(figure: Figure) -> list[Text | str]:
    bench = BENCHES[figure.name]
    low, high = figure.spread
    what = "\n".join(filter(None, [f"{bench.measured} /", bench.baseline, figure.note]))
    return [
        figure.name,
        what,
        f"{figure.ratio:.2f}",
        f"{low:.2f}..{high:.2f}",
        verdict(figure),
        f"{_rounded(figure.measured)} /\n{_rounded(figure.baseline)}\n{figure.unit}",
    ]


def verdict(figure: Figure) -> Text:
    """The goal and whether it is met."""
    if figure.goal is None:
        return Text("none")
    if figure.missed:
        return Text(f"{figure.goal:g} MISSED", style="bold red")
    return Text(f"{figure.goal:g} met", style="green")


def _rounded(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.2f}"


def machine() -> str:
    """The few facts without which rates mean nothing."""
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores, {platform.machine()}, Python {platform.python_version()}"


def write_json(file: Path, figures: Sequence[Figure]) -> None:
    """All figures with their rounds, and the machine."""
    entries = [
        {
            **asdict(figure),
            "min": figure.spread[0],
            "max": figure.spread[1],
            "missed": figure.missed,
            "rounds": [asdict(one) | {"ratio": one.ratio} for one in figure.rounds],
        }
        for figure in figures
    ]
    file.write_text(json.dumps({"machine": machine(), "figures": entries}, indent=2) + "\n")
