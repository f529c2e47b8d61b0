"""What the integer model counts: units of interchangeable pods over classes of interchangeable nodes.

Pods of one shape in the same blocks are interchangeable: the model counts them. Blocks
that are alike (one shape, one size, required levels only) are interchangeable as wholes:
instead of a block each, the pods of all of them must come in multiples of the block's
size inside every domain of its levels, a *step*. Nodes with the same domains, room and
eligibility are one class; with several shapes, the same combinations must fit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scheduler.placement.objective import replica_rules
from scheduler.placement.patterns import Pattern, maximal_patterns
from scheduler.placement.problem import NODE, Cluster, Int32, Int64, PlacementProblem, ScopeRule, slots


@dataclass(frozen=True, slots=True, eq=False)
class Unit:
    """Interchangeable pods: their indices in rank order, shape, the blocks that the model follows one
    by one, as (rule index, block), and the party by `apart` rule."""

    pods: tuple[int, ...]
    shape: int
    blocks: tuple[tuple[int, int], ...]
    stage: int
    replica: int
    parties: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """Inside every cell (int32[nodes]) the pods of a unit come in multiples of `size`."""

    size: int
    cell_of: Int32
    units: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class NodeClass:
    """Nodes that are alike, in natural order; `room`: pods per node by shape; `patterns`: with several
    shapes, what each of the nodes can hold of them at once (empty: one node, told by its resources)."""

    nodes: tuple[int, ...]
    room: tuple[int, ...]
    patterns: tuple[Pattern, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Reduced:
    """A problem as the model sees it. `single`: one shape, so that a class's room is a sum."""

    units: tuple[Unit, ...]
    steps: tuple[Step, ...]
    classes: tuple[NodeClass, ...]
    followed: tuple[int, ...]
    single: bool


def reduce(problem: PlacementProblem, *, ever: bool = False, apart: bool = False) -> Reduced:
    """Units, steps and node classes of a problem; with `ever`, on nodes with nothing running; with
    `apart`, every node a class of its own."""
    stepped = _stepped(problem)
    replicas = replica_rules(problem) if _asks_replicas(problem) else ()
    followed = tuple(
        at
        for at, rule in enumerate(problem.rules)
        if at not in stepped and (rule.required or rule.preferred or at in replicas)
    )
    units = _units(problem, followed)
    steps = tuple(_step(problem, at, units) for at in stepped)
    rooms = [slots(problem, shape, ever=ever) for shape in range(len(problem.shapes))]
    single = len({unit.shape for unit in units}) <= 1
    by_node = any(NODE in (*rule.required, *rule.preferred) for rule in problem.rules) or any(
        rule.level == NODE for rule in problem.apart
    )
    return Reduced(
        units, steps, _classes(problem, rooms, units, apart=apart or by_node, ever=ever), followed, single
    )


def _asks_replicas(problem: PlacementProblem) -> bool:
    return any("replica" in term for term in problem.terms)


def _stepped(problem: PlacementProblem) -> tuple[int, ...]:
    """Rules whose blocks are alike, from the innermost outwards, as far as that goes."""
    if (problem.stage_of > 0).any() or (problem.fixed >= 0).any() or _asks_replicas(problem):
        return ()
    found: list[int] = []
    inner = 1
    for at in reversed(range(1, len(problem.rules))):
        rule = problem.rules[at]
        if not rule.required and not rule.preferred:
            continue
        size = _alike(problem, rule, at)
        if size is None or size % inner:
            break
        found.append(at)
        inner = size
    return tuple(found)


def _alike(problem: PlacementProblem, rule: ScopeRule, at: int) -> int | None:
    """The size of a rule's blocks when they are interchangeable inside every outer block."""
    if rule.preferred or (rule.block_of < 0).any():
        return None
    counts = np.bincount(rule.block_of)
    if counts.min() != counts.max():
        return None
    for other in problem.rules[:at]:
        if not _same_per_block(rule.block_of, other.block_of):
            return None
    if not all(_same_per_block(rule.block_of, one.party_of) for one in problem.apart):
        return None
    return int(counts[0]) if _same_per_block(rule.block_of, problem.shape_of) else None


def _same_per_block(block_of: Int32, value: Int32) -> bool:
    """Whether all pods of a block have the same value."""
    first = np.full(int(block_of.max()) + 1, -2, dtype=np.int64)
    first[block_of] = value
    return bool((first[block_of] == value).all())


