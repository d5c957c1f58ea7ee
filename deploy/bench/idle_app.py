"""The application of Vitrine with Studios that answer at once: what is left is the way of an event.

`import_path: deploy.bench.idle_app:build_app` in place of `serve.app:build_app`.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from deploy.bench import listings
from serve.schemas.exchange import EnrichItem

if TYPE_CHECKING:
    from ray.serve import Application


class IdleStudio:
    """In place of `serve.app.deployments.Studio`: events are parsed and answered, nothing is made."""

    def __init__(self, *_: object) -> None:
        """There is nothing to build."""

    async def answer(self, item: bytes, *_: object) -> bytes:
        """Enriched, without images."""
        return listings.answer(EnrichItem.model_validate_json(item)).model_dump_json().encode()

    async def check(self) -> None:
        """Always ready."""

    async def reconfigure(self, user_config: Mapping[str, object] | None) -> None:
        """There is nothing to swap."""


def build_app(args: dict[str, Any]) -> "Application":
    """See `serve.app.build_app`."""
    from serve.app.application import application  # noqa: PLC0415 - Ray, which takes seconds to load
    from serve.app.arguments import AppArgs  # noqa: PLC0415

    return application(AppArgs.model_validate(args), studio=IdleStudio)
