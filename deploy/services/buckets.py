"""Buckets of an S3-compatible store."""

from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from deploy.errors import ServiceFailed

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_QUICK = Config(
    # Presigned addresses of the old signature are refused by most servers.
    signature_version="s3v4",
    connect_timeout=2,
    read_timeout=10,
    retries={"total_max_attempts": 2},
    s3={"addressing_style": "path"},
)
_MISSING = {"404", "NoSuchBucket", "NotFound"}
_OURS = {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}


def s3_client(endpoint: str | None, access_key: str, secret_key: str, region: str) -> "S3Client":
    """A client with short timeouts; `ServiceFailed` where the endpoint is no address."""
    try:
        return _client(endpoint, access_key, secret_key, region)
    except ValueError as error:
        raise ServiceFailed(f"{endpoint!r} is no address of an S3 store, such as http://127.0.0.1:9000") from error


def _client(endpoint: str | None, access_key: str, secret_key: str, region: str) -> "S3Client":
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        region_name=region,
        config=_QUICK,
    )


def answers(client: "S3Client") -> bool:
    """Whether the store answers S3 requests of these credentials."""
    try:
        client.list_buckets()
    except (BotoCoreError, ClientError):
        return False
    return True


def ensure_bucket(client: "S3Client", bucket: str) -> bool:
    """Make the bucket if it is missing; True if it was made. `ServiceFailed` where the store refuses."""
    try:
        client.head_bucket(Bucket=bucket)
    except ClientError as error:
        if error.response["Error"]["Code"] not in _MISSING:
            raise ServiceFailed(f"the store refuses bucket {bucket!r}: {error}") from error
    except BotoCoreError as error:
        raise ServiceFailed(f"the store does not answer: {error}") from error
    else:
        return False
    try:
        client.create_bucket(Bucket=bucket)
    except ClientError as error:
        if error.response["Error"]["Code"] not in _OURS:
            raise ServiceFailed(f"the store refuses to make bucket {bucket!r}: {error}") from error
    return True
