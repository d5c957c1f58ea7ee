"""A short load test of the whole of Vitrine on real servers: it is valid, and every event is accounted for."""

import csv
import gzip
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from deploy.errors import ToolMissing
from deploy.loadtest.document import RunDocument
from deploy.loadtest.workload.schedule_file import open_schedule
from deploy.services.tools import find_java, kafka_jars, versitygw
from tests.support.servers import missing

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

PROGRAM = str(Path(sys.executable).with_name("vitrine"))
OUTCOMES = (
    "enriched",
    "review_required",
    "rejected",
    "failed",
    "stale",
    "duplicate",
    "superseded",
    "removed",
)
#: The way of an event, in the order in which it goes.
WAITS = ["intended → sent", "sent → acknowledged", "acknowledged → consumed", "consumed → started"]


def test_a_run_on_real_servers_accounts_for_every_event(tmp_path: Path) -> None:
    try:
        find_java(), kafka_jars(), versitygw()
    except ToolMissing as error:
        missing(str(error))
    command = [PROGRAM, "loadtest", "run", "--driver", "kafka", "--kafka", "real", "--store", "real"]
    command += ["--rate", "1.5", "--duration", "30", "--warmup", "5", "--drain", "180", "--seed", "8"]
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "out")], check=False, capture_output=True, text=True, env={**os.environ}
    )
    found = RunDocument.model_validate_json((tmp_path / "out" / "run.json").read_bytes())
    # A busy machine may make the generator late; everything else must hold.
    assert done.returncode == (0 if found.valid else 2), done.stderr
    assert all("lag" in reason for reason in found.invalid), found.invalid
    assert found.slo.met, found.slo

    ledger = found.ledger
    head, schedule = open_schedule(tmp_path / "out" / "schedule.ndjson.gz")
    kinds = Counter(due.event.kind.value for due in schedule)
    assert ledger.sent == head.count == sum(getattr(ledger, one) for one in OUTCOMES) + ledger.dead + ledger.missing
    assert (ledger.missing, ledger.visible_twice, ledger.unexpected, ledger.unknown) == (0, 0, 0, 0)
    # Photos are made into images, and a repeat that reaches Serve is known as one.
    assert ledger.enriched + ledger.review_required > 0
    assert ledger.duplicate <= kinds["duplicate"]
    with gzip.open(tmp_path / "out" / "ledger.csv.gz", "rt") as file:
        assert Counter(row["kind"] for row in csv.DictReader(file)) == kinds

    assert found.latency_ms.n == round(found.offered * found.duration_s)
    assert found.latency_ms.p50 is not None
    assert found.latency_ms.p99 is None, "told from too few samples"
    stages = {one.name: one for one in found.stages}
    assert [one for one in stages if one in WAITS] == WAITS
    assert {"fetch", "decode", "store"} <= {one.name for one in found.stages if one.sort == "work"}
    assert {"lag_events", "replicas", "consumers", "cpu.serve", "rss_mb.kafka"} <= found.series.samples.keys()
    assert (tmp_path / "out" / "report.html").stat().st_size > 50_000
