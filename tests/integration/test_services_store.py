"""What Vitrine asks of a store, of the real one and of the embedded one."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from deploy.errors import ToolMissing
from deploy.services.interface import Endpoints
from deploy.services.store_embedded import EmbeddedStore
from deploy.services.store_real import RealStore
from deploy.settings import DeploySettings
from tests.support.servers import StoreServer, missing, unique

pytestmark = pytest.mark.real
WRITERS = 16


@pytest.fixture(params=["real_store", "embedded_store"])
def server(request: pytest.FixtureRequest) -> StoreServer:
    return request.getfixturevalue(request.param)


def put_if_absent(client: Any, bucket: str, key: str, body: bytes) -> int:
    try:
        answer = client.put_object(Bucket=bucket, Key=key, Body=body, IfNoneMatch="*", ContentType="image/jpeg")
    except ClientError as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"]
    return answer["ResponseMetadata"]["HTTPStatusCode"]


def test_of_many_writers_one_wins(server: StoreServer) -> None:
    client, start = server.client(), threading.Barrier(WRITERS)
    for key in (unique("race/object") for _ in range(3)):
        bodies = [b"%d" % number * 5000 for number in range(WRITERS)]

        def write(body: bytes, key: str = key) -> int:
            start.wait(20)
            return put_if_absent(client, server.bucket, key, body)

        with ThreadPoolExecutor(WRITERS) as pool:
            statuses = list(pool.map(write, bodies))
        assert sorted(statuses) == [200, *[412] * (WRITERS - 1)], statuses
        stored = client.get_object(Bucket=server.bucket, Key=key)
        assert stored["Body"].read() == bodies[statuses.index(200)]
        assert stored["ContentType"] == "image/jpeg"


@pytest.mark.parametrize("kind", [RealStore, EmbeddedStore])
def test_objects_survive_a_restart_on_the_same_port(kind: type[RealStore | EmbeddedStore], tmp_path: Path) -> None:
    store = kind(tmp_path, DeploySettings())
    try:
        store.start()
        server = StoreServer.of(store.describe(Endpoints()))
        client = server.client()
        client.put_object(Bucket=server.bucket, Key="a/b.jpg", Body=b"picture", ContentType="image/jpeg")
        store.stop()
        assert not store.healthy()
        store.start()
        assert StoreServer.of(store.describe(Endpoints())) == server
        stored = client.get_object(Bucket=server.bucket, Key="a/b.jpg")
        assert (stored["Body"].read(), stored["ContentType"]) == (b"picture", "image/jpeg")
    except ToolMissing as error:
        missing(str(error))
    finally:
        store.stop()
