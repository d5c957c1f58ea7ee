"""The folder of a run: `run.json`, curves, samples and the page that shows them side by side."""

import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2

from models.pictures import Picture
from models.training.charts import Chart, Series, draw
from models.training.page import comparison_page, run_page
from models.training.record import Record, read_record, write_record

PAGE, LOSSES, FIGURES = "index.html", "losses.png", "figures.png"


def write_report(folder: Path, run: Record) -> None:
    """Write `run.json`, the curves, and the page over them and the samples that are there."""
    folder.mkdir(parents=True, exist_ok=True)
    write_record(folder, run)
    _write_charts(folder, {"": run})
    shown = [(step, path.relative_to(folder).as_posix()) for step, path in samples(folder) if step <= run["step"]]
    _write_text(folder / PAGE, run_page(run, shown))


def write_comparison(folders: Sequence[Path], out: Path) -> None:
    """A page in `out` with these runs beside each other; raise `OSError` or `ValueError` without a `run.json`."""
    titles = [folder.name for folder in folders]
    named = zip(titles if len(set(titles)) == len(titles) else map(str, folders), folders, strict=True)
    places = dict(named)
    runs = {title: read_record(folder) for title, folder in places.items()}
    out.mkdir(parents=True, exist_ok=True)
    newest = {}
    for number, (title, folder) in enumerate(places.items()):
        if pictures := samples(folder):
            newest[title] = f"samples-{number}.png"
            shutil.copyfile(pictures[-1][1], out / newest[title])
    _write_charts(out, runs)
    _write_text(out / PAGE, comparison_page(runs, newest))


def sample_path(folder: Path, step: int) -> Path:
    """Where the samples of a step go."""
    return folder / "samples" / f"step-{step:06d}.png"


def samples(folder: Path) -> list[tuple[int, Path]]:
    """Steps and pictures, oldest first."""
    found = [(re.fullmatch(r"step-(\d+)", path.stem), path) for path in (folder / "samples").glob("*.png")]
    return sorted((int(match[1]), path) for match, path in found if match)


def write_picture(path: Path, picture: Picture) -> None:
    """Write uint8 [H, W, 3] sRGB as PNG, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _, coded = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    partial = path.with_suffix(".partial")
    partial.write_bytes(coded.tobytes())
    partial.replace(path)


def _write_text(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, "utf-8")
    partial.replace(path)


def _write_charts(folder: Path, runs: Mapping[str, Record]) -> None:
    write_picture(folder / LOSSES, draw(loss_charts(runs), columns=2))
    write_picture(folder / FIGURES, draw(figure_charts(runs), columns=2))


def loss_charts(runs: Mapping[str, Record]) -> list[Chart]:
    """A chart per term of the loss, a line per run."""
    terms = dict.fromkeys(term for run in runs.values() for term in run["losses"]["terms"])
    return [
        Chart(
            title=term,
            falling=True,
            series=[
                Series(name=title, steps=run["losses"]["steps"], values=run["losses"]["terms"][term])
                for title, run in runs.items()
                if term in run["losses"]["terms"]
            ],
        )
        for term in terms
    ]


def figure_charts(runs: Mapping[str, Record]) -> list[Chart]:
    """A chart per figure, a line per run; of a single run, figures with the same name before a slash share a chart."""
    names = dict.fromkeys(name for run in runs.values() for figures in run["figures"] for name in figures)
    charts: dict[str, list[Series]] = {}
    for name in names:
        if name in {"step", "n"}:
            continue
        group, _, member = name.partition("/")
        chart = group + "/" if member and len(runs) == 1 else name
        for title, run in runs.items():
            points = [(figures["step"], figures[name]) for figures in run["figures"] if name in figures]
            if points:
                steps, values = zip(*points, strict=True)
                charts.setdefault(chart, []).append(Series(name=title or member, steps=steps, values=values))
    return [Chart(title=title.removesuffix("/"), series=series) for title, series in charts.items()]
