"""What each room must be told to use the services of a stack, as environment variables."""

from pathlib import Path

from deploy.services.interface import Endpoints


def serve_env(endpoints: Endpoints, state_dir: Path) -> dict[str, str]:
    """For `serve`: the store, and a folder for its index.

    The index remembers answers per Kafka offset, so every incarnation of the broker has an index of its own.
    """
    index = (state_dir / "serve" / (endpoints.kafka_incarnation or "without-kafka")).absolute()
    env = {
        "VITRINE_SERVE_STATE_DIR": str(index),
        "VITRINE_SERVE_S3_ENDPOINT": endpoints.s3_endpoint,
        "VITRINE_SERVE_S3_ACCESS_KEY": endpoints.access_key,
        "VITRINE_SERVE_S3_SECRET_KEY": endpoints.secret_key,
        "VITRINE_SERVE_S3_REGION": endpoints.region,
        "VITRINE_SERVE_S3_BUCKET": endpoints.bucket,
    }
    return {name: value for name, value in env.items() if value}


def consumers_env(endpoints: Endpoints) -> dict[str, str]:
    """For `consumers`: the broker and Serve."""
    env = {
        "VITRINE_CONSUMERS_BOOTSTRAP": endpoints.bootstrap,
        "VITRINE_CONSUMERS_API_VERSION": ".".join(map(str, endpoints.kafka_api_version or ())),
        "VITRINE_CONSUMERS_SERVE_URL": endpoints.serve_url,
    }
    return {name: value for name, value in env.items() if value}
