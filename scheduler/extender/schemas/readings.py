"""Gangs, fabric, records, and what is wrong with a request."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from scheduler.engine.states import State
from scheduler.extender.schemas.base import Answer, Count, FullName, Seconds, Stale
from scheduler.extender.schemas.plans import Decision


class Pods(Answer):
    """Members of a gang: that exist, that it asks for, that have a node."""

    present: Count
    wanted: Count
    bound: Count


class GangRow(Answer):
    """One line about a gang."""

    gang: FullName
    state: State
    pods: Pods
    gpus: Count
    where: str
    since_s: Seconds
    reason: str
    plan: str


class Gangs(Answer):
    """One line about every gang, by name."""

    schema: Literal["lockstep.gangs/v1"]
    gangs: list[GangRow]
    stale: Stale | UnsetType = UNSET


class Member(Answer):
    """One pod of a gang; `node` where it runs or is planned to run."""

    pod: FullName
    node: str | None
    bound: bool
    rank: int | None


class Gang(GangRow):
    """Everything about one gang that exists."""

    schema: Literal["lockstep.gang/v1"]
    members: list[Member]
    decision: Decision | None
    stale: Stale | UnsetType = UNSET


class Level(Answer):
    """One level of the fabric; `domains` counts those that a label names."""

    name: str
    label: str
    domains: Count
    nodes_without_label: Count


class TopologySummary(Answer):
    """Sums over all nodes; `free_gpus` on usable ones."""

    nodes: Count
    usable: Count
    gpus: Count
    free_gpus: Count


class Warned(Answer):
    """Something that is odd about the fabric; `nodes` names some."""

    code: str
    level: str
    count: Count
    nodes: list[str]
    message: str


class TopologyNode(Answer):
    """One node, with its domain by level; `usable`: ready and not cordoned."""

    name: str
    domains: dict[str, str]
    gpus: Count
    free_gpus: Count
    usable: bool


class Topology(Answer):
    """The fabric with its capacity; levels from coarse to fine."""

    schema: Literal["lockstep.topology/v1"]
    levels: list[Level]
    evidence: list[str]
    summary: TopologySummary
    warnings: list[Warned]
    nodes: list[TopologyNode]
    stale: Stale | UnsetType = UNSET


class RecordedProblem(msgspec.Struct):
    """One gang's problem, as `lockstep replay` reads it; names are numbers."""

    kind: Literal["PlacementProblem"]


class RecordedTerm(Answer):
    """One term of a recorded answer."""

    kind: Literal["TermValue"]
    term: str
    value: int
    bound: int


class RecordedLimits(Answer):
    """What the decision was allowed to cost, in deterministic solver seconds."""

    deterministic_s: Seconds
    refine_s: Seconds


class Record(Answer):
    """What one decision was made from and what came of it, without a name of the cluster."""

    schema: Literal["lockstep.decision/v1"]
    lockstep: str
    limits: RecordedLimits
    problems: list[RecordedProblem]
    order: list[Count]
    terms: list[RecordedTerm]
    answers: list[dict[str, Any]]


class Version(Answer):
    """Which version answers."""

    version: str


class Error(Answer):
    """Why there is no other answer."""

    error: Annotated[str, Meta(min_length=1)]


class Fault(Answer):
    """One thing that is wrong with a request, and what would be right."""

    object: str
    field: str
    value: str
    wanted: str


class PlanError(Error):
    """A plan request that cannot be read."""

    faults: Annotated[list[Fault], Meta(min_length=1)]
