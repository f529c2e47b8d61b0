"""What is known beside a pod itself: upstream pod groups, and the objects that own pods.

Most pods do not say how many of them there are; the object that made them does.
A `Workload` is what such an object says, read once and kept small.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from scheduler.model import Constraint, GangKey, Pod, PodGroup
from scheduler.workloads.keys import POD_TEMPLATE


class WorkloadKey(NamedTuple):
    """An object that owns pods: its kind with its API group (`JobSet.jobset.x-k8s.io`), and its name."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind.partition('.')[0]} {self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Workload:
    """What an owner says of its pods.

    `size`: pods of its gang, None where each of several gangs says its own on its pods; with
    `least` the fewest to start with. `gang`: whether it says of itself that its pods start
    together. `groups`: pods by group. `constraints`: what it asks of the place, by group or
    for all. `staged`: pods that its controller makes only once others of their gang have a
    node or are ready, as they will be. `owner` is the object above this one; of a kind that the
    configuration describes (`mapped`), `labels` name the index and the group of its pods. `parts`: the groups
    inside a part that `constraints` speak of, by its name. `gangs` that it will have, with their
    pods and who says so; empty of one that has ended.
    """

    key: WorkloadKey
    uid: str
    size: int | None = None
    least: bool = False
    gang: bool = True
    groups: Mapping[str, int] = field(default_factory=dict)
    constraints: tuple[Constraint, ...] = ()
    staged: tuple[Pod, ...] = ()
    owner: WorkloadKey | None = None
    mapped: bool = False
    labels: tuple[str, str] = ("", "")
    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    gangs: tuple[tuple[GangKey, int, str], ...] = ()


Known = Mapping[GangKey | WorkloadKey, PodGroup | Workload]
"""Upstream pod groups by namespace and name, owners by kind, namespace and name."""


def known_of(groups: Iterable[PodGroup], workloads: Iterable[Workload]) -> Known:
    """Pod groups and owners by their keys."""
    found: dict[GangKey | WorkloadKey, PodGroup | Workload] = {one.key: one for one in workloads}
    return found | {GangKey(group.namespace, group.name): group for group in groups}


def workload(known: Known, kind: str, namespace: str, name: str | None) -> Workload | None:
    """The owner of this name, None when it is not known."""
    if not name:
        return None
    found = known.get(WorkloadKey(kind, namespace, name))
    return found if isinstance(found, Workload) else None


def owner_of(pod: Pod, known: Known) -> Workload | None:
    """The object that controls a pod, None when it has none or it is not known.

    A ReplicaSet of a Deployment says what the Deployment says.
    """
    if pod.owner is None:
        return None
    if pod.owner.kind == "ReplicaSet" and (suffix := pod.labels.get(POD_TEMPLATE)):
        name = pod.owner.name.removesuffix(f"-{suffix}")
        return workload(known, "Deployment.apps", pod.key.namespace, name)
    group = pod.owner.api_version.rpartition("/")[0]
    kind = f"{pod.owner.kind}.{group}" if group else pod.owner.kind
    return workload(known, kind, pod.key.namespace, pod.owner.name)


def pod_group(known: Known, namespace: str, name: str) -> PodGroup | None:
    """The upstream pod group of this name."""
    found = known.get(GangKey(namespace, name))
    return found if isinstance(found, PodGroup) else None
