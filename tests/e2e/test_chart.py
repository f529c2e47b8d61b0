"""The chart as Helm reads it, and what the real API server makes of everything it renders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.local import tools
from deploy.local.api import ApiError, Object
from deploy.local.controlplane import ControlPlane
from deploy.local.kinds import real_crds
from deploy.render import CHART, MANIFESTS, NAMESPACE, rendered
from scheduler.config import parse_config

MONITORING = {name: {"enabled": True} for name in ("serviceMonitor", "prometheusRule", "dashboards")}
VALUES: dict[str, dict[str, Any]] = {
    "as it comes": {},
    "two replicas over TLS, watched": {
        "replicas": 2,
        "tls": {"secretName": "lockstep-tls"},
        "monitoring": MONITORING,
        "scheduler": {"featureGates": {"GenericWorkload": True, "GangScheduling": False}},
    },
    "an extender for a scheduler of your own": {
        "layout": "extender",
        "tell": "conditions",
        "replicas": 3,
        "tls": {"secretName": "lockstep-tls"},
        "api": {"expose": True},
        "networkPolicy": {"schedulerFrom": [{"ipBlock": {"cidr": "10.0.0.0/28"}}], "metricsFrom": []},
    },
    "little of it": {
        "auth": "none",
        "tell": "none",
        "gate": {"enabled": False},
        "networkPolicy": {"enabled": False},
        "podDisruptionBudget": {"enabled": False},
        "serviceAccount": {"create": False, "name": "mine"},
        "rbac": {"reads": []},
        "readConfigMaps": False,
        "image": {"repository": "registry.example/lockstep", "digest": "sha256:" + "0" * 64},
    },
    "some namespaces, other GPUs, a fabric": {
        "gate": {"namespaceSelector": {"matchLabels": {"team": "a"}}, "failurePolicy": "Ignore"},
        "scheduler": {"gpuResources": ["example.com/gpu"], "name": "gangs", "httpTimeoutSeconds": 30},
        "config": {
            "topology": {"levels": [{"name": "rack", "label": "example.com/rack"}]},
            "service": {"solverTime": "5s"},
        },
    },
}


def documents(values: dict[str, Any]) -> list[Object]:
    text = tools.template(CHART, values, namespace=NAMESPACE)
    return [document for document in yaml.safe_load_all(text) if document]


def one(kind: str, found: list[Object]) -> Object:
    (only,) = (document for document in found if document["kind"] == kind)
    return only


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_helm_has_nothing_to_say_against_it(values: dict[str, Any]) -> None:
    assert [finding for finding in tools.lint(CHART, values) if finding.severity != "info"] == []


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"layout": "somewhere"}, "'/layout'"),
        ({"replicas": 0}, "'/replicas'"),
        ({"replica": 2}, "replica"),
        ({"layout": "extender"}, "'/tls/secretName'"),
        ({"scheduler": {"httpTimeoutSeconds": "20s"}}, "'/scheduler/httpTimeoutSeconds'"),
        ({"scheduler": {"gpuResources": ["gpu"]}}, "'/scheduler/gpuResources/0'"),
        ({"rbac": {"reads": [{"group": "", "resources": ["secrets"]}]}}, "'/rbac/reads/0/resources/0'"),
        ({"image": {"repository": "x", "digest": "latest"}}, "'/image/digest'"),
        ({"config": {"servise": {}}}, "servise"),
        ({"readConfigMaps": "no"}, "'/readConfigMaps'"),
    ],
)
def test_values_that_mean_nothing_are_refused(values: dict[str, Any], fault: str) -> None:
    with pytest.raises(tools.Refused, match=fault):
        tools.template(CHART, values)
    assert any(finding.severity == "error" for finding in tools.lint(CHART, values))


def test_manifests_are_those_of_the_chart() -> None:
    """Otherwise: `python -m deploy.render`."""
    found = rendered()
    assert {file: (MANIFESTS / file).read_text() for file in found} == found
    listed = {str(path.relative_to(MANIFESTS)) for path in MANIFESTS.rglob("*") if path.is_file()}
    assert listed == set(found)


@pytest.fixture(scope="module")
def watched(controlplane: ControlPlane) -> ControlPlane:
    """A cluster that knows ServiceMonitor and PrometheusRule, by their released schemas."""
    controlplane.client().apply(
        [crd for crd in real_crds() if crd["spec"]["group"] == "monitoring.coreos.com"]
    )
    return controlplane


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_the_api_server_takes_every_object(watched: ControlPlane, values: dict[str, Any]) -> None:
    """In a dry run: stored, some would add the rights of kube-scheduler, which other tests refuse."""
    found = documents(values)
    taken = watched.client().apply(found, dry_run=True)
    assert [item["metadata"]["name"] for item in taken] == [item["metadata"]["name"] for item in found]
    for given, stored in zip(found, taken, strict=True):
        if given["apiVersion"].startswith("monitoring.coreos.com"):
            assert stored["spec"] == given["spec"]  # nothing that the schema does not know


def test_the_schemas_of_the_operator_refuse_what_is_wrong(watched: ControlPlane) -> None:
    found = documents(VALUES["two replicas over TLS, watched"])
    monitor = one("ServiceMonitor", found)
    monitor["spec"]["endpoints"][0]["interval"] = "soon"
    with pytest.raises(ApiError, match="interval"):
        watched.client().apply([monitor], dry_run=True)


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_its_pods_pass_the_restricted_pod_security(
    controlplane: ControlPlane, values: dict[str, Any]
) -> None:
    """The admission of the namespace itself decides, and it can say no."""
    template = one("Deployment", documents(values))["spec"]["template"]
    metadata = {**template["metadata"], "name": "probe", "namespace": NAMESPACE}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
    path = f"/api/v1/namespaces/{NAMESPACE}/pods"
    assert controlplane.client().request("POST", path, pod, dryRun="All")["metadata"]["name"] == "probe"
    loose = {**pod, "spec": {**pod["spec"], "securityContext": {}}}
    with pytest.raises(ApiError, match="violates PodSecurity"):
        controlplane.client().request("POST", path, loose, dryRun="All")


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_its_configuration_is_one_that_lockstep_takes(values: dict[str, Any]) -> None:
    data = one("ConfigMap", [d for d in documents(values) if "lockstep.yaml" in d.get("data", {})])["data"]
    config = parse_config(data["lockstep.yaml"], name="chart").service
    extender = yaml.safe_load(data["scheduler-config.yaml"])["extenders"][0]
    assert extender["httpTimeout"] == f"{config.http_timeout_s}s"
    assert (config.tls is not None) == extender["urlPrefix"].startswith("https://")
    assert config.metrics and config.api
    assert ("leadership" in data["lockstep.yaml"]) == (values.get("replicas", 1) > 1)


def test_values_stand_in_the_configuration() -> None:
    found = documents(VALUES["some namespaces, other GPUs, a fabric"])
    config = parse_config(one("ConfigMap", found)["data"]["lockstep.yaml"], name="chart")
    assert config.levels is not None and config.levels.ordered()[0].name == "rack"
    assert (config.service.solver_s, config.service.http_timeout_s) == (5, 30)
    policy = next(item for item in found if item["kind"] == "MutatingAdmissionPolicy")["spec"]
    assert policy["matchConstraints"]["namespaceSelector"] == {"matchLabels": {"team": "a"}}
    assert policy["failurePolicy"] == "Ignore"


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_the_rights_of_its_role_are_those_of_its_configuration(values: dict[str, Any]) -> None:
    found = documents(values)
    data = next(d["data"] for d in found if "lockstep.yaml" in d.get("data", {}))
    config = parse_config(data["lockstep.yaml"], name="chart")
    rules = [rule for d in found if d["kind"] in ("ClusterRole", "Role") for rule in d.get("rules", ())]
    events = any("events" in rule["resources"] for rule in rules)
    assert events == (config.service.tell != "none") == (values.get("tell", "events") != "none")
    maps = [rule["verbs"] for rule in rules if "configmaps" in rule["resources"]]
    assert maps == ([["get"]] if config.config_maps else [])
    assert config.config_maps == values.get("readConfigMaps", True)


def test_nothing_of_lockstep_sits_on_a_gpu_node() -> None:
    spec = one("Deployment", documents({}))["spec"]["template"]["spec"]
    (term,) = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][
        "nodeSelectorTerms"
    ]
    assert {(e["key"], e["operator"]) for e in term["matchExpressions"]} >= {
        ("nvidia.com/gpu.present", "DoesNotExist")
    }
    assert spec["priorityClassName"] == "system-cluster-critical"


def test_the_kustomize_base_lists_every_object_file() -> None:
    for folder in (MANIFESTS, MANIFESTS / "monitoring"):
        listed = yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]
        there = {file.name for file in Path(folder).glob("*.yaml")} - {
            "kustomization.yaml",
            "scheduler-config.yaml",  # read by kube-scheduler, not by the API server
        }
        assert set(listed) == there
        made = [item for item in yaml.safe_load_all(tools.kustomized(folder)) if item]
        files = [item for name in listed for item in yaml.safe_load_all((folder / name).read_text()) if item]
        assert sorted(map(_named, made)) == sorted(map(_named, files))


def _named(item: Object) -> tuple[str, str]:
    return item["kind"], item["metadata"]["name"]


def test_grafana_knows_every_field_of_the_dashboard() -> None:
    text = (CHART / "monitoring/dashboard.json").read_text()
    tools.check_dashboard(text)
    with pytest.raises(tools.Refused, match="pannels"):
        tools.check_dashboard(text.replace('"panels"', '"pannels"'))
