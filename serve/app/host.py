"""The far side of a hop: stages of one deployment, asked by Studios elsewhere. Knows no Ray."""

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from itertools import chain

from serve.app.parcel import Order, Parcel, Refused, stripped
from serve.edition import Edition
from serve.errors import EditionMismatch, ServeError
from serve.interfaces import Caller, Shot, Stage
from serve.workbench import Workbench

#: How long a parcel waits for the edition that its sender has already. Serve tells all deployments at once, so the
#: others follow within the time of a warm-up.
_EDITION_PATIENCE_S = 30.0


class Host:
    """Computes parcels with the edition that their keys were made for."""

    def __init__(self, workbench: Workbench, *, patience_s: float = _EDITION_PATIENCE_S) -> None:
        self._workbench = workbench
        self._patience_s = patience_s
        #: The newest first. Those before stay for events that began with them.
        self._editions: deque[tuple[Edition, ...]] = deque([workbench.editions.all], maxlen=2)
        self._swapped = asyncio.Event()

    async def develop(self, parcel: Parcel | Refused, order: Order) -> Parcel | Refused:
        """Take the shots of a parcel through the stages of the order; errors travel as values."""
        if isinstance(parcel, Refused):
            return parcel
        try:
            return await self._develop(parcel, order)
        except ServeError as error:
            return Refused(error)

    async def reconfigure(self, changes: Mapping[str, object]) -> None:
        """See `Workbench.reconfigure`."""
        await self._workbench.reconfigure(changes)
        self._editions.appendleft(self._workbench.editions.all)
        self._swapped.set()
        self._swapped.clear()

    async def _develop(self, parcel: Parcel, order: Order) -> Parcel:
        began = time.monotonic()
        caller = Caller(parcel.tenant, asyncio.get_running_loop().time() + parcel.remaining_s)
        stages = await self._stages_for(parcel, order)
        done = list(parcel.shots)
        places = [place for place, shot in enumerate(done) if isinstance(shot, Shot)]
        live = [shot for shot in done if isinstance(shot, Shot)]
        developed = await self._workbench.development.develop(stages, live, caller)
        for place, shot in zip(places, developed.shots, strict=True):
            done[place] = shot
        return Parcel(
            shots=stripped(done, order.keep),
            tenant=parcel.tenant,
            remaining_s=parcel.remaining_s - (time.monotonic() - began),
            seconds={**parcel.seconds, **developed.seconds},
        )

    async def _stages_for(self, parcel: Parcel, order: Order) -> list[Stage]:
        """The stages of an edition that has the wanted models; raise `EditionMismatch` if none comes."""
        deadline = asyncio.get_running_loop().time() + min(self._patience_s, parcel.remaining_s)
        while True:
            for edition in chain.from_iterable(self._editions):
                if fits(edition, parcel, order):
                    return [stage for stage in edition.stages if stage.name in order.stages]
            try:
                async with asyncio.timeout_at(deadline):
                    await self._swapped.wait()
            except TimeoutError as error:
                raise EditionMismatch from error


def fits(edition: Edition, parcel: Parcel, order: Order) -> bool:
    """Whether the stages of the edition would use the very models that the keys of the shots name."""
    stages = {stage.name: stage for stage in edition.stages}
    return all(
        name in stages and stages[name].models(shot.variant) == wanted
        for name, models in order.stages.items()
        for shot, wanted in zip(parcel.shots, models, strict=True)
        if isinstance(shot, Shot)
    )
