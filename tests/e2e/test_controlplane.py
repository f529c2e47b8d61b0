"""The local control plane, the manifests we ship, and what the real API server makes of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.local.api import ApiError
from deploy.local.component import Component, StartError
from deploy.local.controlplane import MANIFESTS, ControlPlane
from deploy.local.scheduler_config import SHIPPED

GANG = "lockstep.scheduling/gang"
MODE = "lockstep.scheduling/mode"
PODS = "/api/v1/namespaces/default/pods"
GPU = {"limits": {"nvidia.com/gpu": "8"}}
ALLOCATABLE = {"cpu": "8", "memory": "8Gi", "pods": "110"}


def eventually(condition: Callable[[], bool], *, timeout_s: float = 20.0) -> bool:
    """Whether the condition holds within the time; the only way that these tests wait."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def pod(name: str, *, resources: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    container = {"name": "main", "image": "none"} | ({} if resources is None else {"resources": resources})
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]} | spec,
    }


def member(name: str, **kwargs: Any) -> dict[str, Any]:
    document = pod(name, **kwargs)
    document["metadata"]["annotations"] = {GANG: "g"}
    return document


def test_reports_the_version_it_was_built_from(controlplane: ControlPlane) -> None:
    assert controlplane.client().get("/version")["gitVersion"] == "v1.37.2"


def test_kubeconfig_names_server_authority_and_user(controlplane: ControlPlane) -> None:
    config = yaml.safe_load(controlplane.kubeconfig("viewer").read_text())
    assert config["clusters"][0]["cluster"]["server"] == controlplane.url
    assert config["users"][0]["user"]["token"] == controlplane.token("viewer")


def test_stock_scheduler_binds_a_pod_and_goes_on_after_an_api_restart(controlplane: ControlPlane) -> None:
    client = controlplane.client()
    status = {"allocatable": ALLOCATABLE, "conditions": [{"type": "Ready", "status": "True"}]}
    client.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}, "status": status})

    def bound(name: str) -> bool:
        return "nodeName" in client.get(f"{PODS}/{name}")["spec"]

    controlplane.start_scheduler()
    try:
        client.create(pod("plain"))
        assert eventually(lambda: bound("plain"))
        controlplane.restart_apiserver()
        client.create(pod("later"))
        assert eventually(lambda: bound("later"))
    finally:
        controlplane.stop_scheduler()
        client.delete(PODS)
        client.delete("/api/v1/nodes/n1")
    assert "kube-scheduler" not in controlplane.pids()


def test_scheduler_takes_the_extender_entry(controlplane: ControlPlane) -> None:
    """Nobody listens there, and a pod without GPUs is none of the extender's business."""
    controlplane.start_scheduler(extender_url="http://127.0.0.1:9/extender")
    assert "kube-scheduler" in controlplane.pids()
    controlplane.stop_scheduler()


def test_a_component_that_cannot_start_says_why(controlplane: ControlPlane) -> None:
    with pytest.raises(StartError, match=r"(?s)kube-scheduler ended.*no-such-field"):
        controlplane.start_scheduler(config={"no-such-field": 1})
    controlplane.stop_scheduler()


def test_deployment_carries_the_shipped_scheduler_configuration(controlplane: ControlPlane) -> None:
    """A dry run: stored, its bindings would add the rights of kube-scheduler to those of Lockstep."""
    documents = controlplane.client().apply(MANIFESTS / "lockstep.yaml", dry_run=True)
    (config,) = (item for item in documents if item["kind"] == "ConfigMap")
    assert yaml.safe_load(config["data"]["scheduler-config.yaml"]) == yaml.safe_load(SHIPPED.read_text())


CALLER = """
import time
from deploy.local.lab import Lab
from topology.synthetic import nvl72
with Lab(controllers=("kwok",)) as lab:
    lab.add_nodes(nvl72(1))
    lab.start()
    print(lab.pid, *lab.plane.pids().values(), flush=True)
    time.sleep(600)
"""


