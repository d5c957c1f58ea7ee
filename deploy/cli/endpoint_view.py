"""How endpoints are shown to people and programs."""

from pathlib import Path
from typing import Any

from deploy.services.environment import consumers_env, serve_env
from deploy.services.interface import Endpoints


def environment(endpoints: Endpoints, folder: Path) -> dict[str, str]:
    """The variables that let one's own `serve` and `consumers` use the services."""
    return {**serve_env(endpoints, folder), **consumers_env(endpoints)}


def plain(endpoints: Endpoints) -> dict[str, Any]:
    """Addresses and keys by name."""
    version = endpoints.kafka_api_version
    return {
        "kafka": endpoints.bootstrap,
        "kafka_api_version": list(version) if version else None,
        "s3_endpoint": endpoints.s3_endpoint,
        "s3_access_key": endpoints.access_key,
        "s3_secret_key": endpoints.secret_key,
        "s3_bucket": endpoints.bucket,
        "serve": endpoints.serve_url,
    }
