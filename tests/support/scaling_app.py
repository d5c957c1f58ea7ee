"""The real application with a Studio that costs nothing: what scales and what is told of it is all real."""

import asyncio
from typing import TYPE_CHECKING, Any

from serve.app.application import application
from serve.app.arguments import AppArgs
from serve.schemas.exchange import EnrichItem, ResultLine
from tests.support.listing_events import result_for

if TYPE_CHECKING:
    from ray.serve import Application

WORK_S = 0.5


class CheapStudio:
    """Answers an event after half a second."""

    def __init__(self, *_: object) -> None:
        pass

    async def answer(self, item: bytes, _timeout_s: float) -> bytes:
        """As the Studio's."""
        asked = EnrichItem.model_validate_json(item)
        await asyncio.sleep(WORK_S)
        return ResultLine(ref=asked.ref, result=result_for(asked)).model_dump_json().encode()

    async def check(self) -> None:
        """All is well."""


def build_app(args: dict[str, Any]) -> "Application":
    """As `serve.app.build_app`."""
    return application(AppArgs.model_validate(args), studio=CheapStudio)
