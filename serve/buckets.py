"""S3 as the settings say: for the store, for sources, and for weights that lie in a bucket."""

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from models.registry.sources import LARGEST, Reader, WeightsError
from serve.settings import ServeSettings
from serve.storage import s3_client

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def client_for(settings: ServeSettings, *, read_timeout_s: float = 20, attempts: int = 4) -> "S3Client":
    """A client with the settings' endpoint and keys."""
    access, secret = settings.s3_access_key, settings.s3_secret_key
    return s3_client(
        settings.s3_endpoint,
        region=settings.s3_region,
        access_key=access.get_secret_value() if access else None,
        secret_key=secret.get_secret_value() if secret else None,
        read_timeout_s=read_timeout_s,
        attempts=attempts,
    )


def weights_reader(settings: ServeSettings) -> Reader:
    """Reads `s3://bucket/key`; `WeightsError` for what cannot be had, or is another scheme."""

    def read(uri: str) -> bytes:
        address = urlsplit(uri)
        if address.scheme != "s3" or not address.netloc or not address.path.strip("/"):
            raise WeightsError(f"{uri} is not an address of weights: s3://bucket/key, or a path")
        try:
            answer = client_for(settings).get_object(Bucket=address.netloc, Key=address.path.lstrip("/"))
            with answer["Body"] as body:
                if answer["ContentLength"] > LARGEST:
                    raise WeightsError(f"{uri} is larger than {LARGEST:,} bytes")
                return bytes(body.read(LARGEST + 1))
        except ClientError as error:
            raise WeightsError(f"{uri} cannot be read: {error.response['Error'].get('Code', 'refused')}") from error
        except BotoCoreError as error:
            raise WeightsError(f"{uri} cannot be read: {type(error).__name__}") from error

    return read
