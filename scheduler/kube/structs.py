"""The parts of Kubernetes objects that Lockstep reads, as they stand on the wire.

Unknown fields are ignored. Lists and objects may be null, as Go clients write
them, so every one of them is optional here and `None` reads as empty.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from scheduler import quantity

_QUANTITY = {"pattern": quantity.PATTERN, "minimum": 0, "description": quantity.WANTED}
Quantity = Annotated[str | int | float, msgspec.Meta(extra_json_schema=_QUANTITY)]
"""As it stands on the wire; a malformed one is found when it is counted, and costs only its object."""

Amounts = dict[str, Quantity]


class Wire(msgspec.Struct, rename="camel", gc=False):
    """Base of all wire structs: camel case names, unknown fields ignored."""


class OwnerReference(Wire):
    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool | None = None


class Meta(Wire):
    name: str = ""
    namespace: str | None = None
    uid: str | None = None
    resource_version: str | None = None
    generation: int | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    owner_references: list[OwnerReference] | None = None


class KeyReference(Wire):
    name: str = ""
    key: str = ""
    optional: bool | None = None


class MapReference(Wire):
    name: str = ""
    optional: bool | None = None


class EnvSource(Wire):
    config_map_key_ref: KeyReference | None = None


class EnvVar(Wire):
    name: str = ""
    value: str | None = None
    value_from: EnvSource | None = None


class EnvFrom(Wire):
    config_map_ref: MapReference | None = None
    prefix: str | None = None


class ContainerPort(Wire):
    container_port: int = 0
    host_port: int | None = None
    protocol: str | None = None


class Resources(Wire):
    requests: Amounts | None = None
    limits: Amounts | None = None


class ContainerSpec(Wire):
    name: str = ""
    image: str | None = None
    command: list[str] | None = None
    args: list[str] | None = None
    env: list[EnvVar] | None = None
    env_from: list[EnvFrom] | None = None
    ports: list[ContainerPort] | None = None
    resources: Resources | None = None
    restart_policy: str | None = None


class Expression(Wire):
    key: str = ""
    operator: str = ""
    values: list[str] | None = None


class SelectorTerm(Wire):
    match_expressions: list[Expression] | None = None
    match_fields: list[Expression] | None = None


class NodeSelector(Wire):
    node_selector_terms: list[SelectorTerm] | None = None


class NodeAffinity(Wire, rename={"required": "requiredDuringSchedulingIgnoredDuringExecution"}):
    required: NodeSelector | None = None


class Affinity(Wire):
    node_affinity: NodeAffinity | None = None


class TolerationSpec(Wire):
    key: str | None = None
    operator: str | None = None
    value: str | None = None
    effect: str | None = None


class Gate(Wire):
    name: str = ""


class SchedulingGroup(Wire):
    pod_group_name: str | None = None


class WorkloadReference(Wire):
    name: str = ""
    pod_group: str = ""
    pod_group_replica_key: str | None = None


class PodSpec(Wire):
    containers: list[ContainerSpec] | None = None
    init_containers: list[ContainerSpec] | None = None
    overhead: Amounts | None = None
    resources: Resources | None = None
    node_selector: dict[str, str] | None = None
    affinity: Affinity | None = None
    tolerations: list[TolerationSpec] | None = None
    host_network: bool | None = None
    node_name: str | None = None
    scheduler_name: str | None = None
    scheduling_gates: list[Gate] | None = None
    scheduling_group: SchedulingGroup | None = None
    workload_ref: WorkloadReference | None = None
    priority: int | None = None
    priority_class_name: str | None = None
    preemption_policy: str | None = None


class Condition(Wire):
    type: str = ""
    status: str = ""
    reason: str | None = None


class PodStatus(Wire):
    phase: str | None = None
    nominated_node_name: str | None = None
    conditions: list[Condition] | None = None


class PodObject(Wire):
    metadata: Meta = msgspec.field(default_factory=Meta)
    spec: PodSpec = msgspec.field(default_factory=PodSpec)
    status: PodStatus | None = None


class TaintSpec(Wire):
    key: str = ""
    value: str | None = None
    effect: str = ""


class NodeSpec(Wire):
    taints: list[TaintSpec] | None = None
    unschedulable: bool | None = None


class NodeStatus(Wire):
    allocatable: Amounts | None = None
    conditions: list[Condition] | None = None


class NodeObject(Wire):
    metadata: Meta = msgspec.field(default_factory=Meta)
    spec: NodeSpec | None = None
    status: NodeStatus | None = None


class GangPolicy(Wire):
    min_count: int | None = None


class SchedulingPolicy(Wire):
    gang: GangPolicy | None = None


class TopologyConstraint(Wire):
    key: str = ""


class SchedulingConstraints(Wire):
    topology: list[TopologyConstraint] | None = None


class PodGroupSpec(Wire):
    scheduling_policy: SchedulingPolicy | None = None
    scheduling_constraints: SchedulingConstraints | None = None
    parent_composite_pod_group_name: str | None = None


class PodGroupObject(Wire):
    metadata: Meta = msgspec.field(default_factory=Meta)
    spec: PodGroupSpec | None = None


class MetaOnly(Wire):
    """Enough of any object to say which one it is."""

    metadata: Meta = msgspec.field(default_factory=Meta)


class Status(Wire):
    """The API server's own answer, as it stands in a watch event of type ERROR."""

    code: int = 0
    message: str = ""


class ListMeta(Wire):
    resource_version: str | None = None
    more: str | None = msgspec.field(name="continue", default=None)


class RawList(Wire):
    """A list whose items are decoded one by one, so that one bad item costs only itself."""

    metadata: ListMeta | None = None
    items: list[msgspec.Raw] | None = None


class RawEvent(Wire):
    type: str = ""
    object: msgspec.Raw = msgspec.Raw(b"{}")