def test_nothing_survives_a_caller_that_is_killed() -> None:
    command = [sys.executable, "-c", CALLER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as caller:
        assert caller.stdout is not None
        pids = [int(pid) for pid in caller.stdout.readline().split()]
        caller.send_signal(signal.SIGKILL)
    assert len(pids) == 5  # with Lockstep
    assert eventually(lambda: not any(map(alive, pids)), timeout_s=5)


def alive(pid: int) -> bool:
    """Whether the process runs; one that ended but was not collected by init does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"


def test_a_component_is_ended_by_force_when_it_does_not_listen(tmp_path: Path) -> None:
    deaf = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "print('up', flush=True); time.sleep(60)"
    )
    log = tmp_path / "deaf.log"
    component = Component("deaf", [sys.executable, "-c", deaf], log=log)
    component.wait_ready(lambda: log.read_text() == "up\n", timeout_s=20)
    component.stop(timeout_s=0.1)
    assert not component.running


# The gate policy. Dry runs: what the API server would store.


@pytest.fixture(scope="module")
def admit(controlplane: ControlPlane) -> Iterator[Callable[[dict[str, Any]], dict[str, Any]]]:
    """Gives the pod spec as admitted under gate.yaml."""
    controlplane.install_gate()
    client = controlplane.client()

    def stored_spec(document: dict[str, Any]) -> dict[str, Any]:
        spec: dict[str, Any] = client.request("POST", PODS, document, dryRun="All")["spec"]
        return spec

    yield stored_spec
    for policy in ("lockstep-gate", "lockstep-marker"):
        root = "/apis/admissionregistration.k8s.io/v1"
        client.delete(f"{root}/mutatingadmissionpolicybindings/{policy}")
        client.delete(f"{root}/mutatingadmissionpolicies/{policy}")


Admit = Callable[[dict[str, Any]], dict[str, Any]]


def gates(spec: dict[str, Any]) -> list[str]:
    return [gate["name"] for gate in spec.get("schedulingGates", [])]


def test_gates_a_member_and_marks_it_when_it_has_no_gpu(admit: Admit) -> None:
    spec = admit(member("a"))
    assert gates(spec) == [GANG]
    assert spec["containers"][0]["resources"] == {"limits": {GANG: "1"}, "requests": {GANG: "1"}}


@pytest.mark.parametrize("resource", ["nvidia.com/gpu", "amd.com/gpu"])
def test_does_not_mark_a_member_that_asks_for_gpus(admit: Admit, resource: str) -> None:
    spec = admit(member("a", resources={"limits": {resource: "8"}}))
    assert gates(spec) == [GANG]
    assert GANG not in spec["containers"][0]["resources"]["limits"]


def test_sees_gpus_of_later_and_of_init_containers(admit: Admit) -> None:
    gpu = {"name": "gpu", "image": "none", "resources": GPU}
    later = member("a")
    later["spec"]["containers"].append(gpu)
    for document in (later, member("b", initContainers=[gpu])):
        assert admit(document)["containers"][0]["resources"] == {}


def test_keeps_the_limits_and_requests_that_are_there(admit: Admit) -> None:
    asked = {"limits": {"memory": "1Gi"}, "requests": {"cpu": "1"}}
    resources = admit(member("a", resources=asked))["containers"][0]["resources"]
    assert resources == {
        "limits": {"memory": "1Gi", GANG: "1"},
        "requests": {"cpu": "1", "memory": "1Gi", GANG: "1"},
    }


def test_marks_a_member_with_only_requests(admit: Admit) -> None:
    resources = admit(member("a", resources={"requests": {"cpu": "1"}}))["containers"][0]["resources"]
    assert resources == {"limits": {GANG: "1"}, "requests": {"cpu": "1", GANG: "1"}}


def test_keeps_other_gates(admit: Admit) -> None:
    assert gates(admit(member("a", schedulingGates=[{"name": "example.com/quota"}]))) == [
        "example.com/quota",
        GANG,
    ]


def test_does_not_gate_or_mark_twice(admit: Admit) -> None:
    own = member("a", schedulingGates=[{"name": GANG}], resources={"limits": {GANG: "1"}})
    once = admit(own)
    assert gates(once) == [GANG]
    assert admit(own) == once


def test_a_gate_in_the_template_does_not_keep_the_marker_away(admit: Admit) -> None:
    spec = admit(member("a", schedulingGates=[{"name": GANG}]))
    assert gates(spec) == [GANG]
    assert spec["containers"][0]["resources"]["limits"] == {GANG: "1"}


def test_gates_pods_of_a_leader_worker_set_without_annotations(admit: Admit) -> None:
    document = pod("a", resources=GPU)
    document["metadata"]["labels"] = {"leaderworkerset.sigs.k8s.io/name": "llama"}
    assert gates(admit(document)) == [GANG]


def test_leaves_other_pods_alone(admit: Admit) -> None:
    labelled = pod("b", resources=GPU)
    labelled["metadata"] |= {"labels": {"app": "web"}, "annotations": {"example.com/note": "x"}}
    for document in (pod("a"), labelled):
        spec = admit(document)
        assert gates(spec) == []
        assert GANG not in spec["containers"][0]["resources"].get("limits", {})


def test_leaves_a_pod_that_has_its_node_alone(admit: Admit) -> None:
    spec = admit(member("a", nodeName="n1"))
    assert gates(spec) == []
    assert spec["containers"][0]["resources"] == {}


def test_leaves_upstream_gangs_to_the_scheduler(admit: Admit) -> None:
    spec = admit(member("a", schedulingGroup={"podGroupName": "g"}))
    assert spec["schedulingGroup"] == {"podGroupName": "g"}
    assert gates(spec) == []
    assert spec["containers"][0]["resources"] == {}


def test_compat_members_are_marked_but_not_gated(admit: Admit) -> None:
    document = member("a")
    document["metadata"]["annotations"][MODE] = "compat"
    spec = admit(document)
    assert gates(spec) == []
    assert spec["containers"][0]["resources"]["limits"] == {GANG: "1"}


def test_another_mode_is_gated(admit: Admit) -> None:
    document = member("a")
    document["metadata"]["annotations"][MODE] = "gated"
    assert gates(admit(document)) == [GANG]


@pytest.mark.usefixtures("admit")
def test_lockstep_may_lift_the_gate_of_a_stored_member(controlplane: ControlPlane) -> None:
    client = controlplane.client()
    client.create(member("gated"))
    try:
        assert gates(client.get(f"{PODS}/gated")["spec"]) == [GANG]
        lift = {"spec": {"schedulingGates": [{"$patch": "delete", "name": GANG}]}}
        patch = "application/strategic-merge-patch+json"
        lifted = controlplane.client("lockstep").request("PATCH", f"{PODS}/gated", lift, content_type=patch)
        assert gates(lifted["spec"]) == []
    finally:
        client.delete(f"{PODS}/gated")


# The rights in rbac.yaml: everything Lockstep does, and nothing that it does not.

READ = ("get", "list", "watch")
OURS = "lockstep-system"
ALLOWED = [
    *((verb, "", "nodes", None) for verb in ("list", "watch")),
    *((verb, "", "pods", None) for verb in READ),
    *((verb, "scheduling.k8s.io", "podgroups", None) for verb in READ),
    *((verb, "scheduling.k8s.io", "priorityclasses", None) for verb in READ),
    *((verb, "leaderworkerset.x-k8s.io", "leaderworkersets", None) for verb in READ),
    ("patch", "", "pods", "default"),
    ("patch", "", "pods/status", "default"),
    ("create", "", "pods/binding", "default"),
    ("create", "", "pods/eviction", "default"),
    *((verb, "coordination.k8s.io", "leases", OURS) for verb in ("get", "create", "update")),
    *((verb, "events.k8s.io", "events", "default") for verb in ("create", "patch")),
    ("get", "", "configmaps", "default"),
    ("create", "authentication.k8s.io", "tokenreviews", None),
    ("create", "authorization.k8s.io", "subjectaccessreviews", None),
]
DENIED = [
    *((verb, "", "secrets", OURS) for verb in READ),
    *((verb, "", "pods", "default") for verb in ("create", "update", "delete", "deletecollection")),
    ("create", "", "pods/exec", "default"),
    *((verb, "", "events", "default") for verb in ("create", "patch")),
    *((verb, "events.k8s.io", "events", "default") for verb in ("get", "list", "update", "delete")),
    *((verb, "", "nodes", None) for verb in ("update", "patch", "delete")),
    ("get", "", "nodes", None),
    ("patch", "coordination.k8s.io", "leases", OURS),
    *((verb, "coordination.k8s.io", "leases", "default") for verb in ("get", "create", "update")),
    ("patch", "scheduling.k8s.io", "podgroups", "default"),
    ("patch", "leaderworkerset.x-k8s.io", "leaderworkersets", "default"),
    *(
        (verb, "", "configmaps", "default")
        for verb in ("list", "watch", "create", "update", "patch", "delete")
    ),
    ("create", "", "serviceaccounts/token", OURS),
    ("create", "rbac.authorization.k8s.io", "clusterrolebindings", None),
]


@pytest.mark.parametrize(
    ("right", "expected"), [*((r, True) for r in ALLOWED), *((r, False) for r in DENIED)]
)
def test_lockstep_has_exactly_its_rights(
    controlplane: ControlPlane, right: tuple[str, str, str, str | None], expected: bool
) -> None:
    verb, group, resource, namespace = right
    resource, _, subresource = resource.partition("/")
    attributes = {"verb": verb, "group": group, "resource": resource, "subresource": subresource}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes | ({"namespace": namespace} if namespace else {})},
    }
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    answer = controlplane.client("lockstep").request("POST", path, review)
    assert answer["status"]["allowed"] is expected


def test_no_rule_that_we_ship_has_a_wildcard() -> None:
    for file in sorted(MANIFESTS.glob("*.yaml")):
        for document in yaml.safe_load_all(file.read_text()):
            for rule in document.get("rules") or []:
                assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]


def test_viewer_reads_nodes_and_changes_nothing(controlplane: ControlPlane) -> None:
    viewer = controlplane.client("viewer")
    assert viewer.get("/api/v1/nodes")["kind"] == "NodeList"
    with pytest.raises(ApiError) as refusal:
        viewer.create(pod("a"))
    assert refusal.value.status == 403
