"""The stages one after another, all of them in this process."""

from collections.abc import Sequence

from serve.interfaces import Caller, Developed, Shot, ShotFailure, Slots, Stage


class LocalDevelopment:
    """The `Development` over the slots of this process."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots

    async def develop(self, stages: Sequence[Stage], shots: Sequence[Shot], caller: Caller) -> Developed:
        """See `Development`."""
        done: list[Shot | ShotFailure] = list(shots)
        seconds: dict[str, float] = {}
        for stage in stages:
            live = [(place, shot) for place, shot in enumerate(done) if isinstance(shot, Shot)]
            worked = await self._slots.run(stage, [shot for _, shot in live], caller)
            seconds[stage.name] = worked.seconds
            for (place, _), shot in zip(live, worked.shots, strict=True):
                done[place] = shot
        return Developed(done, seconds)
