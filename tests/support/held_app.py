"""The application with stages that a test can hold, and replicas that tell what waits in them.

While the file `hold-<stage>` lies in the folder VITRINE_TEST_HOLD, a batch of that stage does not end. Every batch that
begins adds a line to `ran-<stage>`.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from serve.app.application import application
from serve.app.arguments import AppArgs
from serve.app.deployments import StageHost, Studio
from serve.interfaces import Shot, ShotFailure
from serve.workbench import Workbench

Run = Callable[[Sequence[Shot]], list[Shot | ShotFailure]]


def build_app(args: dict[str, Any]) -> Any:
    """As `serve.app:build_app`."""
    return application(AppArgs.model_validate(args), studio=HeldStudio, host=HeldHost)


class HeldStudio(Studio):
    """See above."""

    def __init__(self, args: AppArgs, hosts: Mapping[str, Any]) -> None:
        super().__init__(args, hosts)
        hold(self._studio.workbench)

    async def reconfigure(self, user_config: Mapping[str, object] | None) -> None:
        await super().reconfigure(user_config)
        hold(self._studio.workbench)

    async def waiting(self) -> int:
        """Jobs that wait for the slot."""
        return self._studio.workbench.slots.waiting


class HeldHost(StageHost):
    """See above."""

    def __init__(self, stages: Sequence[str]) -> None:
        super().__init__(stages)
        hold(self._workbench)

    async def reconfigure(self, user_config: Mapping[str, object] | None) -> None:
        await super().reconfigure(user_config)
        hold(self._workbench)

    async def waiting(self) -> int:
        """Jobs that wait for the slot."""
        return self._workbench.slots.waiting


def hold(workbench: Workbench) -> None:
    """Make the stages of the current edition wait for the test."""
    folder = Path(os.environ["VITRINE_TEST_HOLD"])
    for stage in workbench.editions.current.stages:
        if not isinstance(stage.run, partial):
            setattr(stage, "run", partial(_run, folder, stage.name, stage.run))  # noqa: B010 - a method for mypy


def _run(folder: Path, stage: str, run: Run, batch: Sequence[Shot]) -> list[Shot | ShotFailure]:
    with (folder / f"ran-{stage}").open("a") as file:
        file.write(f"{len(batch)}\n")
    while (folder / f"hold-{stage}").exists():
        time.sleep(0.02)
    return run(batch)
