"""Servers for tests: started once per session, found by name, left to nobody."""

import os
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import pytest

from deploy.services.buckets import s3_client
from deploy.services.interface import Endpoints
from deploy.services.kafka_topics import ensure_topics

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def missing(reason: str) -> NoReturn:
    """Skip the test with the reason, or fail it where VITRINE_TEST_REQUIRE_REAL=1 asks for the real servers."""
    if os.environ.get("VITRINE_TEST_REQUIRE_REAL") == "1":
        pytest.fail(f"VITRINE_TEST_REQUIRE_REAL=1, but {reason}", pytrace=False)
    pytest.skip(reason)


def unique(name: str) -> str:
    """A name for a topic, group or bucket prefix that no other test has."""
    return f"{name}-{uuid.uuid4().hex[:10]}"


@dataclass(frozen=True)
class KafkaServer:
    """A broker that tests share: make your own topics and groups."""

    bootstrap: str
    #: For kafka-python; None with the real broker.
    api_version: tuple[int, int] | None

    @classmethod
    def of(cls, endpoints: Endpoints) -> "KafkaServer":
        return cls(bootstrap=endpoints.bootstrap or "", api_version=endpoints.kafka_api_version)

    def client(self, **more: object) -> dict[str, object]:
        """Arguments for KafkaProducer, KafkaConsumer and KafkaAdminClient."""
        version = {} if self.api_version is None else {"api_version": self.api_version}
        return {"bootstrap_servers": self.bootstrap.split(","), **version, **more}

    def new_topic(self, name: str = "test", partitions: int = 1, end: str = "") -> str:
        """A fresh topic. The embedded broker makes topics by itself, always with four partitions."""
        topic = unique(name) + end
        if self.api_version is None:
            ensure_topics(self.bootstrap, {topic: partitions})
        return topic


@dataclass(frozen=True)
class StoreServer:
    """An S3 server that tests share: make your own key prefixes."""

    endpoint: str
    access_key: str
    secret_key: str
    bucket: str
    region: str = "us-east-1"

    @classmethod
    def of(cls, endpoints: Endpoints) -> "StoreServer":
        return cls(
            endpoint=endpoints.s3_endpoint or "",
            access_key=endpoints.access_key,
            secret_key=endpoints.secret_key,
            bucket=endpoints.bucket,
            region=endpoints.region,
        )

    def client(self) -> "S3Client":
        return s3_client(self.endpoint, self.access_key, self.secret_key, self.region)
