"""The words of the scheduler: pods, shapes, gangs, constraints.

Plain values. Amounts are whole: CPU in millicores, memory and storage in bytes, all else in its own count.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, NamedTuple, NewType

from scheduler.containers import Container

NodeName = NewType("NodeName", str)

PREFIX = "lockstep.scheduling/"
GATE = PREFIX + "gang"
ANNOTATION_PLAN = PREFIX + "plan"
ANNOTATION_RANK = PREFIX + "assigned-rank"
ANNOTATION_NODE = PREFIX + "assigned-node"
ANNOTATION_TERM = PREFIX + "term"
CONDITION, PLACED, RELEASED = PREFIX + "GangPlaced", "Placed", "Released"

HOST_PORT = "hostport/"
"""Prefix under which a host port counts as a resource that every node has one of."""

Scope = Literal["gang", "part", "group", "ep", "pp", "tp"]
SCOPES: tuple[Scope, ...] = ("gang", "group", "ep", "pp", "tp")
"""Scopes that pods may state, from the whole gang to one tensor-parallel group; owners name `part`s too."""


class PodKey(NamedTuple):
    """Namespace and name of a pod."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class GangKey(NamedTuple):
    """Namespace and name of a gang; the name carries revision and attempt where a family has them."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class InvalidField:
    """One thing wrong with an input, in the words its author needs: `object` holds the field ("pod
    default/w-0"), `value` stands there and `wanted` would be right."""

    object: str
    field: str
    value: str
    wanted: str

    def __str__(self) -> str:
        return f"{self.object}: {self.field} is {self.value!r}; expected: {self.wanted}"


class InvalidInput(ValueError):
    """Broken input; carries every fault found, never only the first."""

    def __init__(self, *faults: InvalidField) -> None:
        super().__init__("; ".join(str(fault) for fault in faults))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Taint:
    """A node taint (core/v1)."""

    key: str
    value: str
    effect: str


@dataclass(frozen=True, slots=True)
class Toleration:
    """A pod toleration (core/v1); an empty key with operator Exists tolerates every taint."""

    key: str = ""
    operator: str = "Equal"
    value: str = ""
    effect: str = ""


@dataclass(frozen=True, slots=True)
class Requirement:
    """One node selector requirement (core/v1): key, operator, values."""

    key: str
    operator: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NodeTerm:
    """One node selector term: every expression and every field must match."""

    expressions: tuple[Requirement, ...] = ()
    fields: tuple[Requirement, ...] = ()


@dataclass(frozen=True, slots=True)
class PodShape:
    """What decides where one pod can run; equal shapes are interchangeable. `requests` is sorted by resource
    name and always holds `pods: 1`; `affinity` is None without required node affinity, its terms are ORed,
    and an empty tuple matches no node, as in kube-scheduler."""

    requests: tuple[tuple[str, int], ...]
    node_selector: tuple[tuple[str, str], ...] = ()
    affinity: tuple[NodeTerm, ...] | None = None
    tolerations: tuple[Toleration, ...] = ()
    host_ports: tuple[str, ...] = ()

    def amount(self, resource: str) -> int:
        """The request for one resource, 0 when there is none."""
        return dict(self.requests).get(resource, 0)

    @property
    def demand(self) -> tuple[tuple[str, int], ...]:
        """Everything that a node has only so much of: the requests, and every host port once."""
        return (*self.requests, *((HOST_PORT + port, 1) for port in self.host_ports))


@dataclass(frozen=True, slots=True)
class Owner:
    """The controlling owner reference of a pod."""

    api_version: str
    kind: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Pod:
    """The facts about one pod that scheduling needs; decoded once, at the edge. `created` is the API
    server's time stamp (RFC 3339, UTC); `told`: status/reason of our own condition, empty without one."""

    key: PodKey
    uid: str
    shape: PodShape
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    owner: Owner | None = None
    containers: tuple[Container, ...] = ()
    pod_group: str | None = None
    node: NodeName | None = None
    nominated: NodeName | None = None
    gates: tuple[str, ...] = ()
    scheduler: str = "default-scheduler"
    priority: int = 0
    priority_class: str = ""
    preempts: bool = True
    phase: str = "Pending"
    deleting: bool = False
    created: str = ""
    resource_version: str = ""
    generation: int = 0
    told: str = ""

    @property
    def finished(self) -> bool:
        """True once the pod holds no capacity for good (Succeeded or Failed)."""
        return self.phase in ("Succeeded", "Failed")

    @property
    def name(self) -> str:
        return f"pod {self.key}"


@dataclass(frozen=True, slots=True)
class Node:
    """The facts about one node; `allocatable` in base units. Without a Ready condition it is ready."""

    name: NodeName
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    allocatable: dict[str, int] = field(default_factory=dict)
    unschedulable: bool = False
    ready: bool = True


@dataclass(frozen=True, slots=True)
class PodGroup:
    """The upstream PodGroup (scheduling.k8s.io): its gang policy and its one topology key."""

    namespace: str
    name: str
    uid: str
    min_count: int | None
    topology_key: str | None
    parent: str = ""


@dataclass(frozen=True, slots=True)
class Constraint:
    """One stated wish: the pods of every `scope` (of one `group`, or all) stay in one domain of `level`.
    `alone`: which no other of the scope shares, but for the groups named in `beside`. A `part` is the
    members that name it (`group`), whatever groups they are in."""

    scope: Scope
    level: str
    required: bool
    source: str
    group: str | None = None
    alone: bool = False
    beside: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Parallelism:
    """Sizes of a model's parallel dimensions in ranks; `sources` says where each was read, for people."""

    tensor: int | None = None
    pipeline: int | None = None
    data: int | None = None
    expert: int | None = None
    sources: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Membership:
    """One pod's own account of the gang it belongs to, in one family's words.

    `size` counts pods; `rank` and `group` are None or "" when the pod does not say. With `least` the
    size is the fewest to start with; with `role` the group speaks for itself of sizes and constraints.
    `parts`: groups of groups, or parts of its group, that it is in and that have wishes of their own.
    `unkept`: what is asked for about it and other gangs together, which no decision on one gang can keep."""

    gang: GangKey
    source: str
    size: int | None = None
    rank: int | None = None
    group: str = ""
    group_size: int | None = None
    parallelism: Parallelism = Parallelism()
    constraints: tuple[Constraint, ...] = ()
    segment_size: int | None = None
    segment_remainder: Literal["forbid", "allow"] = "forbid"
    policy: str = ""
    least: bool = False
    role: bool = False
    parts: tuple[str, ...] = ()
    unkept: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Member:
    """One pod of a gang; ranks of a gang are 0..size-1 in the order of its pods."""

    pod: PodKey
    uid: str
    rank: int
    group: str
    shape: PodShape
    node: NodeName | None = None
    parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Gang:
    """What must start together: members in rank order, their parallelism (or `by_group`) and constraints."""

    key: GangKey
    size: int
    members: tuple[Member, ...]
    source: str
    parallelism: Parallelism = Parallelism()
    by_group: tuple[tuple[str, Parallelism], ...] = ()
    constraints: tuple[Constraint, ...] = ()
    segment_size: int | None = None
    segment_remainder: Literal["forbid", "allow"] = "forbid"
    policy: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """True when every declared member exists."""
        return len(self.members) >= self.size


class Code(StrEnum):
    """Why a gang is not placed: a stable token, by precedence of cause."""

    INVALID = "InvalidGang"
    TOO_LARGE_FOR_LEVEL = "NoDomainLargeEnough"
    NO_NODE_MATCHES = "NoNodeMatches"
    CLUSTER_TOO_SMALL = "ClusterTooSmall"
    NO_DOMAIN_FITS = "NoDomainFits"
    FRAGMENTED = "Fragmented"
    NOT_ENOUGH_CAPACITY = "NotEnoughCapacity"
    TIMED_OUT = "TimedOut"
    FAILED = "InternalError"
    WAITING_FOR_MEMBERS = "WaitingForMembers"
