"""Decoding: bytes of the Kubernetes API, or manifests already parsed, to the words of the scheduler.

One bad object never breaks a list or a watch: it comes back as a fault that
names the object, the field, what stands there and what would be right.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import msgspec

from scheduler.kube import faults, structs
from scheduler.kube.containers import containers_of
from scheduler.kube.shapes import amounts, shape_of
from scheduler.model import (
    CONDITION,
    InvalidField,
    InvalidInput,
    Node,
    NodeName,
    Owner,
    Pod,
    PodGroup,
    PodKey,
    Taint,
)
from scheduler.workloads.keys import OWNING_GROUPS, kept, looks_like_gang

Kind = Literal["Node", "Pod", "PodGroup", "Other"]


@dataclass(frozen=True, slots=True, eq=False)
class Other:
    """An object of any other kind, as it stands: its family reads it. `key` is its namespace and name."""

    key: tuple[str, str]
    document: Mapping[str, Any]


Item = Node | Pod | PodGroup | Other

_ALLOCATABLE_WANTED = "amounts such as cpu, memory, pods and nvidia.com/gpu"
_RAW_LIST = msgspec.json.Decoder(structs.RawList)
_RAW_EVENT = msgspec.json.Decoder(structs.RawEvent)
_META = msgspec.json.Decoder(structs.MetaOnly)
_STATUS = msgspec.json.Decoder(structs.Status)
_EVENT_TYPES = ("ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR")


@dataclass(frozen=True, slots=True)
class ObjectList:
    """The good items of a list in its order, and one or more faults for each bad one.

    `more`: where the list goes on, empty at its end.
    """

    items: tuple[Item, ...]
    faults: tuple[InvalidField, ...]
    resource_version: str
    more: str = ""


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One line of a watch.

    `type` is ADDED, MODIFIED, DELETED, BOOKMARK or ERROR; a line that cannot be
    read at all is an ERROR with code 0. `item` is None for BOOKMARK, ERROR and
    for an object with a `fault`; `key` (namespace, name) still says which one
    it is. `code` is the HTTP status of an ERROR, such as 410 for expired.
    """

    type: str
    item: Item | None = None
    fault: InvalidField | None = None
    resource_version: str = ""
    code: int = 0
    key: tuple[str, str] = ("", "")


class _Reader(NamedTuple):
    decoder: msgspec.json.Decoder[Any]
    type: type[Any]
    build: Callable[[Any], Item]


def decode_list(data: bytes, kind: Kind) -> ObjectList:
    """A list as the API answers it; raises InvalidInput only when it is no list at all."""
    try:
        raw = _RAW_LIST.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(faults.undecodable(f"list of {kind}", data, error)) from error
    items: list[Item] = []
    found: list[InvalidField] = []
    for one in raw.items or ():
        try:
            items.append(_decode(one, kind))
        except InvalidInput as error:
            found.extend(error.faults)
    meta = raw.metadata or structs.ListMeta()
    return ObjectList(tuple(items), tuple(found), meta.resource_version or "", meta.more or "")


def decode_event(line: bytes, kind: Kind) -> WatchEvent:
    """One line of a watch; never raises for what stands in it."""
    try:
        event = _RAW_EVENT.decode(line)
        if event.type == "ERROR":
            return WatchEvent("ERROR", code=_STATUS.decode(event.object).code)
        meta = _META.decode(event.object).metadata
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return WatchEvent("ERROR", fault=faults.undecodable(f"watch of {kind}", line, error))
    version, key = meta.resource_version or "", (meta.namespace or "", meta.name)
    if event.type == "BOOKMARK":
        return WatchEvent("BOOKMARK", resource_version=version)
    if event.type not in _EVENT_TYPES:
        wanted = f"one of {', '.join(_EVENT_TYPES)}"
        return WatchEvent("ERROR", fault=InvalidField(f"watch of {kind}", "type", event.type, wanted))
    try:
        return WatchEvent(event.type, _decode(event.object, kind), None, version, key=key)
    except InvalidInput as error:
        return WatchEvent(event.type, None, error.faults[0], version, key=key)


def pod_from_bytes(data: bytes | msgspec.Raw) -> Pod:
    """One pod, as in the `Pod` field of an extender request; raises InvalidInput."""
    pod = _decode(data, "Pod")
    assert isinstance(pod, Pod)
    return pod


def from_dict(kind: str, obj: Mapping[str, Any]) -> Item:
    """One object of a manifest; raises InvalidInput, also for a kind other than Node, Pod and PodGroup."""
    reader = _READERS.get(kind)
    if reader is None:
        raise InvalidInput(InvalidField("object", "kind", kind, f"one of {', '.join(_READERS)}"))
    try:
        return reader.build(msgspec.convert(obj, reader.type))
    except msgspec.ValidationError as error:
        raise InvalidInput(faults.misfit(kind, obj, error)) from error


def _decode(data: bytes | msgspec.Raw, kind: Kind) -> Item:
    reader = _READERS[kind]
    try:
        decoded = reader.decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(faults.of_bytes(kind, data, error)) from error
    return reader.build(decoded)


