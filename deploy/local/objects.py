"""API objects for local clusters: nodes of synthetic fabrics, gangs of pods."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from scheduler import manifests
from topology.synthetic import SyntheticNode

Object = dict[str, Any]

PREFIX = "lockstep.scheduling/"
GPU = "nvidia.com/gpu"


def node_object(node: SyntheticNode, *, labels: Mapping[str, str] | None = None) -> Object:
    """A Node that is ready and has its capacity, with more `labels` than the fabric gives it."""
    capacity = {
        "cpu": f"{node.cpu_millis}m",
        "memory": str(node.memory_bytes),
        "pods": str(node.pods),
        GPU: str(node.gpus),
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": node.name, "labels": {**node.labels, **(labels or {})}},
        "status": {
            "capacity": capacity,
            "allocatable": capacity,
            "conditions": [{"type": "Ready", "status": "True", "reason": "Synthetic"}],
        },
    }


def gang_pods(
    name: str,
    size: int,
    *,
    gpus: int,
    annotations: Mapping[str, str] | None = None,
    selector: Mapping[str, str] | None = None,
    cpu: str = "4",
    mode: str = "",
) -> list[Object]:
    """The pods of a gang by annotations; keys of `annotations` without the prefix."""
    own = {"gang": name, "gang-size": str(size), **(annotations or {}), **({"mode": mode} if mode else {})}
    resources = {"requests": {"cpu": cpu}, "limits": {GPU: str(gpus)} if gpus else {}}
    return [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": f"{name}-{at}",
                "namespace": "default",
                "annotations": {PREFIX + key: value for key, value in own.items()},
            },
            "spec": {
                "terminationGracePeriodSeconds": 0,
                "containers": [{"name": "main", "image": "none", "resources": resources}],
                **({"nodeSelector": dict(selector)} if selector else {}),
            },
        }
        for at in range(size)
    ]


def pods_of(files: Sequence[Path]) -> list[Object]:
    """The pods that controllers would make of some workload manifests, ready to be created."""
    given = manifests.load([str(file) for file in files])
    return [_creatable(pod) for pod in manifests.pod_manifests(given)]


def _creatable(pod: Mapping[str, Any]) -> Object:
    return {**pod, "spec": {"terminationGracePeriodSeconds": 0, **pod["spec"]}}


def named(objects: Iterable[Mapping[str, Any]]) -> set[str]:
    """Names of some objects."""
    return {str(one["metadata"]["name"]) for one in objects}
