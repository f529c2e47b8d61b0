"""Plan requests and decisions about gangs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from scheduler.extender.schemas.base import Answer, Count, FullName, Milliseconds, Stale
from scheduler.kube import structs
from scheduler.model import Code


class Manifest(msgspec.Struct, rename="camel", kw_only=True):
    """A workload of a kind that Lockstep knows, or a List of objects.

    One that cannot be read costs only itself: its gang has the verdict `invalid`.
    """

    api_version: str
    kind: Annotated[str, Meta(min_length=1)]
    metadata: dict[str, Any]


class PodManifest(structs.PodObject, kw_only=True):
    """A pod, as far as it is read."""

    api_version: Literal["v1"]
    kind: Literal["Pod"]
    metadata: structs.Meta


class Group(Answer):
    """Pods of one name in a gang; with its own sizes in ranks where it is a role that has some."""

    name: str
    pods: Count
    tp: int | UnsetType | None = UNSET
    pp: int | UnsetType | None = UNSET
    dp: int | UnsetType | None = UNSET
    ep: int | UnsetType | None = UNSET
    sources: dict[str, str] | UnsetType = UNSET


class Shape(Answer):
    """Size of a gang in pods, GPUs and ranks; `sources` says where each number was read."""

    pods: Count
    gpus: Count
    tp: int | None
    pp: int | None
    dp: int | None
    ep: int | None
    groups: list[Group]
    sources: dict[str, str]


class Place(Answer):
    """Where one pod goes; `domains` by level."""

    pod: FullName
    node: str
    rank: int
    group: str
    domains: dict[str, str]


class LevelUse(Answer):
    """Domains that the gang uses at a level, and the proven least."""

    used: Count
    least: Count


class Term(Answer):
    """One term of the objective, with the proven least given the terms before it."""

    term: str
    value: int
    bound: int


class Blocking(Answer):
    """One fact that stands in the way; the list is irreducible."""

    kind: Literal["pod", "node", "constraint", "taint", "selector", "resource", "label"]
    name: str
    fact: str


class Fix(Answer):
    """One change that would help; `verified`: applied to a copy of the cluster and planned again."""

    change: str
    kind: Literal["wait", "evict", "relax", "uncordon", "add-nodes", "resize", "move"]
    detail: dict[str, Any]
    verified: bool


class Reason(Answer):
    """Why a gang is not placed; `needed` and `best` count pods at the level that fails."""

    code: Code
    message: Annotated[str, Meta(min_length=1)]
    level: str
    needed: Count
    best: Count
    blocking: list[Blocking]
    fixes: list[Fix]
    hidden: str | UnsetType = UNSET


class _Decision(Answer, tag_field="verdict"):
    """The answer for one gang."""

    gang: FullName


class Placed(_Decision, tag="placed"):
    """Every pod has its place."""

    proof: Literal["optimal", "gap", "timed_out"]
    source: str
    shape: Shape
    pods: list[Place]
    levels: dict[str, LevelUse]
    objective: list[Term]
    method: str
    notes: list[str]
    time_ms: Milliseconds


class _Refused(_Decision):
    proof: Literal["proven", "timed_out"]
    source: str
    shape: Shape
    reason: Reason
    notes: list[str]
    time_ms: Milliseconds


class Blocked(_Refused, tag="blocked"):
    """It does not fit now, but could on these nodes."""


class Impossible(_Refused, tag="impossible"):
    """It can never fit on these nodes."""


class Invalid(_Decision, tag="invalid"):
    """What it says of itself contradicts itself, or cannot be read."""

    proof: Literal["proven"]
    reason: Reason


Decision = Placed | Blocked | Impossible | Invalid


class Summary(Answer):
    """The cluster that was planned on; `free_gpus` on usable nodes."""

    nodes: Count
    ready: Count
    gpus: Count
    free_gpus: Count


class Batch(Answer):
    """What was reached together, of a plan with `jointly`."""

    proof: Literal["optimal", "gap"]
    objective: list[Term]


class Plan(Answer):
    """Where the gangs of some manifests would go now; else why not, and what would help."""

    schema: Literal["lockstep.plan/v1"]
    snapshot: Summary
    gangs: list[Decision]
    batch: Batch | UnsetType = UNSET
    stale: Stale | UnsetType = UNSET
