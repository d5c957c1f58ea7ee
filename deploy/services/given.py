"""Servers that somebody else runs: we check that they answer, and make the topics and the bucket that are missing."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

from deploy.errors import ServiceFailed
from deploy.services.buckets import answers, ensure_bucket, s3_client
from deploy.services.interface import Endpoints
from deploy.services.kafka_topics import check_topics, ensure_topics
from deploy.services.processes import ProcessRecord
from deploy.settings import DeploySettings


class GivenKafka:
    """A Kafka cluster that already runs."""

    name = "kafka"

    def __init__(self, bootstrap: str, topics: Mapping[str, int]) -> None:
        self._bootstrap = bootstrap
        self._topics = topics

    def start(self) -> None:
        """Make the topics that are missing."""
        ensure_topics(self._bootstrap, self._topics)

    def stop(self) -> None:
        """Leave it alone."""

    def healthy(self) -> bool:
        """Whether it answers and has the topics."""
        try:
            return not any(check.problem for check in check_topics(self._bootstrap, self._topics))
        except ServiceFailed:
            return False

    def processes(self) -> Sequence[ProcessRecord]:
        """None of ours."""
        return []

    def describe(self, endpoints: Endpoints) -> Endpoints:
        """Add its address."""
        incarnation = hashlib.sha256(self._bootstrap.encode()).hexdigest()[:12]
        return replace(endpoints, bootstrap=self._bootstrap, kafka_incarnation=incarnation)


class GivenStore:
    """An S3-compatible store that already runs; credentials and bucket come from the settings."""

    name = "store"

    def __init__(self, endpoint: str, settings: DeploySettings) -> None:
        self._endpoint = endpoint
        self._settings = settings
        self._client = s3_client(endpoint, settings.access_key, settings.secret_key, settings.region)

    def start(self) -> None:
        """Make the bucket if it is missing."""
        ensure_bucket(self._client, self._settings.bucket)

    def stop(self) -> None:
        """Leave it alone."""

    def healthy(self) -> bool:
        """Whether it answers."""
        return answers(self._client)

    def processes(self) -> Sequence[ProcessRecord]:
        """None of ours."""
        return []

    def describe(self, endpoints: Endpoints) -> Endpoints:
        """Add address, credentials and bucket."""
        return replace(
            endpoints,
            s3_endpoint=self._endpoint,
            access_key=self._settings.access_key,
            secret_key=self._settings.secret_key,
            region=self._settings.region,
            bucket=self._settings.bucket,
        )
