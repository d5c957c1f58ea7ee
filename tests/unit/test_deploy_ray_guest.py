"""A guest on somebody's Ray: what it refuses, what it sends, what it leaves as it was."""

from typing import Any

import pytest
import yaml
from ray.serve.schema import ServeDeploySchema

from deploy.errors import DeployError, ServiceFailed
from deploy.services import ray_guest
from deploy.services.ray_dashboard import RayNode, ServeDetails
from deploy.services.ray_guest import arrival, departure, lacking, require_place, require_reach, require_versions
from deploy.services.ray_serve import CONFIG
from deploy.services.stack import Choice

DOCUMENT: dict[str, Any] = yaml.safe_load(CONFIG.read_text())
APPLICATION = DOCUMENT["applications"][0]
NEIGHBOUR = {"name": "neighbour", "route_prefix": "/n", "import_path": "n:app", "runtime_env": {"env_vars": {"A": "1"}}}
HTTP = {"host": "127.0.0.1", "port": 8000}
HERE = RayNode(ip="127.0.0.2", head=True, resources={"CPU": 4.0})
FAR = RayNode(ip="192.0.2.200", head=False, resources={"CPU": 4.0})


def busy(**more: Any) -> ServeDetails:
    """Serve with an application that came by REST and one that a program started."""
    applications = {
        "neighbour": {"route_prefix": "/n", "deployed_app_config": NEIGHBOUR},
        "by-hand": {"route_prefix": "/h", "deployed_app_config": None},
        **more,
    }
    return ServeDetails(
        http_options={"host": "0.0.0.0", "port": 9000},
        proxy_location="HeadOnly",
        target_capacity=50.0,
        applications=applications,
    )


def test_the_neighbours_come_along_and_keep_what_is_theirs() -> None:
    request = arrival(DOCUMENT, busy(), {"VITRINE_SERVE_S3_BUCKET": "b"}, HTTP, "mark")
    assert [one["name"] for one in request["applications"]] == ["neighbour", "vitrine"]
    assert request["applications"][0] == NEIGHBOUR
    assert (request["http_options"]["port"], request["proxy_location"], request["target_capacity"]) == (
        9000,
        "HeadOnly",
        50.0,
    )
    assert "logging_config" not in request
    ours = request["applications"][1]
    assert ours["runtime_env"]["env_vars"] == {"VITRINE_SERVE_S3_BUCKET": "b", ray_guest.MARK: "mark"}
    assert ours["logging_config"] == DOCUMENT["logging_config"]
    assert {name: one for name, one in ours.items() if name in APPLICATION} == APPLICATION
    ServeDeploySchema.model_validate(request)


def test_the_first_application_of_a_cluster_says_where_serve_listens() -> None:
    request = arrival(DOCUMENT, ServeDetails(), {}, {"host": "0.0.0.0", "port": 8123}, "mark")
    assert request["http_options"] == {"host": "0.0.0.0", "port": 8123}
    assert request["proxy_location"] == DOCUMENT["proxy_location"]
    ServeDeploySchema.model_validate(request)


def test_only_the_own_application_is_taken_away() -> None:
    config = arrival(DOCUMENT, busy(), {}, HTTP, "mark")["applications"][1]
    there = busy(vitrine={"route_prefix": "/", "deployed_app_config": config})
    request = departure("vitrine", there, "mark")
    assert request is not None
    assert request["applications"] == [NEIGHBOUR]
    assert request["target_capacity"] == 50.0
    ServeDeploySchema.model_validate(request)
    assert departure("vitrine", there, "mark of another guest") is None
    assert departure("vitrine", busy(vitrine={"deployed_app_config": None}), "mark") is None
    assert departure("vitrine", busy(), "mark") is None


def test_a_taken_name_or_route_is_refused() -> None:
    require_place(APPLICATION, busy())
    with pytest.raises(ServiceFailed, match="already has an application `vitrine`"):
        require_place(APPLICATION, busy(vitrine={"route_prefix": "/v"}))
    with pytest.raises(ServiceFailed, match="`shop` of the cluster already has the route /"):
        require_place(APPLICATION, busy(shop={"route_prefix": "/"}))


def test_what_is_missing_is_counted_over_all_replicas() -> None:
    application = {
        "deployments": [
            {"name": "Studio", "num_replicas": 3, "ray_actor_options": {"num_cpus": 2, "num_gpus": 0.5}},
            {"name": "Door", "ray_actor_options": {"num_cpus": 0}},
            {"name": "More", "autoscaling_config": {"min_replicas": 2}},
        ]
    }
    nodes = [RayNode(ip="a", head=True, resources={"CPU": 4.0}), RayNode(ip="b", head=False, resources={"CPU": 4.0})]
    assert lacking(application, nodes, {}) == "GPU: 0 of 0 free, 1.5 wanted"
    nodes.append(RayNode(ip="c", head=False, resources={"GPU": 2.0}))
    assert lacking(application, nodes, {}) == ""
    assert lacking(application, nodes, {"CPU": 1.0}) == "CPU: 7 of 8 free, 8 wanted"


def test_other_versions_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_guest, "version", lambda _: "2.60.0")
    monkeypatch.setattr(ray_guest.platform, "python_version_tuple", lambda: ("3", "11", "7"))
    require_versions("2.60.0", "3.11.9")
    with pytest.raises(ServiceFailed, match=r"Ray 2\.59\.1"):
        require_versions("2.59.1", "3.11.7")
    with pytest.raises(ServiceFailed, match=r"Python 3\.1\.7"):
        require_versions("2.60.0", "3.1.7")


def test_nodes_elsewhere_need_an_index_and_a_store_that_they_reach() -> None:
    index = {"VITRINE_SERVE_INDEX_URL": "postgresql+psycopg://db/vitrine"}
    require_reach([HERE], {"VITRINE_SERVE_S3_ENDPOINT": "http://127.0.0.1:9"})
    require_reach([HERE, FAR], {**index, "VITRINE_SERVE_S3_ENDPOINT": "http://store:9000"})
    with pytest.raises(ServiceFailed, match="PostgreSQL"):
        require_reach([HERE, FAR], {"VITRINE_SERVE_S3_ENDPOINT": "http://store:9000"})
    with pytest.raises(ServiceFailed, match="cannot reach the store"):
        require_reach([FAR], {**index, "VITRINE_SERVE_S3_ENDPOINT": "http://127.0.0.1:9"})


def test_a_cluster_is_for_serving() -> None:
    with pytest.raises(DeployError, match="--no-serve"):
        Choice(ray_address="auto", serve=False)
