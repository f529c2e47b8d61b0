"""What the watch tells the engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scheduler.classes import Classes
from scheduler.model import InvalidField, Node, NodeName, Pod, PodGroup, PodKey
from scheduler.workloads.known import Workload, WorkloadKey


@dataclass(frozen=True, slots=True)
class NodesSeen:
    """Nodes as they are now: added or changed."""

    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class NodeGone:
    name: NodeName


@dataclass(frozen=True, slots=True)
class FabricSeen:
    """The objects that describe the fabric, which say something else than before."""

    objects: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class ClassesSeen:
    """The priority classes as they are now, all of them."""

    classes: Classes


@dataclass(frozen=True, slots=True)
class PodSeen:
    """A pod as it is now. Once a pod has a node it keeps it: an older view of it is not believed."""

    pod: Pod


@dataclass(frozen=True, slots=True)
class PodGone:
    key: PodKey


@dataclass(frozen=True, slots=True)
class PodUnreadable:
    """A pod that exists and cannot be read."""

    key: PodKey
    faults: tuple[InvalidField, ...]


@dataclass(frozen=True, slots=True)
class GroupSeen:
    group: PodGroup


@dataclass(frozen=True, slots=True)
class GroupGone:
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class WorkloadSeen:
    """An object that owns pods is there, or says something else than before."""

    workload: Workload


@dataclass(frozen=True, slots=True)
class WorkloadGone:
    key: WorkloadKey


Fact = (
    NodesSeen
    | NodeGone
    | FabricSeen
    | ClassesSeen
    | PodSeen
    | PodGone
    | PodUnreadable
    | GroupSeen
    | GroupGone
    | WorkloadSeen
    | WorkloadGone
)
