"""`vitrine demo` as a user types it, with real servers: what it leaves is what it says."""

import hashlib
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from deploy.errors import ToolMissing
from deploy.services.tools import find_java, kafka_jars, versitygw
from tests.support.servers import missing
from tests.support.system import VITRINE

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]

LISTINGS, EXTRAS = 2, 8


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run left."""
    try:
        find_java()
        kafka_jars()
        versitygw()
    except ToolMissing as error:
        missing(str(error))
    folder = tmp_path_factory.mktemp("demo")
    command = [VITRINE, "demo", "--limit", str(LISTINGS), "--recipe", "studio"]
    command += ["--kafka", "real", "--store", "real", "--out", folder / "out"]
    env = {**os.environ, "VITRINE_DEPLOY_STATE_DIR": str(folder / "state")}
    done = subprocess.run(list(map(str, command)), env=env, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return folder / "out"


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_every_event_is_a_result_or_a_dead_letter(out: Path) -> None:
    results, dead = lines(out / "results.ndjson"), lines(out / "dead.ndjson")
    assert len((out / "events.ndjson").read_bytes().splitlines()) == LISTINGS + EXTRAS
    assert len(results) + len(dead) == LISTINGS + EXTRAS
    assert sorted(letter["code"] for letter in dead) == ["invalid_json", "unknown_event_type"]
    assert all(result["event_id"] and result["outcome"] for result in results)
    outcomes = {result["outcome"] for result in results}
    assert {"duplicate", "failed", "rejected"} <= outcomes
    # The older revision: the newer one was answered by then, or it was waiting too.
    assert outcomes & {"stale", "superseded"}


def test_each_picture_is_the_object_that_its_result_names(out: Path) -> None:
    outputs = [output for result in lines(out / "results.ndjson") for output in result["outputs"]]
    assert len({output["path"] for output in outputs}) == len(outputs) >= LISTINGS
    for output in outputs:
        assert hashlib.sha256((out / output["path"]).read_bytes()).hexdigest() == output["sha256"]


def test_the_summary_agrees(out: Path) -> None:
    summary = json.loads((out / "summary.json").read_text())
    assert summary["ok"] is True
    assert summary["problems"] == []
    assert summary["events"] == summary["answered"] == LISTINGS + EXTRAS
    assert (summary["kafka"], summary["store"]) == ("real", "real")
    assert summary["images"] == summary["objects_verified"] > 0


def test_the_contact_sheets_can_be_looked_at(out: Path) -> None:
    page = (out / "contact-sheet.html").read_text()
    assert "<script" not in page
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", page)
    assert not re.findall(r"url\(|@import", page)
    with Image.open(out / "contact-sheet.png") as picture:
        picture.load()
        assert picture.width > 300
