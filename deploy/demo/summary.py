"""The figures of a finished run."""

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from deploy.demo.ledger import Ledger
from deploy.demo.options import DemoOptions
from deploy.demo.output import OutputFolder
from deploy.demo.progress import Progress
from deploy.demo.recipes import Recipes
from deploy.demo.sheet import Extra
from deploy.demo.verify import Verification

_PACKAGES = ("vitrine", "ray", "torch", "opencv-python-headless", "pillow", "kafka-python")


def summary(
    options: DemoOptions, ledger: Ledger, progress: Progress, found: Verification, phases: dict[str, float]
) -> dict[str, Any]:
    """What stands in `summary.json`; `ok` decides the exit code."""
    problems = [*ledger.problems, *found.mismatches]
    if not progress.images:
        problems.append("no listing got a picture")
    return {
        "ok": not problems,
        "problems": problems,
        "events": progress.sent,
        "answered": progress.answered,
        "outcomes": dict(sorted(progress.endings.items())),
        "images": progress.images,
        "verdicts": dict(sorted(progress.verdicts.items())),
        "not_published_for": dict(progress.reasons),
        "images_per_s": round(progress.images_per_s, 3),
        "stages_ms_per_image": {name: round(stage.mean_ms, 1) for name, stage in progress.stages.items()},
        "seconds": {name: round(spent, 2) for name, spent in phases.items()},
        "objects_verified": found.verified,
        "mismatches": found.mismatches,
        "recipe": str(Recipes(options.recipe)),
        "photos": str(options.photos) if options.photos else "drawn",
        "listings": options.limit,
        "seed": options.seed,
        "kafka": options.bootstrap or options.kafka.value,
        "store": options.endpoint or options.store.value,
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in _PACKAGES}},
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def closing_words(figures: dict[str, Any], extras: list[Extra], folder: OutputFolder) -> RenderableType:
    """What the person reads at the end."""
    outcomes = Table("events ended as", "", box=None, header_style="dim")
    for name, count in figures["outcomes"].items():
        outcomes.add_row(Text(name), str(count))
    trouble = Table("sent on purpose", "ended as", "code", box=None, header_style="dim")
    for extra in extras:
        mark = Text("✓ ", style="green") if extra.right else Text("✗ ", style="red")
        trouble.add_row(mark + Text(extra.label), Text(extra.ending), Text(extra.code or ""))
    total = sum(figures["seconds"].values())
    line = (
        f"{figures['images']} images at {figures['images_per_s']:.1f}/s, {total:.0f} s in all; "
        f"{figures['objects_verified']} objects match their results."
    )
    verdict = Text("Every event is accounted for.", style="bold green")
    if not figures["ok"]:
        verdict = Text("\n".join(figures["problems"]), style="bold red")
    return Group(
        Text(), outcomes, Text(), trouble, Text(), Text(line), verdict, Text(f"Look at them: {folder.sheet}"), Text()
    )
