"""Weights that lie in a bucket of a real S3 server."""

import hashlib
from pathlib import Path

import pytest
from pydantic import SecretStr

from models.registry.manifest import Source, WeightsError, bundled_folder, find_weights
from models.registry.sources import read_bytes
from models.styles.transfer import StyleTransfer
from serve.buckets import client_for, weights_reader
from serve.settings import ServeSettings
from tests.support.servers import StoreServer

pytestmark = pytest.mark.real


@pytest.fixture
def settings(real_store: StoreServer) -> ServeSettings:
    return ServeSettings(
        s3_endpoint=real_store.endpoint,
        s3_access_key=SecretStr(real_store.access_key),
        s3_secret_key=SecretStr(real_store.secret_key),
    )


@pytest.fixture
def bucket(settings: ServeSettings, real_store: StoreServer) -> str:
    for path in bundled_folder().iterdir():
        if path.name.startswith(("weights.json", "style.")):
            client_for(settings).put_object(Bucket=real_store.bucket, Key=f"nets/1/{path.name}", Body=path.read_bytes())
    return f"s3://{real_store.bucket}/nets/1"


@pytest.mark.parametrize("file", ["", "/style.safetensors"])
def test_a_net_is_loaded_from_a_bucket(settings: ServeSettings, bucket: str, file: str) -> None:
    source = Source(bucket + file, read=weights_reader(settings))
    assert StyleTransfer.load(weights=source).version == find_weights("style", "pu2-style").entry.version


def test_what_is_not_there_is_said(settings: ServeSettings, bucket: str) -> None:
    read = weights_reader(settings)
    for uri in (f"{bucket}/none.safetensors", "s3://no-such-bucket-here/a", "s3://only-a-bucket", "https://host/a"):
        with pytest.raises(WeightsError, match=uri):
            read_bytes(uri, read)


def test_weights_that_were_altered_in_the_bucket_are_refused(
    settings: ServeSettings, bucket: str, real_store: StoreServer
) -> None:
    body = (bundled_folder() / "style.safetensors").read_bytes()[:-1] + b"?"
    client_for(settings).put_object(Bucket=real_store.bucket, Key="nets/1/style.safetensors", Body=body)
    with pytest.raises(WeightsError, match=hashlib.sha256(body).hexdigest()):
        StyleTransfer.load(weights=Source(bucket, read=weights_reader(settings)))


def test_a_server_that_is_away_is_said(tmp_path: Path) -> None:
    settings = ServeSettings(
        s3_endpoint="http://127.0.0.1:9", s3_access_key=SecretStr("a"), s3_secret_key=SecretStr("b"), state_dir=tmp_path
    )
    with pytest.raises(WeightsError, match="EndpointConnectionError"):
        read_bytes("s3://models/weights.json", weights_reader(settings))
