"""From a gang and a view of the cluster to a placement problem."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from scheduler.devices import is_gpu
from scheduler.model import HOST_PORT, Constraint, Gang, InvalidField, InvalidInput, NodeName, PodShape, Scope
from scheduler.placement.apart import ApartRule, of_blocks
from scheduler.placement.blocks import NVLINK, blocks_of, with_default_levels
from scheduler.placement.objective import terms_of
from scheduler.placement.policy import BUILT_IN, Policy, ordered, policy_named, without_strays
from scheduler.placement.problem import (
    NODE,
    Bool,
    Cluster,
    Int32,
    Int64,
    PlacementProblem,
    ScopeRule,
    ShapeDemand,
    dense,
)
from topology.model import Partition

_SHARED_GPUS = "its GPUs are shared among pods, so not for tensor parallelism"


TIER = "tier:"
"""How a level begins that is a number of tiers, as Volcano counts them."""


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
    shared: frozenset[NodeName] = frozenset()
    """Nodes that give each GPU to several pods."""


def formulate(gang: Gang, view: View) -> PlacementProblem:
    """The placement problem of a complete gang. Raises InvalidInput for an unknown level, a segment
    size that does not divide the gang, or a member on a node that is not there."""
    members = gang.members
    fixed = _places(gang, view)
    shapes = list(dict.fromkeys(member.shape for member in members))
    resources = _all_resources(view, shapes)
    shared = _not_for_tensors(gang, view)
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
        shapes=tuple(_demand(shape, resources, view, shared=shared) for shape in shapes),
        shape_of=np.array([shapes.index(member.shape) for member in members], dtype=np.int32),
        rules=(),
        stage_of=np.full(len(members), -1, dtype=np.int32),
        replica_of=np.full(len(members), -1, dtype=np.int32),
        fixed=fixed,
        primary=_primary(shapes, resources),
        terms=(),
        excluded=_excluded(view, _hardest(view, shapes), shared),
    )
    return _with_rules(problem, gang, view)


def _places(gang: Gang, view: View) -> Int32:
    """int32[members]: the node of those that run, -1 for the others; raises InvalidInput when it is gone."""
    running = [member for member in gang.members if member.node is not None]
    known = set(view.names) if running else set()
    lost = [member for member in running if member.node not in known]
    if lost:
        wanted = "a node that is there: running members never move, so the gang waits until it is back or"
        raise InvalidInput(
            *(
                InvalidField(f"pod {one.pod}", "spec.nodeName", str(one.node), f"{wanted} the pod is gone")
                for one in lost
            )
        )
    places = [-1 if member.node is None else view.index(member.node) for member in gang.members]
    return np.array(places, dtype=np.int32)


def _hardest(view: View, shapes: Sequence[PodShape]) -> PodShape:
    """The shape whose exclusions are told: the first that may run nowhere, ever, else the first."""
    return next((shape for shape in shapes if not view.masks(shape)[1].any()), shapes[0])


def _not_for_tensors(gang: Gang, view: View) -> Sequence[int]:
    """The nodes that a gang with tensor parallelism must not use: two of its ranks could get one GPU."""
    sizes = (gang.parallelism, *(own for _, own in gang.by_group))
    if not view.shared or all((one.tensor or 1) == 1 for one in sizes):
        return ()
    return sorted(view.index(name) for name in view.shared)


def _excluded(view: View, shape: PodShape, shared: Sequence[int]) -> tuple[tuple[str, int], ...]:
    """Why nodes are excluded and how many, the most frequent reason first."""
    found = view.reasons(shape)
    if not shared:
        return found
    more = (_SHARED_GPUS, int(view.masks(shape)[0][list(shared)].sum()))
    return tuple(sorted((one for one in (*found, more) if one[1]), key=lambda one: (-one[1], one[0])))


def _all_resources(view: View, shapes: Sequence[PodShape]) -> tuple[str, ...]:
    asked = sorted({name for shape in shapes for name, _ in shape.demand} - set(view.resources))
    return (*view.resources, *asked)


def _widened(rows: Int64, resources: tuple[str, ...]) -> Int64:
    """Rows for resources that no node names: none anywhere, but every node has every host port once."""
    more = [int(name.startswith(HOST_PORT)) for name in resources[rows.shape[0] :]]
    if not more:
        return rows
    return np.vstack([rows, np.repeat(np.array(more, dtype=np.int64)[:, None], rows.shape[1], axis=1)])


def _demand(shape: PodShape, resources: tuple[str, ...], view: View, *, shared: Sequence[int]) -> ShapeDemand:
    asked = dict(shape.demand)
    now, ever = view.masks(shape)
    if shared and any(is_gpu(name) for name in asked):
        now[list(shared)] = ever[list(shared)] = False
    return ShapeDemand(np.array([asked.get(name, 0) for name in resources], dtype=np.int64), now, ever)


def _primary(shapes: Sequence[PodShape], resources: tuple[str, ...]) -> int:
    asked = sorted({name for shape in shapes for name, _ in shape.requests if is_gpu(name)})
    return resources.index(asked[0] if asked else "cpu" if "cpu" in resources else "pods")


def _with_rules(problem: PlacementProblem, gang: Gang, view: View) -> PlacementProblem:
    blocks, stage, replica = blocks_of(gang)
    known = tuple(p.name for p in view.partitions)
    wishes = [replace(wish, level=_level(gang, wish, view, known)) for wish in gang.constraints]
    group_of = np.array([member.group for member in gang.members], dtype=np.object_)
    rules = tuple(
        rule for scope, block_of in blocks for rule in _rules_of_scope(gang, scope, block_of, wishes)
    )
    for wish in wishes:
        _refuse_without_blocks(gang, wish, dict(blocks), group_of)
    rules = (rules[0], *_parts(gang, wishes), *rules[1:])
    problem = replace(problem, rules=rules, stage_of=stage, replica_of=replica)
    problem = with_default_levels(problem, known)
    problem = replace(problem, apart=_apart(wishes, dict(blocks), group_of))
    levels = tuple(p.name for p in view.partitions)
    policy = policy_named(gang.policy, view.policies, owner=f"gang {gang.key}")
    policy = without_strays(policy, levels)
    terms = terms_of(levels, problem.rules, pipeline=bool((problem.stage_of > 0).any()))
    return replace(problem, terms=ordered(policy, terms, levels, pods=problem.pods))


def _rules_of_scope(
    gang: Gang, scope: Scope, block_of: Int32, wishes: Sequence[Constraint]
) -> list[ScopeRule]:
    """One rule, or one per role that has wishes of its own and one for the rest."""
    group_of = np.array([member.group for member in gang.members], dtype=np.object_)
    common = [wish for wish in wishes if wish.scope == scope and wish.group is None]
    own: dict[str, list[Constraint]] = {}
    for wish in wishes:
        if wish.scope == scope and wish.group is not None:
            own.setdefault(wish.group, []).append(wish)
    parts = [(group, group_of == group, [*common, *more]) for group, more in own.items()]
    rest = ~np.isin(group_of, list(own)) if own else np.ones(len(block_of), dtype=np.bool_)
    return [
        ScopeRule(
            scope,
            scope,
            dense(np.where(inside, block_of, -1)),
            *_levels(some),
            role=role,
            names=_names(gang, scope, block_of[inside], group_of[inside]),
        )
        for role, inside, some in [*parts, ("", rest, common)]
        if (block_of[inside] >= 0).any()
    ]


def _parts(gang: Gang, wishes: Sequence[Constraint]) -> tuple[ScopeRule, ...]:
    """The rules of groups of groups, and of parts of groups, the largest first. Parts that wish alike and
    have no pod in common are the blocks of one rule."""
    own: dict[str, list[Constraint]] = {}
    for wish in wishes:
        if wish.scope == "part" and wish.group is not None:
            own.setdefault(wish.group, []).append(wish)
    inside = {name: np.array([name in m.parts for m in gang.members], dtype=np.bool_) for name in own}
    found: list[ScopeRule] = []
    for name in sorted(own, key=lambda one: (-int(inside[one].sum()), list(own).index(one))):
        levels, pods = _levels(own[name]), inside[name]
        at = next((i for i, r in enumerate(found) if _may_join(r, levels, pods)), None)
        if at is None:
            block_of = np.where(pods, 0, -1).astype(np.int32)
            found.append(ScopeRule("part", "part", block_of, *levels, role=name))
        else:
            block_of = np.where(pods, found[at].block_of.max() + 1, found[at].block_of).astype(np.int32)
            found[at] = replace(found[at], block_of=block_of, role="")
    return tuple(rule for rule in found if (rule.block_of >= 0).any())


def _may_join(rule: ScopeRule, levels: tuple[tuple[str, ...], ...], pods: Bool) -> bool:
    return (rule.required, rule.preferred) == levels and not (rule.block_of[pods] >= 0).any()


def _names(gang: Gang, scope: Scope, block_of: Int32, group_of: NDArray[np.object_]) -> tuple[str, ...]:
    """The groups' names, block by block; segments and other blocks have none."""
    if scope != "group" or gang.segment_size or not (block_of >= 0).all():
        return ()
    return tuple(str(group_of[np.argmax(block_of == block)]) for block in np.unique(block_of).tolist())


