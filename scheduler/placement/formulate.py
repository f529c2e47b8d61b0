"""From a gang and a view of the cluster to a placement problem."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from scheduler.devices import gpus_of, is_gpu
from scheduler.model import HOST_PORT, Constraint, Gang, InvalidField, InvalidInput, NodeName, PodShape, Scope
from scheduler.placement.objective import terms_of
from scheduler.placement.policy import BUILT_IN, Policy, ordered, policy_named
from scheduler.placement.problem import (
    NODE,
    Bool,
    Cluster,
    Int32,
    Int64,
    PlacementProblem,
    ScopeRule,
    ShapeDemand,
    slots,
)
from scheduler.placement.tree import tree_form
from topology.model import Partition

NVLINK, LEAF = "nvlink", "leaf"


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """An immutable snapshot of the cluster: arrays as in `Cluster`, with the functions
    that map a level word to a level (None: unknown), a shape to its masks (may run now,
    could ever run) and to the reasons for exclusion, and a node name to its index."""

    names: tuple[str, ...]
    resources: tuple[str, ...]
    free: Int64
    total: Int64
    usable: Bool
    partitions: tuple[Partition, ...]
    resolve: Callable[[str], str | None]
    masks: Callable[[PodShape], tuple[Bool, Bool]]
    reasons: Callable[[PodShape], tuple[tuple[str, int], ...]]
    index: Callable[[NodeName], int]
    policies: Mapping[str, Policy] = field(default_factory=lambda: BUILT_IN)


def formulate(gang: Gang, view: View) -> PlacementProblem:
    """The placement problem of a complete gang. Raises InvalidInput for an unknown level
    or a segment size that does not divide the gang."""
    members = gang.members
    shapes = list(dict.fromkeys(member.shape for member in members))
    resources = _all_resources(view, shapes)
    cluster = Cluster(
        names=view.names,
        resources=resources,
        free=_widened(view.free, resources),
        total=_widened(view.total, resources),
        usable=view.usable,
        partitions=view.partitions,
    )
    problem = PlacementProblem(
        gang=str(gang.key),
        cluster=cluster,
        shapes=tuple(_demand(shape, resources, view) for shape in shapes),
        shape_of=np.array([shapes.index(member.shape) for member in members], dtype=np.int32),
        rules=(),
        stage_of=np.full(len(members), -1, dtype=np.int32),
        replica_of=np.full(len(members), -1, dtype=np.int32),
        fixed=np.array([-1 if m.node is None else view.index(m.node) for m in members], dtype=np.int32),
        primary=_primary(shapes, resources),
        terms=(),
        excluded=view.reasons(shapes[0]),
    )
    return _with_rules(problem, gang, view)


def _all_resources(view: View, shapes: Sequence[PodShape]) -> tuple[str, ...]:
    asked = sorted({name for shape in shapes for name, _ in shape.demand} - set(view.resources))
    return (*view.resources, *asked)


def _widened(rows: Int64, resources: tuple[str, ...]) -> Int64:
    """Rows for resources that no node names: none anywhere, but every node has every host port once."""
    more = [int(name.startswith(HOST_PORT)) for name in resources[rows.shape[0] :]]
    if not more:
        return rows
    return np.vstack([rows, np.repeat(np.array(more, dtype=np.int64)[:, None], rows.shape[1], axis=1)])


def _demand(shape: PodShape, resources: tuple[str, ...], view: View) -> ShapeDemand:
    asked = dict(shape.demand)
    now, ever = view.masks(shape)
    return ShapeDemand(np.array([asked.get(name, 0) for name in resources], dtype=np.int64), now, ever)


def _primary(shapes: Sequence[PodShape], resources: tuple[str, ...]) -> int:
    asked = sorted({name for shape in shapes for name, _ in shape.requests if is_gpu(name)})
    return resources.index(asked[0] if asked else "cpu" if "cpu" in resources else "pods")


def _with_rules(problem: PlacementProblem, gang: Gang, view: View) -> PlacementProblem:
    blocks, stage, replica = _blocks(gang, problem.pods)
    known = tuple(p.name for p in view.partitions)
    wishes = _resolved(gang, view, known)
    rules = tuple(
        ScopeRule(
            scope,
            scope,
            block_of,
            tuple(dict.fromkeys(level for own, level, must in wishes if own == scope and must)),
            tuple(dict.fromkeys(level for own, level, must in wishes if own == scope and not must)),
        )
        for scope, block_of in blocks
    )
    for scope, level, must in wishes:
        if scope not in dict(blocks):
            wanted = f"gives {scope} sizes, or drop {scope}={level}"
            raise InvalidInput(
                InvalidField(
                    f"gang {gang.key}",
                    "required" if must else "preferred",
                    f"{scope}={level}",
                    f"the gang has no {scope} blocks; an annotation that {wanted}",
                )
            )
    problem = replace(problem, rules=rules, stage_of=stage, replica_of=replica)
    problem = _default_levels(problem, gang, known)
    levels = tuple(p.name for p in view.partitions)
    policy = policy_named(gang.policy, view.policies, owner=f"gang {gang.key}")
    terms = terms_of(levels, problem.rules, pipeline=bool((problem.stage_of > 0).any()))
    return replace(problem, terms=ordered(policy, terms, levels))


def _resolved(gang: Gang, view: View, known: tuple[str, ...]) -> list[tuple[Scope, str, bool]]:
    return [(wish.scope, _level(gang, wish, view, known), wish.required) for wish in gang.constraints]


def _level(gang: Gang, wish: Constraint, view: View, known: tuple[str, ...]) -> str:
    level = view.resolve(wish.level)
    if level is not None:
        return level
    nearest = difflib.get_close_matches(wish.level, [*known, NODE], n=1)
    hint = f"did you mean {nearest[0]!r}? " if nearest else ""
    raise InvalidInput(
        InvalidField(
            f"gang {gang.key}",
            "required" if wish.required else "preferred",
            f"{wish.scope}={wish.level}",
            f"{hint}the levels of this cluster are {', '.join([*known, NODE])}, or a node label key of one",
        )
    )


def _blocks(gang: Gang, pods: int) -> tuple[list[tuple[Scope, Int32]], Int32, Int32]:
    """Block ids per scope, from the gang down, and each pod's pipeline stage and replica."""
    rank = np.arange(pods, dtype=np.int32)
    none = np.full(pods, -1, dtype=np.int32)
    blocks: list[tuple[Scope, Int32]] = [("gang", np.zeros(pods, dtype=np.int32))]
    groups = _groups(gang, pods)
    if groups is not None:
        blocks.append(("group", groups))
    sizes = _parallel_pods(gang)
    if sizes is None:
        return blocks, none, none
    per_tp, per_pipeline = sizes
    if (gang.parallelism.pipeline or 1) > 1:
        blocks.append(("pp", (rank // per_pipeline).astype(np.int32)))
    blocks.append(("tp", (rank // per_tp).astype(np.int32)))
    if (gang.parallelism.pipeline or 1) == 1:
        return blocks, none, none
    return blocks, (rank % per_pipeline // per_tp).astype(np.int32), (rank // per_pipeline).astype(np.int32)


def _groups(gang: Gang, pods: int) -> Int32 | None:
    if gang.segment_size:
        if pods % gang.segment_size and gang.segment_remainder == "forbid":
            wanted = f"a divisor of the gang's {pods} pods, or segment-remainder: allow"
            raise InvalidInput(
                InvalidField(f"gang {gang.key}", "segment-size", str(gang.segment_size), wanted)
            )
        return (np.arange(pods) // gang.segment_size).astype(np.int32)
    names = list(dict.fromkeys(member.group for member in gang.members))
    if names == [""]:
        return None
    return np.array([names.index(member.group) for member in gang.members], dtype=np.int32)


def _parallel_pods(gang: Gang) -> tuple[int, int] | None:
    """Pods per tensor-parallel group and per pipeline; None when unknown or not whole pods."""
    tensor, pipeline = gang.parallelism.tensor, gang.parallelism.pipeline or 1
    per_pod = {gpus_of(member.shape) for member in gang.members}
    if not tensor or len(per_pod) != 1 or (gpus := per_pod.pop()) == 0:
        return None
    return max(tensor // gpus, 1), max(tensor * pipeline // gpus, 1)


def _default_levels(problem: PlacementProblem, gang: Gang, known: tuple[str, ...]) -> PlacementProblem:
    """What holds when sizes are known and nothing is said: tensor-parallel groups in one NVLink
    domain, a pipeline under one leaf if an empty leaf could hold it, else preferred where one could."""
    stated = {wish.scope for wish in gang.constraints}
    if "tp" not in stated and NVLINK in known:
        problem = _constrained(problem, "tp", required=NVLINK)
    if "pp" in stated or not any(rule.scope == "pp" for rule in problem.rules):
        return problem
    if LEAF in known and _could_hold(problem, LEAF):
        return _constrained(problem, "pp", required=LEAF)
    order = (
        reversed(known[: known.index(LEAF)]) if LEAF in known else reversed([k for k in known if k != NVLINK])
    )
    level = next((level for level in order if _could_hold(problem, level)), None)
    if level is None:
        return replace(problem, notes=(*problem.notes, "no level of this cluster could hold a pipeline"))
    note = f"no leaf could hold a pipeline even when empty; preferred in one {level}"
    problem = replace(
        problem,
        notes=(
            *problem.notes,
            note if LEAF in known else f"no leaf level; pipelines preferred in one {level}",
        ),
    )
    return _constrained(problem, "pp", preferred=level)


def _constrained(
    problem: PlacementProblem, scope: Scope, *, required: str = "", preferred: str = ""
) -> PlacementProblem:
    rules = tuple(
        replace(
            rule,
            required=(*rule.required, *([required] if required else [])),
            preferred=(*rule.preferred, *([preferred] if preferred else [])),
        )
        if rule.scope == scope
        else rule
        for rule in problem.rules
    )
    return replace(problem, rules=rules)


def _could_hold(problem: PlacementProblem, level: str) -> bool:
    """Whether some empty domain of a level could hold one pipeline, tensor-parallel groups whole."""
    pipeline = next(rule for rule in problem.rules if rule.scope == "pp")
    size = int(np.bincount(pipeline.block_of)[0])
    form = tree_form(_constrained(problem, "pp", required=level), ever=True)
    if form is not None:
        return bool(form.capacity[form.position(level)].max(initial=0) >= size)
    room = slots(problem, int(problem.shape_of[0]), ever=True)
    return bool(np.bincount(problem.cluster.domain_of(level), weights=room).max(initial=0) >= size)
