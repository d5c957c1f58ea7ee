"""`vitrine inspect s3://bucket/key` against a store that speaks S3."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from deploy.cli import app
from deploy.errors import DeployError
from serve.images.encoding import encode
from serve.images.provenance import Provenance
from tests.support.servers import StoreServer

PROVENANCE = Provenance(digital_source_type="compositeSynthetic", models=(), seed=9, key="shop/ab.jpg")


def test_an_object_of_the_store_is_inspected(
    embedded_store: StoreServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VITRINE_DEPLOY_STATE_DIR", str(tmp_path))
    for name in ("endpoint", "access_key", "secret_key", "region"):
        monkeypatch.setenv(f"VITRINE_SERVE_S3_{name.upper()}", getattr(embedded_store, name))
    body = encode(np.full((80, 60, 3), 90, np.uint8), "jpeg", PROVENANCE).body
    embedded_store.client().put_object(Bucket=embedded_store.bucket, Key="shop/ab.jpg", Body=body)
    uri = f"s3://{embedded_store.bucket}/shop/ab.jpg"
    told = CliRunner().invoke(app, ["inspect", "--json", uri])
    assert told.exit_code == 0
    (one,) = json.loads(told.stdout)
    assert (one["image"], one["key"], one["digital_source_type"]) == (uri, "shop/ab.jpg", "compositeSynthetic")
    missing = CliRunner().invoke(app, ["inspect", f"s3://{embedded_store.bucket}/shop/no.jpg"])
    assert missing.exit_code != 0
    assert isinstance(missing.exception, DeployError)
    assert "NoSuchKey" in str(missing.exception)
