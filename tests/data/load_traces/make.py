"""Makes the load traces beside it: `python tests/data/load_traces/make.py`. They are synthetic, no recordings.

A trace is a CSV of `start_s,events`: so many events arrive, evenly, in the thirty seconds from there on. What
arrives is drawn from a Poisson distribution around the rate that the functions below give, with a fixed seed.
"""

import csv
import math
from collections.abc import Callable
from pathlib import Path
from random import Random

STEP_S = 30
HOUR_S = 3600


def steady(_: int) -> float:
    """Events per second of a shop whose feed runs all day: 3.2 replicas' worth."""
    return 3.2


def daily_wave(at: int) -> float:
    """A day: nearly nothing at night, most in the afternoon."""
    return 0.2 + 5.8 * max(0.0, math.sin((at / HOUR_S - 6) / 14 * math.pi)) ** 1.5 if 6 <= at / HOUR_S <= 20 else 0.05


def flash_crowd(at: int) -> float:
    """Half an hour into a quiet feed, twenty times as much for ten minutes."""
    return 10.0 if 1800 <= at < 2400 else 0.5


def night_import(at: int) -> float:
    """100,000 events within ten minutes, on top of nothing."""
    return 100_000 / 600 if 600 <= at < 1200 else 0.0


def stop_and_go(at: int) -> float:
    """Every twenty minutes a file of some hundred events, and nothing between."""
    return 4.0 if at % 1200 < 120 else 0.0


TRACES: dict[str, tuple[Callable[[int], float], int]] = {
    "steady": (steady, 6 * HOUR_S),
    "daily_wave": (daily_wave, 24 * HOUR_S),
    "flash_crowd": (flash_crowd, 2 * HOUR_S),
    "night_import": (night_import, 8 * HOUR_S),
    "stop_and_go": (stop_and_go, 4 * HOUR_S),
}


def poisson(random: Random, mean: float) -> int:
    """A number of events; for large means by the normal distribution."""
    if mean > 50:
        return max(0, round(random.gauss(mean, math.sqrt(mean))))
    limit, product, count = math.exp(-mean), random.random(), 0
    while product > limit:
        product *= random.random()
        count += 1
    return count


def main(folder: Path) -> None:
    """Write every trace into this folder."""
    for name, (rate, length_s) in TRACES.items():
        random = Random(name)
        with (folder / f"{name}.csv").open("w", newline="", encoding="ascii") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(["start_s", "events"])
            for start in range(0, length_s, STEP_S):
                if events := poisson(random, rate(start) * STEP_S):
                    rows.writerow([start, events])


if __name__ == "__main__":
    main(Path(__file__).parent)
