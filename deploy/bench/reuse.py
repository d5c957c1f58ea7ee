"""Answering from what is stored, against making it."""

import asyncio
import time

from deploy.bench.figure import Figure, Progress, in_turns
from deploy.bench.local_studio import local_studio
from deploy.errors import ServiceFailed


def run(progress: Progress, *, photos: int = 3, rounds: int = 3) -> Figure:
    """Events per second: new listings with new photos, then other new listings with the same photos."""
    with local_studio(photos) as local, asyncio.Runner() as runner:
        tenant = ""

        def answer(*, again: bool) -> float:
            items = local.events(tenant)
            started = time.perf_counter()
            outputs = runner.run(local.answer(items))
            spent = time.perf_counter() - started
            if not outputs or any(output.reused is not again for output in outputs):
                raise ServiceFailed("images were made where they should have been found, or the other way round")
            return len(items) / spent

        def make() -> float:
            nonlocal tenant
            tenant = next(local.tenants)
            return answer(again=False)

        found = in_turns(make, lambda: answer(again=True), progress, rounds=rounds)
    return Figure.of("reuse", found, unit="events/s")
