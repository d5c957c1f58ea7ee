"""The classes that Serve makes replicas of."""

import asyncio
import contextlib
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from ray import serve
from ray.serve.context import _get_global_client

from serve.app.arguments import AppArgs
from serve.app.calls import RayHop
from serve.app.configuration import Configuration
from serve.app.gateway import StudioGateway
from serve.app.host import Host
from serve.app.parcel import Order, Parcel, Refused
from serve.app.placed import PlacedDevelopment
from serve.app.placement import STUDIO, check_ongoing, least_ongoing
from serve.app.ray_metrics import RayMetrics
from serve.app.replicas import Replicas
from serve.catalog.catalog import Catalog
from serve.catalog.channel import Channel
from serve.catalog.loader import load_catalog
from serve.catalog.recipe import Recipe
from serve.doors.address import require_asked
from serve.doors.build import build_door
from serve.doors.wary import INSTALL
from serve.equipment import Changes
from serve.errors import ServeError
from serve.ingress import create_app
from serve.interfaces import Development
from serve.logs import set_up
from serve.schemas.exchange import EnrichItem
from serve.schemas.preview import PreviewAnswer
from serve.schemas.redaction import secrets_of
from serve.settings import ServeSettings
from serve.studio import build_studio
from serve.workbench import build_workbench

if TYPE_CHECKING:
    from ray.serve.handle import DeploymentHandle


class Studio:
    """One replica that takes events from photo to stored images. Stages that are not placed here are hops."""

    def __init__(self, args: AppArgs, hosts: "Mapping[str, DeploymentHandle[Any]]") -> None:
        settings = ServeSettings()
        set_up(settings.log_level, secrets_of(settings))
        check_ongoing(STUDIO, _ongoing(), args.events_per_replica)
        placement = args.placement
        hops = {name: RayHop(handle) for name, handle in hosts.items()}

        def place(local: Development) -> Development:
            return PlacedDevelopment(local, placement, hops) if hops else local

        self._studio = build_studio(settings, RayMetrics(), computes=placement.stages_of(STUDIO), place=place)
        self._configuration = Configuration(self._studio.workbench.reconfigure)

    async def answer(self, item: bytes, timeout_s: float) -> bytes:
        """An `EnrichItem` as JSON in, an `AnswerLine` as JSON out."""
        line = await self._studio.answer(EnrichItem.model_validate_json(item), timeout_s)
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

    async def reconfigure(self, user_config: Mapping[str, object] | None) -> None:
        """Swap recipes, thresholds and weights; see `Changes` and `Configuration`."""
        await self._configuration.change(user_config)

    def check_health(self) -> None:
        """Raise if the compute thread is stuck: Serve then replaces the replica."""
        self._configuration.begin_work()
        self._studio.workbench.check()

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError):
            self._studio.close()


class StageHost:
    """One replica that computes some stages for the Studios."""

    def __init__(self, stages: Sequence[str]) -> None:
        settings = ServeSettings()
        set_up(settings.log_level, secrets_of(settings))
        name = serve.get_replica_context().deployment
        check_ongoing(name, _ongoing(), least_ongoing(settings.batch_shots, settings.slots))
        self._workbench = build_workbench(settings, RayMetrics(), stages)
        self._host = Host(self._workbench)
        self._configuration = Configuration(self._host.reconfigure)

    async def develop(self, parcel: Parcel | Refused, order: Order) -> Parcel | Refused:
        """See `Host.develop`."""
        return await self._host.develop(parcel, order)

    async def reconfigure(self, user_config: Mapping[str, object] | None) -> None:
        """Swap weights and thresholds; see `Changes` and `Configuration`."""
        await self._configuration.change(user_config)

    def check_health(self) -> None:
        """Raise if the compute thread is stuck: Serve then replaces the replica."""
        self._configuration.begin_work()
        self._workbench.check()

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError):
            self._workbench.close()


class _Listing:
    """The catalog that the door shows at present."""

    def __init__(self, first: Catalog) -> None:
        self.current = first

    @property
    def recipes(self) -> Mapping[str, Recipe]:
        return self.current.recipes

    @property
    def channels(self) -> Mapping[str, Channel]:
        return self.current.channels


class Ingress:
    """The HTTP door in front of the Studio replicas."""

    def __init__(self, studio: "DeploymentHandle[Any]", args: AppArgs) -> None:
        self._settings = ServeSettings()
        set_up(self._settings.log_level, secrets_of(self._settings))
        self._door = build_door(self._settings, _listens_at())
        app_name = serve.get_replica_context().app_name
        replicas = Replicas(app_name, args.placement.hosts, self._settings.capacity_ttl_s)
        self._gateway = StudioGateway(studio, args, replicas)
        self._listing = _Listing(_catalog(self._settings))
        self._configuration = Configuration(self._show)

    def __serve_build_asgi_app__(self) -> FastAPI:
        settings = self._settings
        return create_app(
            self._gateway,
            self._listing,
            max_photo_bytes=settings.fetch_max_bytes,
            retry_after_s=settings.retry_after_s,
            door=self._door,
        )

    async def reconfigure(self, user_config: Mapping[str, object] | None) -> None:
        """Show other recipes and channels; see `Configuration`."""
        await self._configuration.change(user_config)

    def check_health(self) -> None:
        """It answers."""
        self._configuration.begin_work()

    async def _show(self, changes: Mapping[str, object]) -> None:
        settings = Changes.model_validate(changes).over(self._settings)
        self._listing.current = await asyncio.to_thread(_catalog, settings)


def _listens_at() -> str | None:
    """The address at which Serve's proxies listen; raise `DoorOpen` if they ask for certificates in vain."""
    # Serve tells its replicas this nowhere else.
    client = _get_global_client()
    if client is None:
        return None
    options = client.http_config
    require_asked(options.ssl_ca_certs, os.environ.get("RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"), INSTALL)
    host: str | None = options.host
    return host


def _catalog(settings: ServeSettings) -> Catalog:
    return load_catalog(settings.catalog_dir, default_recipe=settings.default_recipe)


def _ongoing() -> int:
    """Calls that Serve gives this replica at once."""
    # Serve tells its replicas this nowhere else.
    return int(serve.get_replica_context()._deployment_config.max_ongoing_requests)
