"""A short chaos run: faults of four kinds, and every event has exactly one visible outcome."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.errors import ToolMissing
from deploy.services.tools import find_java, kafka_jars, versitygw
from tests.support.servers import missing

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]

EVENTS = 2000
FAULTS = ("kill_consumer", "kill_broker", "cut_store", "kill_replica")


def test_faults_of_four_kinds_break_no_promise(tmp_path: Path) -> None:
    try:
        find_java(), kafka_jars(), versitygw()
    except ToolMissing as error:
        missing(str(error))
    command = [sys.executable, "-m", "deploy.loadtest.chaos", "--json", "--seed", "1", "--folder", str(tmp_path)]
    command += ["--events", str(EVENTS), "--faults", ",".join(FAULTS)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    report = json.loads(done.stdout)
    assert sum(report["ended"].values()) == sum(report["sent"].values()) == EVENTS
    assert {mark["fault"] for mark in report["timeline"] if mark["phase"] == "strike"} == set(FAULTS)
    # Most events cost no work, but some made images, and those were compared.
    assert report["counts"]["listings with objects"] > 0
    assert report["ended"]["enriched"] > 0