def _apart(
    wishes: Sequence[Constraint], blocks: Mapping[Scope, Int32], group_of: NDArray[np.object_]
) -> tuple[ApartRule, ...]:
    """A rule per scope and level at which some of its blocks want domains for themselves."""
    alone: dict[tuple[Scope, str], list[Constraint]] = {}
    for wish in wishes:
        if wish.alone and wish.scope in blocks:
            alone.setdefault((wish.scope, wish.level), []).append(wish)
    found = []
    for (scope, level), some in alone.items():
        beside = np.isin(group_of, [name for wish in some for name in wish.beside])
        lone = np.any([(group_of == wish.group) | (wish.group is None) for wish in some], axis=0)
        found.append(of_blocks(scope, level, dense(np.where(beside, -1, blocks[scope])), lone))
    return tuple(rule for rule in found if rule is not None)


def _levels(wishes: Sequence[Constraint]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The required and the preferred levels, each once, in the order stated."""
    return (
        tuple(dict.fromkeys(wish.level for wish in wishes if wish.required)),
        tuple(dict.fromkeys(wish.level for wish in wishes if not wish.required)),
    )


def _refuse_without_blocks(
    gang: Gang, wish: Constraint, blocks: Mapping[Scope, Int32], group_of: NDArray[np.object_]
) -> None:
    """A wish about blocks that the gang, or the role, does not have would be ignored in silence."""
    own = blocks.get(wish.scope)
    if wish.scope == "part":
        return  # stated by an owner, of members that may still be to come
    if own is not None and (own[(group_of == wish.group) | (wish.group is None)] >= 0).any():
        return
    whose = "the gang" if wish.group is None else f"group {wish.group}"
    stated = f"{wish.scope}={wish.level}"
    remedy = f"an annotation that gives {wish.scope} sizes, or drop {stated}"
    wanted = f"{whose} has no {wish.scope} blocks; {remedy}"
    field_name = "required" if wish.required else "preferred"
    raise InvalidInput(InvalidField(f"gang {gang.key}", field_name, stated, wanted))


def _tier(number: str, known: tuple[str, ...]) -> str | None:
    """The level that is so many tiers of switches above the nodes: tier 1 is what joins nodes directly."""
    switched = [level for level in known if level not in (NODE, NVLINK)]
    at = int(number) if number.isascii() and number.isdecimal() and len(number) < 4 else 0
    return switched[-at] if 1 <= at <= len(switched) else None


def _level(gang: Gang, wish: Constraint, view: View, known: tuple[str, ...]) -> str:
    level = view.resolve(wish.level)
    if level is None and wish.level.startswith(TIER):
        level = _tier(wish.level.removeprefix(TIER), known)
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
