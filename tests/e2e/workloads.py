"""Workload manifests for the end-to-end tests, and what is looked up of their pods."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from deploy.local.controllers import KUBELET_LABEL
from deploy.local.lab import PODS, Lab
from deploy.local.objects import GPU, PREFIX, Object

MERGE = "application/merge-patch+json"
CLIQUE = "nvidia.com/gpu.clique"
WORKLOADS = (
    "/apis/leaderworkerset.x-k8s.io/v1/namespaces/default/leaderworkersets",
    "/apis/jobset.x-k8s.io/v1alpha2/namespaces/default/jobsets",
    "/apis/batch/v1/namespaces/default/jobs",
    "/apis/apps/v1/namespaces/default/statefulsets",
)
"""Collections of what makes pods, owners before what they own."""
NODES_PER_DOMAIN = 4
LWS = "leaderworkerset.sigs.k8s.io/"


def pod_spec(*, gpus: int = 4, **more: Any) -> Object:
    """A pod spec with one container; `gpus` 0 asks for none."""
    container: Object = {"name": "main", "image": "none", "resources": {"requests": {"cpu": "1"}}}
    if gpus:
        container["resources"]["limits"] = {GPU: str(gpus)}
    return {"terminationGracePeriodSeconds": 0, "containers": [container], **more}


def lws(
    name: str,
    *,
    size: int,
    replicas: int = 1,
    annotations: Mapping[str, str] | None = None,
    leader: Object | None = None,
    template: Mapping[str, Any] | None = None,
    **spec: Any,
) -> Object:
    """A LeaderWorkerSet; `template` and `spec` add to the fields of those names."""
    group: Object = {"size": size, "workerTemplate": {"spec": pod_spec()}, **(template or {})}
    if leader:
        group["leaderTemplate"] = {"spec": leader}
    return {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "metadata": {"name": name, "namespace": "default", "annotations": dict(annotations or {})},
        "spec": {"replicas": replicas, "leaderWorkerTemplate": group, **spec},
    }


def templated(spec: Object, **annotations: str) -> Object:
    """The worker template of a LeaderWorkerSet, with annotations of ours without their prefix."""
    given = {PREFIX + key: value for key, value in annotations.items()}
    return {"workerTemplate": {"metadata": {"annotations": given}, "spec": spec}}


def lws_pods(name: str, *, size: int, group: int = 0) -> list[str]:
    """Names of the pods of one group, the leader first."""
    return [f"{name}-{group}", *(f"{name}-{group}-{worker}" for worker in range(1, size))]


def pods(lab: Lab, *, label: str = "", value: str = "") -> dict[str, Object]:
    """The pods with that label (every pod without one) by name."""
    query = {"labelSelector": f"{label}={value}"} if label else {}
    return {pod["metadata"]["name"]: pod for pod in lab.client.get(PODS, **query)["items"]}


def domains(lab: Lab, nodes: Iterable[str], *, key: str = CLIQUE) -> Counter[str]:
    """Pods per domain, for the nodes of some pods."""
    found = lab.client.get("/api/v1/nodes")["items"]
    label = {node["metadata"]["name"]: node["metadata"]["labels"][key] for node in found}
    return Counter(label[node] for node in nodes)


def phases(lab: Lab, names: Iterable[str]) -> Counter[str]:
    """How many of the pods are in each phase."""
    there = pods(lab)
    return Counter(there[name]["status"]["phase"] for name in names if name in there)


def uids(lab: Lab, names: Iterable[str]) -> set[str]:
    """The uids of those of the pods that exist and are not on their way out."""
    there = pods(lab)
    found = (there[name]["metadata"] for name in names if name in there)
    return {one["uid"] for one in found if "deletionTimestamp" not in one}


def fill(lab: Lab, *, left: int) -> None:
    """Plain pods on all nodes of every domain but the last `left`, one per node, taking all its GPUs."""
    taken = []
    for node in lab.client.get("/api/v1/nodes")["items"]:
        name = node["metadata"]["name"]
        if int(name.rpartition("-")[2]) <= NODES_PER_DOMAIN - left:
            taken.append(plain(f"fill-{name}", on=name))
    lab.client.create(taken)
    lab.wait_bound(pod["metadata"]["name"] for pod in taken)


def plain(name: str, *, on: str, gpus: int = 4) -> Object:
    """A pod of no gang that goes to one node."""
    spec = pod_spec(gpus=gpus, nodeSelector={"kubernetes.io/hostname": on})
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": spec,
    }


def kubelet(lab: Lab, node: str, *, alive: bool) -> None:
    """Let the kubelet of a node die, or live again."""
    patch = {"metadata": {"labels": {KUBELET_LABEL: "" if alive else None}}}
    lab.client.request("PATCH", f"/api/v1/nodes/{node}", patch, content_type=MERGE)
