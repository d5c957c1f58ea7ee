"""Where a replica computes: the edition that it works with, its slots, and how both are kept in order."""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from serve.batching.job import Limits
from serve.batching.slots import ComputeSlots
from serve.catalog.operations import STAGE_ORDER
from serve.development import LocalDevelopment
from serve.edition import Edition, Editions
from serve.equipment import Changes, equip
from serve.errors import ComputeStuck
from serve.metrics import Metrics
from serve.settings import MIB, ServeSettings

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workbench:
    """Slots that are warm, and the edition that they work with."""

    settings: ServeSettings
    editions: Editions
    slots: ComputeSlots
    development: LocalDevelopment
    #: The stages that compute here; of the others only models and buckets are asked.
    computes: frozenset[str]

    async def reconfigure(self, changes: Mapping[str, object]) -> None:
        """Build the edition that the changes ask for, check and warm it, then let new events begin with it.

        Events that have begun end with theirs. Raise what is wrong with the changes; then nothing has changed.
        """
        wanted = Changes.model_validate(changes)
        settings = wanted.over(self.settings)
        edition = await self._warm(settings)
        trial = None if wanted.trial is None else await self._warm(wanted.trial.over(settings))
        self.editions.swap(edition, trial, wanted.trial.share if wanted.trial else 0.0)
        log.info("new edition", extra={"recipes": len(edition.catalog.recipes), "changes": sorted(changes)})

    async def _warm(self, settings: ServeSettings) -> Edition:
        edition = await asyncio.to_thread(equip, settings)
        if self.computes:
            await asyncio.wrap_future(self.slots.submit(warming(edition, self.computes)))
        return edition

    def check(self) -> None:
        """Raise `ComputeStuck` if a batch has been running for longer than any batch should."""
        if (busy := self.slots.busy_s()) > self.settings.stuck_after_s:
            raise ComputeStuck(f"A batch has been running for {busy:.0f} s.")

    def close(self) -> None:
        """Let the running batch end."""
        self.slots.close()


def build_workbench(settings: ServeSettings, metrics: Metrics, computes: Collection[str] = STAGE_ORDER) -> Workbench:
    """Read the catalog, load the weights, compute once. Blocking: seconds. Raise if anything is amiss."""
    started = time.monotonic()
    edition = equip(settings)
    limits = Limits(settings.batch_shots, settings.batch_mib * MIB)
    slots = ComputeSlots(limits, metrics, count=settings.slots, prepare_thread=_preparation(settings))
    try:
        # Where nothing computes there shall be no thread, which would load torch.
        if computes:
            slots.submit(warming(edition, computes)).result()
    except BaseException:
        slots.close()
        raise
    log.info("workbench is warm", extra={"seconds": round(time.monotonic() - started, 2), "device": settings.device})
    return Workbench(
        settings=settings,
        editions=Editions(edition),
        slots=slots,
        development=LocalDevelopment(slots),
        computes=frozenset(computes),
    )


def warming(edition: Edition, computes: Collection[str]) -> Callable[[], None]:
    """Warms the stages that compute here."""

    def warm() -> None:
        for stage in edition.stages:
            if stage.name in computes:
                stage.warm_up()

    return warm


def _preparation(settings: ServeSettings) -> Callable[[], None]:
    def prepare() -> None:
        # Only replicas that compute may pay for torch.
        from models.compute.device import prepare_compute_thread  # noqa: PLC0415

        prepare_compute_thread(settings.device, threads=settings.threads, deterministic=settings.deterministic)

    return prepare
