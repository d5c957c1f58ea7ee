"""The only file that knows Ray: plain classes wrapped into deployments.

`serve run deploy/serve.yaml` builds the application from here; numbers of replicas stand in that file.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from ray import serve
from ray.exceptions import RayActorError, RayError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError, RayServeException
from ray.util import metrics as ray_metrics

from serve.catalog.loader import load_catalog
from serve.errors import Overloaded, ReplicaLost, ServeError
from serve.ingress import create_app
from serve.logs import set_up
from serve.metrics import BUCKETS_S, FILL_BUCKETS
from serve.schemas.exchange import AnswerLine, Capacity, EnrichItem, ErrorLine
from serve.schemas.preview import PreviewAnswer
from serve.settings import ServeSettings
from serve.studio import build_studio

if TYPE_CHECKING:
    from ray.serve import Application
    from ray.serve.handle import DeploymentHandle

log = logging.getLogger(__name__)
R = TypeVar("R")
_LINES: TypeAdapter[AnswerLine] = TypeAdapter(AnswerLine)


class AppArgs(BaseModel):
    """The `args` of the application in deploy/serve.yaml."""

    model_config = ConfigDict(extra="forbid")
    events_per_replica: int = Field(default=8, ge=1, description="Events that a Studio replica takes at once.")
    queued_per_ingress: int = Field(default=64, ge=1, description="Events that wait in an ingress for a replica.")
    event_timeout_s: float = Field(default=840.0, gt=0, description="Seconds after which an event counts as lost.")


class Studio:
    """One replica that takes events from photo to stored images: all stages fused."""

    def __init__(self) -> None:
        settings = ServeSettings()
        set_up(settings.log_level)
        self._studio = build_studio(settings, RayMetrics())

    async def answer(self, item: bytes) -> bytes:
        """An `EnrichItem` as JSON in, an `AnswerLine` as JSON out."""
        line = await self._studio.answer(EnrichItem.model_validate_json(item))
        return line.model_dump_json().encode()

    async def preview(self, body: bytes, recipe: str, variants: Sequence[str]) -> PreviewAnswer | ServeError:
        """The variants of one photo; errors travel as values, so that they keep their type."""
        try:
            return await self._studio.preview(body, recipe, variants)
        except ServeError as error:
            return error

    async def check(self) -> ServeError | None:
        """What keeps store or index from being used, if anything."""
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._studio.blocking, self._studio.check)
        except ServeError as error:
            return error
        return None

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError):
            self._studio.close()


class Ingress:
    """The HTTP door in front of the Studio replicas."""

    def __init__(self, studio: "DeploymentHandle[Any]", args: AppArgs) -> None:
        self._settings = ServeSettings()
        set_up(self._settings.log_level)
        self._gateway = StudioGateway(studio, args, self._settings.capacity_ttl_s)

    def __serve_build_asgi_app__(self) -> FastAPI:
        settings = self._settings
        catalog = load_catalog(settings.catalog_dir, default_recipe=settings.default_recipe)
        return create_app(
            self._gateway, catalog, max_photo_bytes=settings.fetch_max_bytes, retry_after_s=settings.retry_after_s
        )


class StudioGateway:
    """The `Gateway` over a deployment handle."""

    def __init__(self, studio: "DeploymentHandle[Any]", args: AppArgs, capacity_ttl_s: float) -> None:
        self._studio = studio
        self._args = args
        self._ttl_s = capacity_ttl_s
        self._app_name = serve.get_replica_context().app_name
        #: None before it was ever seen: a guess would stop the consumers, or flood the replicas.
        self._replicas: int | None = None
        self._asleep = False
        self._seen_at = float("-inf")
        self._look: asyncio.Task[None] | None = None

    async def answer(self, item: EnrichItem) -> AnswerLine:
        """One line per event; what befalls the replica becomes an error line."""
        try:
            line = await self._call(self._studio.answer, item.model_dump_json().encode())
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
        await self.capacity()
        if self._asleep:
            return
        if (problem := await self._call(self._studio.check)) is not None:
            raise problem

    async def capacity(self) -> Capacity:
        """From Serve's own status, looked at in the background; waited for only where none is known to run.

        Raise `Overloaded` before anything is known. 0 means scaled to zero, or all replicas are starting.
        """
        if self._look is None and time.monotonic() - self._seen_at > self._ttl_s:
            self._look = asyncio.create_task(self._look_at_replicas())
        if not self._replicas and self._look is not None:
            await asyncio.wait([self._look], timeout=self._ttl_s)
        if self._replicas is None:
            raise Overloaded("The number of replicas is not known yet.")
        return Capacity(replicas=self._replicas, max_in_flight=self._replicas * self._args.events_per_replica)

    async def _look_at_replicas(self) -> None:
        try:
            status = await asyncio.to_thread(serve.status)
            deployment = status.applications[self._app_name].deployments["Studio"]
            self._replicas = sum(count for state, count in deployment.replica_states.items() if state == "RUNNING")
            self._asleep = not deployment.replica_states and deployment.status == "HEALTHY"
        except (RayError, RayServeException, KeyError):
            # The controller may be away for a moment; the last count is the best guess.
            log.warning("the number of replicas is not known", exc_info=True)
        finally:
            self._seen_at = time.monotonic()
            self._look = None

    async def _call(self, method: "DeploymentHandle[Any]", *args: object) -> Any:
        """Call a replica; whoever gives up waiting, by time or by going away, cancels the work there too."""
        response = method.remote(*args)
        try:
            return await asyncio.wait_for(_awaited(response), self._args.event_timeout_s)
        except (BackPressureError, DeploymentUnavailableError) as error:
            raise Overloaded from error
        except RayActorError as error:
            raise ReplicaLost from error
        except TimeoutError as error:
            response.cancel()  # type: ignore[no-untyped-call]
            raise ReplicaLost(f"No answer within {self._args.event_timeout_s:g} s.") from error
        except asyncio.CancelledError:
            response.cancel()  # type: ignore[no-untyped-call]
            raise
        except (RayError, RayServeException) as error:
            log.exception("call of a replica failed")
            raise ReplicaLost from error


async def _awaited(response: Awaitable[R]) -> R:
    return await response


class RayMetrics:
    """The `Metrics` of `serve.metrics` on Ray's own: scraped from the agent of every node."""

    def __init__(self) -> None:
        self._seconds = ray_metrics.Histogram(
            "vitrine_stage_seconds", "Seconds per stage and photo", boundaries=list(BUCKETS_S), tag_keys=("stage",)
        )
        self._stages = ray_metrics.Counter(
            "vitrine_stage_runs", "Stage runs by how they ended", tag_keys=("stage", "outcome")
        )
        self._fill = ray_metrics.Histogram(
            "vitrine_batch_fill", "Share of a batch that was used", boundaries=list(FILL_BUCKETS), tag_keys=("stage",)
        )
        self._idle = ray_metrics.Counter(
            "vitrine_slot_idle_with_backlog_seconds", "Compute slot idle although work waited"
        )
        self._events = ray_metrics.Counter("vitrine_events", "Events answered, by outcome", tag_keys=("outcome",))
        self._images = ray_metrics.Gauge("vitrine_images_in_work", "Photos in work")
        self._waiting = ray_metrics.Gauge("vitrine_images_waiting", "Photos that wait for room")
        self._bytes = ray_metrics.Gauge("vitrine_working_bytes", "Bytes of pictures held")

    def stage(self, stage: str, seconds: float, outcome: str) -> None:
        """See `Metrics`."""
        self._seconds.observe(seconds, {"stage": stage})
        self._stages.inc(1, {"stage": stage, "outcome": outcome})

    def batch(self, stage: str, *, shots: int, failed: int, fill: float, seconds: float, idle_s: float) -> None:
        """See `Metrics`."""
        self._seconds.observe(seconds, {"stage": stage})
        # Ray takes no zero.
        if shots > failed:
            self._stages.inc(shots - failed, {"stage": stage, "outcome": "ok"})
        if failed:
            self._stages.inc(failed, {"stage": stage, "outcome": "failed"})
        self._fill.observe(fill, {"stage": stage})
        if idle_s > 0:
            self._idle.inc(idle_s)

    def event(self, outcome: str) -> None:
        """See `Metrics`."""
        self._events.inc(1, {"outcome": outcome})

    def load(self, *, images: int, waiting: int, working_bytes: int) -> None:
        """See `Metrics`."""
        self._images.set(images)
        self._waiting.set(waiting)
        self._bytes.set(working_bytes)


def build_app(args: dict[str, Any]) -> "Application":
    """The application of deploy/serve.yaml; `args` are those of `AppArgs`."""
    checked = AppArgs.model_validate(args)
    studio = serve.deployment(
        max_ongoing_requests=checked.events_per_replica, max_queued_requests=checked.queued_per_ingress
    )(Studio)
    ingress = serve.deployment(name="Ingress")(serve.ingress()(Ingress))
    return ingress.bind(studio.bind(), checked)
