"""The `Gateway` of the ingress over a deployment handle."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from serve.app.arguments import AppArgs
from serve.app.calls import awaited, translated
from serve.app.replicas import Replicas
from serve.errors import ReplicaLost, ServeError
from serve.schemas.exchange import AnswerLine, Capacity, EnrichItem, ErrorLine
from serve.schemas.preview import PreviewAnswer

if TYPE_CHECKING:
    from ray.serve.handle import DeploymentHandle

_LINES: TypeAdapter[AnswerLine] = TypeAdapter(AnswerLine)


class StudioGateway:
    """Asks the Studio replicas."""

    def __init__(self, studio: "DeploymentHandle[Any]", args: AppArgs, replicas: Replicas) -> None:
        self._studio = studio
        self._args = args
        self._replicas = replicas

    async def answer(self, item: EnrichItem) -> AnswerLine:
        """One line per event; what befalls the replica becomes an error line."""
        body = item.model_dump_json().encode()
        try:
            line = await self._call(self._studio.answer, body, self._args.event_timeout_s)
        except ServeError as error:
            return ErrorLine(ref=item.ref, error=error.info())
        return _LINES.validate_json(line)

    async def preview(self, body: bytes, recipe: str, variants: Sequence[str]) -> PreviewAnswer:
        """See `Gateway`."""
        answer = await self._call(self._studio.preview, body, recipe, list(variants))
        if isinstance(answer, ServeError):
            raise answer
        return PreviewAnswer.model_validate(answer)

    async def check(self) -> None:
        """See `Gateway`. Scaled to zero counts as ready, and is not woken: a probe is no demand."""
        await self._replicas.studios()
        if self._replicas.asleep:
            return
        self._replicas.require_hosts()
        if (problem := await self._call(self._studio.check)) is not None:
            raise problem

    async def capacity(self) -> Capacity:
        """See `Gateway`. Only Studio replicas count, wherever stages compute: they are what takes events."""
        studios = await self._replicas.studios()
        return Capacity(replicas=studios, max_in_flight=studios * self._args.events_per_replica)

    async def _call(self, method: "DeploymentHandle[Any]", *args: object) -> Any:
        """Call a replica; whoever gives up waiting, by time or by going away, cancels the work there too."""
        response = method.remote(*args)
        try:
            with translated():
                return await asyncio.wait_for(awaited(response), self._args.event_timeout_s)
        except TimeoutError as error:
            response.cancel()  # type: ignore[no-untyped-call]
            raise ReplicaLost(f"No answer within {self._args.event_timeout_s:g} s.") from error
        except asyncio.CancelledError:
            response.cancel()  # type: ignore[no-untyped-call]
            raise