def _node(obj: structs.NodeObject) -> Node:
    owner = f"node {_named(obj.metadata, kind='Node')}"
    spec, status = obj.spec or structs.NodeSpec(), obj.status or structs.NodeStatus()
    if not status.allocatable:
        raise InvalidInput(InvalidField(owner, "status.allocatable", "", _ALLOCATABLE_WANTED))
    ready = [one.status == "True" for one in status.conditions or () if one.type == "Ready"]
    return Node(
        name=NodeName(obj.metadata.name),
        labels=obj.metadata.labels or {},
        annotations=obj.metadata.annotations or {},
        taints=tuple(Taint(one.key, one.value or "", one.effect) for one in spec.taints or ()),
        allocatable=amounts(status.allocatable, owner=owner, field="status.allocatable"),
        unschedulable=bool(spec.unschedulable),
        ready=all(ready),
    )


def _pod(obj: structs.PodObject) -> Pod:
    meta, spec, status = obj.metadata, obj.spec, obj.status or structs.PodStatus()
    key = PodKey(meta.namespace or "default", _named(meta, kind="Pod"))
    return Pod(
        key=key,
        uid=meta.uid or f"no-uid/{key}",
        shape=shape_of(spec, owner=f"pod {key}"),
        labels=kept(meta.labels or {}) if _of_known_kind(meta) else meta.labels or {},
        annotations=kept(meta.annotations or {}),
        owner=_owner(meta),
        containers=containers_of(spec) if _readable(obj) else (),
        pod_group=_group_name(spec),
        node=NodeName(spec.node_name) if spec.node_name else None,
        nominated=NodeName(status.nominated_node_name) if status.nominated_node_name else None,
        gates=tuple(gate.name for gate in spec.scheduling_gates or ()),
        scheduler=spec.scheduler_name or "default-scheduler",
        priority=spec.priority or 0,
        priority_class=(spec.priority_class_name or "") if spec.priority is None else "",
        preempts=spec.preemption_policy != "Never",
        phase=status.phase or "Pending",
        deleting=meta.deletion_timestamp is not None,
        created=meta.creation_timestamp or "",
        resource_version=meta.resource_version or "",
        generation=meta.generation or 0,
        told=_told(status),
    )


def _told(status: structs.PodStatus) -> str:
    """What our own condition says: its status and reason."""
    ours = (one for one in status.conditions or () if one.type == CONDITION)
    return next((f"{one.status}/{one.reason or ''}" for one in ours), "")


def _readable(obj: structs.PodObject) -> bool:
    """Whether somebody may read the engine's settings: gang members, and pods without a node."""
    if not obj.spec.node_name or obj.spec.scheduling_group or obj.spec.workload_ref:
        return True
    return looks_like_gang(obj.metadata.labels or {}) or looks_like_gang(obj.metadata.annotations or {})


def _of_known_kind(meta: structs.Meta) -> bool:
    """Whether families say which labels matter; a custom kind's mapping may name any of its pods' labels."""
    owner = _owner(meta)
    return owner is None or owner.api_version.rpartition("/")[0] in OWNING_GROUPS


def _group_name(spec: structs.PodSpec) -> str | None:
    """The pod group that a pod names; of the older form WORKLOAD/GROUP, with /REPLICA where it says one."""
    if spec.scheduling_group and spec.scheduling_group.pod_group_name:
        return spec.scheduling_group.pod_group_name
    old = spec.workload_ref
    if old is None or not old.name or not old.pod_group:
        return None
    return "/".join(filter(None, (old.name, old.pod_group, old.pod_group_replica_key)))


def _owner(meta: structs.Meta) -> Owner | None:
    """The controlling owner, else the first one."""
    owners = meta.owner_references or []
    if not owners:
        return None
    chosen = next((one for one in owners if one.controller), owners[0])
    return Owner(chosen.api_version, chosen.kind, chosen.name, chosen.uid)


def _pod_group(obj: structs.PodGroupObject) -> PodGroup:
    name = _named(obj.metadata, kind="PodGroup")
    spec = obj.spec or structs.PodGroupSpec()
    gang = spec.scheduling_policy.gang if spec.scheduling_policy else None
    topology = (spec.scheduling_constraints.topology if spec.scheduling_constraints else None) or []
    return PodGroup(
        namespace=obj.metadata.namespace or "default",
        name=name,
        uid=obj.metadata.uid or "",
        min_count=gang.min_count if gang else None,
        topology_key=(topology[0].key or None) if topology else None,
        parent=(spec.parent_composite_pod_group_name or ""),
    )


def _other(obj: dict[str, Any]) -> Other:
    metadata = obj.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if not isinstance(metadata, dict) or not isinstance(name, str) or not name:
        raise InvalidInput(InvalidField("object without a name", "metadata.name", "", "a name"))
    return Other((str(metadata.get("namespace") or ""), name), obj)


def _named(meta: structs.Meta, *, kind: str) -> str:
    if not meta.name:
        raise InvalidInput(InvalidField(f"{kind} without a name", "metadata.name", "", "a name"))
    return meta.name


_READERS = {
    "Node": _Reader(msgspec.json.Decoder(structs.NodeObject), structs.NodeObject, _node),
    "Pod": _Reader(msgspec.json.Decoder(structs.PodObject), structs.PodObject, _pod),
    "PodGroup": _Reader(msgspec.json.Decoder(structs.PodGroupObject), structs.PodGroupObject, _pod_group),
    "Other": _Reader(msgspec.json.Decoder(dict[str, Any]), dict, _other),
}
