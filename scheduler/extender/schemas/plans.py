"""Plan requests and decisions about gangs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from scheduler.extender.schemas.base import Answer, Count, FullName, Milliseconds, Stale
from scheduler.kube import structs
from scheduler.model import PREFIX, SCOPES, Code
from scheduler.workloads.annotations import SIZES

_NAME = {"type": "string", "pattern": r"\S"}
_COUNT = {"type": "string", "pattern": "^0{0,3}([1-9][0-9]{0,4}|100000)$"}
_PAIR = rf"\s*(({'|'.join(SCOPES)})\s*=[^,]*[^\s,][^,]*)?"
_PAIRS = {"type": "string", "pattern": f"^{_PAIR}(,{_PAIR})*$", "examples": ["tp=nvlink, gang=leaf"]}
ANNOTATIONS: dict[str, dict[str, Any]] = {
    "gang": {**_NAME, "description": "Name of the gang, unique in the namespace."},
    "gang-size": {**_COUNT, "description": "Pods that start together or not at all."},
    "group": {"type": "string", "description": "Name of a group inside the gang."},
    "group-size": {**_COUNT, "description": "Pods of one group."},
    "rank": {
        "type": "string",
        "pattern": "^0{0,3}([0-9]{1,5}|100000)$",
        "description": "Unique in the gang.",
    },
    **{key: {**_COUNT, "description": "In ranks, as the engines count them."} for key in SIZES},
    "required": {**_PAIRS, "description": "What must stay inside one domain: scope=level, comma between."},
    "preferred": {**_PAIRS, "description": "What should."},
    "segment-size": {**_COUNT, "description": "Pods of a segment that the gang is cut into by rank."},
    "segment-remainder": {"enum": ["", "forbid", "allow"], "description": "Whether the last may be smaller."},
    "policy": {"type": "string", "description": "Name of an objective policy of the configuration."},
    "mode": {"enum": ["gated", "compat"], "description": "How its pods are kept back until there is a plan."},
}
"""Our annotations by what follows the prefix. A pod that breaks one of these is invalid."""

_STATED = {"properties": {PREFIX + key: schema for key, schema in ANNOTATIONS.items()}}


class ObjectMeta(msgspec.Struct, rename="camel"):
    """Which object that is."""

    name: str = ""
    generate_name: str = ""
    namespace: str | None = None


class Manifest(msgspec.Struct, rename="camel", kw_only=True):
    """A workload of a kind that Lockstep knows, or a List of objects.

    One that cannot be read costs only itself: its gang has the verdict `invalid`.
    """

    api_version: str | None = None
    kind: Annotated[str, Meta(min_length=1, extra_json_schema={"not": {"const": "Pod"}})]
    metadata: ObjectMeta


class PodMeta(structs.Meta):
    """Which pod that is, and what it says of its gang."""

    generate_name: str = ""
    annotations: Annotated[dict[str, str] | None, Meta(extra_json_schema=_STATED)] = None


class PodManifest(structs.PodObject, kw_only=True):
    """A pod, as far as it is read."""

    api_version: Annotated[str | None, Meta(extra_json_schema={"pattern": "^[^/]*$"})] = None
    kind: Literal["Pod"]
    metadata: PodMeta


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
