"""The placement problem: one gang, the nodes it may use, and what must hold.

Everything is an array over nodes or over pods. Nodes stand in natural order of
their names, pods in order of rank, so that an index breaks ties by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from scheduler.model import Scope
from scheduler.placement.apart import ApartRule, of_pods
from topology.model import Partition

NODE = "node"

Int64 = NDArray[np.int64]
UInt64 = NDArray[np.uint64]
Int32 = NDArray[np.int32]
Bool = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Cluster:
    """What the solver sees of the nodes.

    `free`, `total`: int64[resources, nodes] in base units; `usable`: bool[nodes],
    ready and not cordoned; `partitions`: the fabric's levels, coarse to fine,
    without the node level; `primary`: index of the resource that counts as the
    capacity of a domain (the gang's GPUs, else CPU).
    """

    names: tuple[str, ...]
    resources: tuple[str, ...]
    free: Int64
    total: Int64
    usable: Bool
    partitions: tuple[Partition, ...]

    @property
    def size(self) -> int:
        return len(self.names)

    def domain_of(self, level: str) -> Int32:
        """int32[nodes]: the domain of every node at a level; at level node, the node itself."""
        if level == NODE:
            return np.arange(self.size, dtype=np.int32)
        return next(p.domain_of for p in self.partitions if p.name == level)

    def domain_name(self, level: str, domain: int) -> str:
        """The display name of one domain."""
        if level == NODE:
            return self.names[domain]
        return next(p.names[domain] for p in self.partitions if p.name == level)

    @property
    def levels(self) -> tuple[str, ...]:
        """Names of the levels, coarse to fine, the node level last."""
        return (*(p.name for p in self.partitions), NODE)


@dataclass(frozen=True, slots=True, eq=False)
class ShapeDemand:
    """What one pod of a shape takes (int64[resources]) and where it may run (bool[nodes]); `ever`: where it
    could run once nodes are uncordoned and ready again."""

    requests: Int64
    eligible: Bool
    ever: Bool


@dataclass(frozen=True, slots=True, eq=False)
class ScopeRule:
    """The blocks of one scope, of all pods or of one `role` (a group's name), and their wishes.

    `block_of`: int32[pods], the block each pod belongs to, -1 for none. Every
    block stays inside one domain of each `required` level; `preferred` levels are
    objective terms in the order stated. Scope `batch`: a gang among others. `names`: the blocks', for people.
    """

    scope: Scope | Literal["batch"]
    name: str
    block_of: Int32
    required: tuple[str, ...] = ()
    preferred: tuple[str, ...] = ()
    role: str = ""
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class PlacementProblem:
    """One gang to place.

    `shape_of`: int32[pods] into `shapes`; `rules` from the whole gang to the
    smallest block; `stage_of`, `replica_of`: int32[pods], the pipeline stage
    and the replica of every pod (all -1 without a pipeline); `fixed`: int32[pods],
    the node of members that already run (their use is already out of `free`), else -1;
    `terms`: the objective, most important first; `excluded`: why nodes may not be used
    and how many, for people; `notes`: what was decided while formulating; `apart`: parties of the
    gang that keep out of each other's domains.
    """

    gang: str
    cluster: Cluster
    shapes: tuple[ShapeDemand, ...]
    shape_of: Int32
    rules: tuple[ScopeRule, ...]
    stage_of: Int32
    replica_of: Int32
    fixed: Int32
    primary: int
    terms: tuple[str, ...]
    excluded: tuple[tuple[str, int], ...] = ()
    notes: tuple[str, ...] = ()
    apart: tuple[ApartRule, ...] = ()

    @property
    def pods(self) -> int:
        return len(self.shape_of)


@dataclass(frozen=True, slots=True)
class TermValue:
    """One objective term of an answer: its value and the proven least it could be,
    given the terms before it."""

    term: str
    value: int
    bound: int


@dataclass(frozen=True, slots=True, eq=False)
class Assignment:
    """A node for every pod (int32[pods], indices into the cluster's names).

    `proof` is `optimal` when every term meets its bound, else `gap`, or
    `timed_out` when the search ended early with this answer in hand.
    `levels` holds per level the domains used and the least possible.
    """

    nodes: Int32
    terms: tuple[TermValue, ...]
    proof: str
    levels: tuple[tuple[str, int, int], ...] = ()
    method: str = ""


@dataclass(frozen=True, slots=True)
class Blocking:
    """One fact that stands in the way."""

    kind: str
    name: str
    fact: str


@dataclass(frozen=True, slots=True)
class Fix:
    """One change that would let the gang be placed; `verified` when it was planned again and fitted.

    `kind`: wait, evict, relax, uncordon, add-nodes or resize; `detail` for programs.
    """

    change: str
    kind: str
    detail: Mapping[str, object]
    verified: bool


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why there is no assignment.

    `possible` is True when the gang would fit these nodes with nothing else
    running on them; `proof` is `proven`, or `timed_out` when nobody knows.
    `needed` and `best` count pods.
    """

    code: str
    message: str
    possible: bool
    proof: str = "proven"
    level: str = ""
    needed: int = 0
    best: int = 0
    blocking: tuple[Blocking, ...] = ()
    fixes: tuple[Fix, ...] = ()


class Abandoned(Exception):
    """Nobody waits for the answer any more."""


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a decision may take, in deterministic solver seconds (work, not wall time).
    `refine_s`: what an answer of the tree program that is not proven may cost beyond it.
    `abandoned`: asked before every solve; may be answered by another thread.
    """

    deterministic_s: float = 10.0
    refine_s: float = 2.0
    abandoned: Callable[[], bool] = _never

    def go_on(self) -> None:
        """Raises Abandoned once nobody waits for the answer."""
        if self.abandoned():
            raise Abandoned


def slots(problem: PlacementProblem, shape: int, *, ever: bool = False) -> Int64:
    """int64[nodes]: how many pods of one shape every node could hold, at most the gang's size.

    With `ever`, if nothing else ran there and every node were ready and uncordoned.
    """
    demand = problem.shapes[shape]
    capacity = problem.cluster.total if ever else problem.cluster.free
    room: Int64 | None = None
    for resource, request in enumerate(demand.requests.tolist()):
        if request:
            row = capacity[resource] if request == 1 else capacity[resource] // request
            room = np.minimum(row, problem.pods if room is None else room)
    if room is None:
        room = np.full(problem.cluster.size, problem.pods, dtype=np.int64)
    np.maximum(room, 0, out=room)
    room *= demand.ever if ever else demand.eligible
    return room


def asked(problem: PlacementProblem) -> Int64:
    """int64[resources]: what the members that do not run yet ask for together."""
    return np.asarray(_requests_of_new(problem).sum(axis=0), dtype=np.int64)


def taken(problem: PlacementProblem, nodes: Int32) -> dict[str, Int64]:
    """int64[nodes] per resource that is asked for: what those members take on their nodes."""
    requests, own = _requests_of_new(problem), nodes[problem.fixed < 0]
    return {
        name: np.bincount(own, weights=requests[:, row], minlength=problem.cluster.size).astype(np.int64)
        for row, name in enumerate(problem.cluster.resources)
        if requests[:, row].any()
    }


def _requests_of_new(problem: PlacementProblem) -> Int64:
    """int64[new members, resources]."""
    every = np.array([shape.requests for shape in problem.shapes], dtype=np.int64)
    return every[problem.shape_of[problem.fixed < 0]]


def allowed(problem: PlacementProblem) -> Bool:
    """bool[nodes]: where some shape of the gang may run."""
    return np.asarray(np.any([shape.eligible for shape in problem.shapes], axis=0))


def only(problem: PlacementProblem, pods: Sequence[int] | Int64) -> PlacementProblem:
    """The problem of some of its pods (indices), under the rules that concern them; shapes that
    none of them has stay listed."""
    rules = (_rule_of(rule, rule.block_of[pods]) for rule in problem.rules)
    return replace(
        problem,
        rules=tuple(rule for rule in rules if (rule.block_of >= 0).any()),
        apart=of_pods(problem.apart, pods),
        shape_of=problem.shape_of[pods],
        stage_of=problem.stage_of[pods],
        replica_of=dense(problem.replica_of[pods]),
        fixed=problem.fixed[pods],
    )


def _rule_of(rule: ScopeRule, block_of: Int32) -> ScopeRule:
    kept = np.unique(block_of[block_of >= 0]) if rule.names else ()
    return replace(rule, block_of=dense(block_of), names=tuple(rule.names[block] for block in kept))


def dense(ids: Int32 | Int64) -> Int32:
    """Ids renumbered from 0 without gaps, in their order; negative ones become -1."""
    found = np.full(len(ids), -1, dtype=np.int32)
    inside = ids >= 0
    found[inside] = np.unique(ids[inside], return_inverse=True)[1]
    return found


def frozen(
    values: Sequence[int] | NDArray[np.generic], dtype: type[np.generic] = np.int32
) -> NDArray[np.generic]:
    """A read-only array."""
    array = np.array(values, dtype=dtype)
    array.setflags(write=False)
    return array
