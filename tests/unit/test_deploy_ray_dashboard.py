"""The REST interface of a cluster, played by a web server: what is read there, what is sent, what refusals say."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from deploy.errors import ServiceFailed
from deploy.services.ray_dashboard import RayDashboard
from deploy.services.ray_guest import MARK
from deploy.services.ray_keeper import remove

SERVE = "/api/serve/applications/"
OURS = {"name": "vitrine", "runtime_env": {"env_vars": {MARK: "mark"}}}
NEIGHBOUR = {"name": "neighbour", "import_path": "n:app"}


class FakeDashboard:
    """Answers by path with a status and a body; a PUT replaces the applications, as Serve does."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, str]] = {}
        self.put: list[dict[str, Any]] = []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._say(*fake.answers.get(self.path.split("?")[0], (404, "")))

            def do_PUT(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                fake.put.append(request)
                fake.serve(*request["applications"])
                self._say(200, "")

            def _say(self, status: int, body: str) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *args: object) -> None:
                """Keep the test output clean."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def say(self, path: str, data: object) -> None:
        self.answers[path] = (200, json.dumps(data))

    def serve(self, *configs: dict[str, Any]) -> None:
        applications = {one["name"]: {"deployed_app_config": one} for one in configs}
        self.say(SERVE, {"http_options": {"port": 9000}, "proxy_location": "HeadOnly", "applications": applications})


@pytest.fixture
def fake() -> Iterator[FakeDashboard]:
    made = FakeDashboard()
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


def test_what_the_cluster_says(fake: FakeDashboard) -> None:
    fake.say("/api/v0/cluster_metadata", {"data": {"rayVersion": "2.60.0", "pythonVersion": "3.11.7"}})
    node = {"node_ip": "127.0.0.1", "is_head_node": True, "state": "ALIVE", "resources_total": {"CPU": 4.0}}
    gone = {**node, "node_ip": "192.0.2.200", "is_head_node": False, "state": "DEAD"}
    fake.say("/api/v0/nodes", {"data": {"result": {"result": [node, gone]}}})
    report = {"loadMetricsReport": {"usage": {"CPU": [1.0, 4.0]}}}
    fake.say("/api/cluster_status", {"data": {"clusterStatus": report}})
    cluster = RayDashboard(fake.url + "/")
    assert cluster.versions() == ("2.60.0", "3.11.7")
    (alive,) = cluster.nodes()
    assert (alive.ip, alive.head, alive.here, alive.resources) == ("127.0.0.1", True, True, {"CPU": 4.0})
    assert cluster.used() == {"CPU": 1.0}
    fake.say("/api/cluster_status", {"data": {"clusterStatus": None}})
    assert cluster.used() == {}


def test_a_cluster_without_serve_has_no_applications(fake: FakeDashboard) -> None:
    fake.say(SERVE, {"controller_info": {}, "proxies": {}, "applications": {}, "target_capacity": None})
    found = RayDashboard(fake.url).serve()
    assert (found.http_options, found.applications, found.others("vitrine")) == ({}, {}, [])


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((200, "<html>"), "is no Ray dashboard"),
        ((200, "[]"), "is no Ray dashboard"),
        ((404, "Not Found"), "is no Ray dashboard"),
        ((401, "Unauthorized"), "asks for a token"),
        ((403, "Forbidden"), "asks for a token"),
        ((503, "the GCS may be down"), "gave 503: the GCS may be down"),
    ],
)
def test_refusals_say_what_is_wrong(fake: FakeDashboard, answer: tuple[int, str], reason: str) -> None:
    fake.answers[SERVE] = answer
    with pytest.raises(ServiceFailed, match=reason):
        RayDashboard(fake.url).serve()


def test_nobody_there(fake: FakeDashboard) -> None:
    fake.server.server_close()
    with pytest.raises(ServiceFailed, match="no Ray dashboard answers"):
        RayDashboard(fake.url).serve()


def test_an_address_of_another_kind_is_refused() -> None:
    with pytest.raises(ServiceFailed, match="HOST:8265"):
        RayDashboard("ftp://127.0.0.1:1")


def test_the_keeper_takes_away_what_it_brought_and_nothing_else(fake: FakeDashboard) -> None:
    fake.serve(NEIGHBOUR, OURS)
    remove(RayDashboard(fake.url), "vitrine", "mark of another guest")
    assert fake.put == []
    remove(RayDashboard(fake.url), "vitrine", "mark")
    (request,) = fake.put
    assert request["applications"] == [NEIGHBOUR]
    assert (request["http_options"], request["proxy_location"]) == ({"port": 9000}, "HeadOnly")
