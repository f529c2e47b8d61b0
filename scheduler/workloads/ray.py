"""KubeRay: a RayCluster is a gang of its head and its workers; RayJob and RayService make RayClusters."""

from __future__ import annotations

from typing import Any

from scheduler.model import GangKey, Membership, Pod
from scheduler.workloads.family import whole
from scheduler.workloads.keys import RAY
from scheduler.workloads.known import Known, workload
from scheduler.workloads.templates import (
    Document,
    Facts,
    Find,
    Made,
    bounded,
    child,
    listed,
    mapping,
    number,
    pod_of,
    text,
)

SOURCE = "RayCluster"
KIND = "RayCluster.ray.io"
CLUSTER, GROUP, TYPE = RAY + "cluster", RAY + "group", RAY + "node-type"
REPLICA, REPLICA_INDEX = RAY + "worker-group-replica-name", RAY + "worker-group-replica-index"
HOST_INDEX = RAY + "replica-host-index"
HEAD_GROUP = "headgroup"


class RayCluster:
    """Pods with the labels that KubeRay gives."""

    name = SOURCE

    def membership(self, pod: Pod, known: Known) -> Membership | None:
        """The cluster of a pod; a multi-host replica, which is one tensor-parallel group, is a group."""
        name = pod.labels.get(CLUSTER)
        if name is None:
            return None
        owner = workload(known, KIND, pod.key.namespace, name)
        hosts = whole(pod.labels, HOST_INDEX, owner=pod.name, least=0)
        return Membership(
            gang=GangKey(pod.key.namespace, name),
            source=SOURCE,
            size=owner.size if owner else None,
            least=owner.least if owner else False,
            rank=0 if pod.labels.get(TYPE) == "head" else None,
            group=pod.labels.get(GROUP, "") if hosts is None else _replica(pod),
        )


def _replica(pod: Pod) -> str:
    name = pod.labels.get(REPLICA)
    return name or f"{pod.labels.get(GROUP, '')}-{pod.labels.get(REPLICA_INDEX, '0')}"


class _Group:
    """One worker group: replicas of `hosts` pods each, `fewest` of them to start with."""

    def __init__(self, at: int, entry: Document, owner: str) -> None:
        self.place, self.owner, self.entry = f"spec.workerGroupSpecs[{at}]", owner, entry
        self.name = text(entry, "groupName", owner=owner, field=f"{self.place}.groupName")
        suspended = entry.get("suspend") is True
        self.hosts = self._number("numOfHosts", least=1, default=1)
        self.fewest = 0 if suspended else self._number("minReplicas", least=0, default=0)
        replicas = self._number("replicas", least=0, default=self.fewest)
        self.replicas = 0 if suspended else max(replicas, self.fewest)

    def _number(self, key: str, *, least: int, default: int) -> int:
        return number(
            self.entry, key, owner=self.owner, field=f"{self.place}.{key}", least=least, default=default
        )


def _groups(document: Document, owner: str) -> list[_Group]:
    spec = mapping(document, "spec", owner=owner)
    entries = listed(spec, "workerGroupSpecs", owner=owner, field="spec.workerGroupSpecs")
    groups = [_Group(at, entry, owner) for at, entry in enumerate(entries)]
    bounded(sum(g.replicas * g.hosts for g in groups), owner=owner, field="spec.workerGroupSpecs")
    return groups


def facts(document: Document, *, owner: str) -> Facts:
    """Head and workers; with the autoscaler the head and the fewest workers."""
    groups = _groups(document, owner)
    scales = document["spec"].get("enableInTreeAutoscaling") is True
    fewest = 1 + sum((g.fewest if scales else g.replicas) * g.hosts for g in groups)
    return Facts(fewest, least=scales)


def expand(document: Document, *, owner: str, find: Find) -> list[dict[str, Any]]:
    """The head and every worker; the workers' real names carry a random suffix. Raises InvalidInput."""
    spec, metadata = mapping(document, "spec", owner=owner), document["metadata"]
    head = mapping(spec, "headGroupSpec", owner=owner, field="spec.headGroupSpec")
    made = [
        _pod(
            document,
            head,
            f"{metadata['name']}-head",
            _labels("head", HEAD_GROUP),
            place="headGroupSpec",
            owner=owner,
        )
    ]
    for group in _groups(document, owner):
        for at in range(group.replicas * group.hosts):
            labels = _labels("worker", group.name)
            if group.hosts > 1:
                labels |= {
                    REPLICA: f"{group.name}-{at // group.hosts}",
                    REPLICA_INDEX: str(at // group.hosts),
                    HOST_INDEX: str(at % group.hosts),
                }
            name = f"{metadata['name']}-{group.name}-worker-{at}"
            made.append(
                _pod(
                    document, group.entry, name, labels, place=group.place.removeprefix("spec."), owner=owner
                )
            )
    return made


def _labels(node_type: str, group: str) -> dict[str, str]:
    return {TYPE: node_type, GROUP: group, RAY + "is-ray-node": "yes"}


def _pod(
    document: Document, entry: Document, name: str, labels: dict[str, str], *, place: str, owner: str
) -> dict[str, Any]:
    metadata = document["metadata"]
    return pod_of(
        mapping(entry, "template", owner=owner, field=f"spec.{place}.template"),
        name=name,
        namespace=metadata["namespace"],
        owner=owner,
        place=f"spec.{place}.template",
        labels={CLUSTER: str(metadata["name"]), **labels},
        by=Made("ray.io/v1", "RayCluster", str(metadata["name"])),
    )


def expand_job(document: Document, *, owner: str, find: Find) -> list[dict[str, Any]]:
    """The RayCluster that a RayJob makes, unless it picks one that exists. The real name has a suffix."""
    return _cluster(document, "rayClusterSpec", owner, existing="clusterSelector")


def expand_service(document: Document, *, owner: str, find: Find) -> list[dict[str, Any]]:
    """The RayCluster that a RayService makes. The real name has a suffix."""
    return _cluster(document, "rayClusterConfig", owner)


def _cluster(document: Document, key: str, owner: str, existing: str = "") -> list[dict[str, Any]]:
    spec = mapping(document, "spec", owner=owner)
    if existing and spec.get(existing):
        return []
    inner = mapping(spec, key, owner=owner, field=f"spec.{key}")
    name = str(document["metadata"]["name"])
    return [child(document, api_version="ray.io/v1", kind="RayCluster", name=name, spec=inner)]
