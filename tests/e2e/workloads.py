"""Workload manifests for the end-to-end tests, and what is looked up of their pods."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from deploy.local.lab import PODS, Lab
from deploy.local.objects import GPU, Object

CLIQUE = "nvidia.com/gpu.clique"
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
    worker: Object | None = None,
    leader: Object | None = None,
    template: Mapping[str, Any] | None = None,
    **spec: Any,
) -> Object:
    """A LeaderWorkerSet; `template` and `spec` add to the fields of those names."""
    group: Object = {"size": size, "workerTemplate": {"spec": worker or pod_spec()}, **(template or {})}
    if leader:
        group["leaderTemplate"] = {"spec": leader}
    return {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "metadata": {"name": name, "namespace": "default", "annotations": dict(annotations or {})},
        "spec": {"replicas": replicas, "leaderWorkerTemplate": group, **spec},
    }


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
