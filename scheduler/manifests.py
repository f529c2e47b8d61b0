"""Manifests and snapshots: files in, nodes and pods out, every fault with the place it stands at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from scheduler.documents import Document, documents, load
from scheduler.expansion import Expanded, Lookup, pod_manifests, workloads
from scheduler.kube.objects import Item, from_dict
from scheduler.model import InvalidField, InvalidInput, Node, Pod, PodGroup
from scheduler.owners import read
from scheduler.settings import with_settings
from scheduler.workloads.kinds import KINDS, Kind, kind_of
from scheduler.workloads.known import Workload

__all__ = (
    "Document",
    "Expanded",
    "Snapshot",
    "documents",
    "load",
    "pod_manifests",
    "snapshot",
    "workloads",
)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A cluster at one moment; `ignored` counts objects of other kinds."""

    nodes: tuple[Node, ...]
    pods: tuple[Pod, ...]
    pod_groups: tuple[PodGroup, ...]
    faults: tuple[InvalidField, ...]
    ignored: Mapping[str, int]
    workloads: tuple[Workload, ...] = ()


def snapshot(given: Iterable[Document], kinds: Sequence[Kind] = KINDS) -> Snapshot:
    """Nodes, pods, pod groups and owners of a snapshot; a bad object is a fault and the rest is read."""
    given = list(given)
    find = Lookup(given, "")
    items: list[Item | Workload] = []
    faults: list[InvalidField] = []
    ignored: Counter[str] = Counter()
    for document in given:
        if document.fault is not None:
            faults.append(document.fault)
            continue
        try:
            found = _item(document, find, kinds)
        except InvalidInput as error:
            faults += error.faults
            continue
        if found is None:
            ignored[document.kind] += 1
        else:
            items.append(found)
    return Snapshot(
        nodes=tuple(item for item in items if isinstance(item, Node)),
        pods=tuple(item for item in items if isinstance(item, Pod)),
        pod_groups=tuple(item for item in items if isinstance(item, PodGroup)),
        faults=tuple(faults),
        ignored=ignored,
        workloads=tuple(item for item in items if isinstance(item, Workload)),
    )


def _item(document: Document, find: Lookup, kinds: Sequence[Kind]) -> Item | Workload | None:
    """What one object of a snapshot is to us, None for what is not read; raises InvalidInput."""
    version = document.object.get("apiVersion")
    group = version.rpartition("/")[0] if isinstance(version, str) else None
    match document.kind:
        case "Pod" if group in (None, ""):
            pod = from_dict("Pod", document.object)
            return with_settings(pod, find) if isinstance(pod, Pod) else pod
        case "Node" if group in (None, ""):
            return from_dict("Node", document.object)
        case "PodGroup" if group in (None, "scheduling.k8s.io"):
            return from_dict("PodGroup", document.object)
        case _ if group is not None and kind_of(str(version), document.kind, kinds):
            return read(document.object, kinds)
    return None
