"""Puts the deployments together."""

from typing import TYPE_CHECKING

from ray import serve

from serve.app.arguments import AppArgs
from serve.app.deployments import Ingress, StageHost, Studio
from serve.app.placement import INGRESS, STUDIO, least_ongoing
from serve.settings import ServeSettings

if TYPE_CHECKING:
    from ray.serve import Application


def application(args: AppArgs, *, studio: type = Studio, host: type = StageHost) -> "Application":
    """The application with these classes behind its door."""
    settings = ServeSettings()
    hosts = {
        name: serve.deployment(name=name, max_ongoing_requests=least_ongoing(settings.batch_shots, settings.slots))(
            host
        ).bind(args.placement.stages_of(name))
        for name in args.placement.hosts
    }
    studios = serve.deployment(
        name=STUDIO, max_ongoing_requests=args.events_per_replica, max_queued_requests=args.queued_per_ingress
    )(studio).bind(args, hosts)
    return serve.deployment(name=INGRESS)(serve.ingress()(Ingress)).bind(studios, args)