def _units(problem: PlacementProblem, followed: tuple[int, ...]) -> tuple[Unit, ...]:
    staged = (problem.stage_of > 0).any()
    found: dict[tuple[object, ...], list[int]] = {}
    for pod in np.flatnonzero(problem.fixed < 0).tolist():
        blocks = tuple(
            (at, int(problem.rules[at].block_of[pod]))
            for at in followed
            if problem.rules[at].block_of[pod] >= 0
        )
        stage = (int(problem.stage_of[pod]), int(problem.replica_of[pod])) if staged else (-1, -1)
        parties = tuple(int(rule.party_of[pod]) for rule in problem.apart)
        found.setdefault((int(problem.shape_of[pod]), blocks, stage, parties), []).append(pod)
    return tuple(
        Unit(tuple(pods), *key[:2], *key[2], key[3])  # type: ignore[call-arg, arg-type, misc]  # as built above
        for key, pods in found.items()
    )


def _step(problem: PlacementProblem, at: int, units: tuple[Unit, ...]) -> Step:
    rule = problem.rules[at]
    levels = [level for outer in problem.rules[: at + 1] for level in outer.required]
    columns = [problem.cluster.domain_of(level) for level in dict.fromkeys(levels)]
    _, cell_of = np.unique(np.column_stack(columns), axis=0, return_inverse=True)
    size = int(np.bincount(rule.block_of)[0])
    return Step(size, cell_of.reshape(-1).astype(np.int32), tuple(range(len(units))))


def _classes(
    problem: PlacementProblem, rooms: list[Int64], units: tuple[Unit, ...], *, apart: bool, ever: bool
) -> tuple[NodeClass, ...]:
    """Node classes with room for some pod; with `apart` every node is its own."""
    cluster, useful = problem.cluster, np.flatnonzero(np.max(rooms, axis=0) > 0)
    running = np.zeros(cluster.size, dtype=np.int64)
    running[problem.fixed[problem.fixed >= 0]] = 1 + problem.fixed[problem.fixed >= 0]  # each on its own
    keys = _keys(cluster, problem.primary, [*rooms, running], useful)
    mixed = len({unit.shape for unit in units}) > 1 and not apart
    patterns = _patterns(problem, rooms, units, useful, ever=ever) if mixed else [None] * len(useful)
    found: dict[tuple[object, ...], list[int]] = {}
    for node, key, own in zip(useful.tolist(), keys.tolist(), patterns, strict=True):
        alone = apart or (mixed and own is None)
        found.setdefault((node,) if alone else (*key, own), []).append(node)
    of_node = dict(zip(useful.tolist(), patterns, strict=True))
    return tuple(
        NodeClass(tuple(nodes), tuple(int(room[nodes[0]]) for room in rooms), of_node[nodes[0]] or ())
        for nodes in found.values()
    )


def _patterns(
    problem: PlacementProblem, rooms: list[Int64], units: tuple[Unit, ...], nodes: Int64, *, ever: bool
) -> list[tuple[Pattern, ...] | None]:
    """Per node what it can hold of several shapes at once; None where that is too much to list."""
    wanted = np.bincount([unit.shape for unit in units for _ in unit.pods], minlength=len(problem.shapes))
    asked = [
        row for row in range(len(problem.cluster.resources)) if any(s.requests[row] for s in problem.shapes)
    ]
    requests = [tuple(int(shape.requests[row]) for row in asked) for shape in problem.shapes]
    capacity = (problem.cluster.total if ever else problem.cluster.free)[asked]
    known: dict[tuple[int, ...], tuple[Pattern, ...] | None] = {}
    found = []
    for node in nodes.tolist():
        most = [min(int(room[node]), int(n)) for room, n in zip(rooms, wanted, strict=True)]
        free = [max(int(row[node]), 0) for row in capacity]
        key = (*most, *free)
        if key not in known:
            known[key] = maximal_patterns(free, requests, most)
        found.append(known[key])
    return found


def _keys(cluster: Cluster, primary: int, rooms: list[Int64], nodes: Int64) -> Int64:
    columns = [
        *(partition.domain_of for partition in cluster.partitions),
        *rooms,
        cluster.free[primary],
        cluster.total[primary],
        cluster.usable,
    ]
    return np.column_stack([column[nodes].astype(np.int64) for column in columns])
