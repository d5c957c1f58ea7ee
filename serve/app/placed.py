"""The way of shots through stages that compute in several deployments. Knows no Ray: see `calls.RayHop`."""

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from serve.app.parcel import FINISHED, Order, Parcel, Refused, makes, reads, reunited, stripped
from serve.app.placement import STUDIO, Placement
from serve.errors import DeadlineExceeded
from serve.interfaces import Caller, Developed, Development, Shot, ShotFailure, Stage


class Pending(Protocol):
    """A call that is under way."""

    async def result(self) -> Parcel | Refused:
        """Wait for it; raise `Overloaded` or `ReplicaLost`."""
        ...

    def cancel(self) -> None:
        """Nobody waits for it any more."""
        ...


class Hop(Protocol):
    """A deployment that computes stages."""

    async def send(self, parcel: "Parcel | Pending", order: Order) -> Pending:
        """Begin a call. What another call will give can be handed on before it is there, and does not pass here."""
        ...


@dataclass(frozen=True, slots=True)
class _Leg:
    """A part of the way: stages that compute here, or a chain of hops without return in between."""

    #: Deployment and stages.
    runs: tuple[tuple[str, tuple[Stage, ...]], ...]

    @property
    def here(self) -> bool:
        return self.runs[0][0] == STUDIO

    @property
    def stages(self) -> tuple[Stage, ...]:
        return tuple(stage for _, stages in self.runs for stage in stages)


class PlacedDevelopment:
    """The `Development` of a placement: stages of the Studio in this process, the others by hops."""

    def __init__(self, local: Development, placement: Placement, hops: Mapping[str, Hop]) -> None:
        self._local = local
        self._placement = placement
        self._hops = hops

    async def develop(self, stages: Sequence[Stage], shots: Sequence[Shot], caller: Caller) -> Developed:
        """See `Development`. Raise also `Overloaded`, `ReplicaLost` and `EditionMismatch`."""
        done: list[Shot | ShotFailure] = list(shots)
        seconds = dict.fromkeys((stage.name for stage in stages), 0.0)
        legs = self._legs(stages)
        for number, leg in enumerate(legs):
            places = [place for place, shot in enumerate(done) if isinstance(shot, Shot)]
            live = [shot for shot in done if isinstance(shot, Shot)]
            if leg.here:
                developed = await self._local.develop(leg.stages, live, caller)
            else:
                later = [stage.name for following in legs[number + 1 :] for stage in following.stages]
                developed = await self._away(leg, live, later, caller)
            seconds.update(developed.seconds)
            for place, shot in zip(places, developed.shots, strict=True):
                done[place] = shot
        return Developed(done, seconds)

    def _legs(self, stages: Sequence[Stage]) -> list[_Leg]:
        named = {stage.name: stage for stage in stages}
        legs: list[_Leg] = []
        for run in self._placement.runs(named):
            entry = run.deployment, tuple(named[name] for name in run.stages)
            if legs and not legs[-1].here and run.deployment != STUDIO:
                legs[-1] = _Leg((*legs[-1].runs, entry))
            else:
                legs.append(_Leg((entry,)))
        return legs

    async def _away(self, leg: _Leg, shots: Sequence[Shot], later: Sequence[str], caller: Caller) -> Developed:
        """Take the shots through a chain of hops; one where none of them has anything to do is left out."""
        hops = [run for run in leg.runs if _any_work(run[1], shots)]
        if not hops:
            return Developed(shots, {})
        names = [[stage.name for stage in stages] for _, stages in hops]
        chain = [name for hop in names for name in hop]
        back = makes(chain) & (reads(later) | FINISHED)
        orders = [
            Order(
                stages={stage.name: [stage.models(shot.variant) for shot in shots] for stage in stages},
                keep=back | reads(name for hop in names[number + 1 :] for name in hop),
            )
            for number, (_, stages) in enumerate(hops)
        ]
        parcel = Parcel(shots=stripped(shots, reads(chain)), tenant=caller.tenant, remaining_s=_remaining(caller))
        calls = [(self._hops[deployment], order) for (deployment, _), order in zip(hops, orders, strict=True)]
        returned = await _chained(parcel, calls, caller)
        made = [reunited(sent, shot) for sent, shot in zip(shots, returned.shots, strict=True)]
        return Developed(made, returned.seconds)


async def _chained(parcel: Parcel, calls: Sequence[tuple[Hop, Order]], caller: Caller) -> Parcel:
    """What the last call gives. Whoever goes away, or has no time left, takes all calls along."""
    pending: list[Pending] = []
    try:
        async with asyncio.timeout_at(None if math.isinf(caller.deadline) else caller.deadline) as patience:
            for hop, order in calls:
                pending.append(await hop.send(pending[-1] if pending else parcel, order))
            returned = await pending[-1].result()
    except BaseException as error:
        for call in pending:
            call.cancel()
        if isinstance(error, TimeoutError) and patience.expired():
            raise DeadlineExceeded from error
        raise
    if isinstance(returned, Refused):
        raise returned.error
    return returned


def _any_work(stages: Sequence[Stage], shots: Sequence[Shot]) -> bool:
    # Whether a stage has anything to do follows from the variant, so it can be asked before the hops in between.
    return any(stage.bucket(shot) is not None for stage in stages for shot in shots)


def _remaining(caller: Caller) -> float:
    return caller.deadline - asyncio.get_running_loop().time()
