"""The nearest changes that would let a gang be placed, each planned again before it is named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from scheduler.placement.changes import (
    Asker,
    Bars,
    Occupant,
    Surroundings,
    relaxed,
    together,
    unbarred,
    usable,
    without,
)
from scheduler.placement.problem import NODE, Fix, Limits, PlacementProblem, ScopeRule, only, slots
from scheduler.placement.tally import Tally, tally
from topology.model import Partition

T = TypeVar("T")


def fixes_of(problem: PlacementProblem, around: Surroundings, limits: Limits) -> tuple[Fix, ...]:
    """The nearest change of each kind, planned again; kinds that do not help are left out. Each kind
    has its own number of questions: a long search for one does not cost another."""
    found = [
        _wait(problem, around, Asker(limits)),
        _uncordon(problem, around, Asker(limits)),
        *_without_bars(problem, around.bars, Asker(limits)),
        *_relax(problem, Asker(limits)),
        _add_nodes(problem, Asker(limits)),
        _resize(problem, Asker(limits)),
    ]
    return tuple(fix for fix in found if fix is not None)


def _wait(problem: PlacementProblem, around: Surroundings, asker: Asker) -> Fix | None:
    """Whose end would make room: none of them could be left running."""
    everyone = _far_first(problem, around.occupants)
    if not everyone or not asker.fits(without(everyone)(problem)):
        return None
    counts = tally(problem, everyone)
    if counts is not None:
        needed = _staying(everyone, counts.leave, counts.come_back, counts)
    else:
        needed = _spared(everyone, lambda gone: asker.fits(without(gone)(problem)), asker)
    names = [one.name for one in needed]
    pods = sum(len(one.use) for one in needed)
    ends = f"end{'s' if len(names) == 1 else ''} ({pods} pod{'' if pods == 1 else 's'})"
    change = f"wait until {listed(names)} {ends}"
    return Fix(change, "wait", {"until_gone": names, "pods": pods}, verified=True)


def _far_first(problem: PlacementProblem, occupants: Sequence[Occupant]) -> list[Occupant]:
    """Those first whom nobody needs to wait for: who runs where most is missing; then the largest."""
    levels = [level for rule in problem.rules for level in rule.required if level != NODE]
    domains = problem.cluster.domain_of(levels[0] if levels else NODE)
    room = np.bincount(domains, weights=slots(problem, int(problem.shape_of[0])))
    at_best = [max((room[domains[node]] for node, _ in one.use), default=0.0) for one in occupants]
    order = sorted(range(len(occupants)), key=lambda at: _rank(at_best[at], occupants[at]))
    return [occupants[at] for at in order]


def _rank(room: float, one: Occupant) -> tuple[float, int, str]:
    return room, -len(one.use), one.name


def _uncordon(problem: PlacementProblem, around: Surroundings, asker: Asker) -> Fix | None:
    needed = _opened(problem, [node for node, _ in around.unusable], asker)
    if not needed:
        return None
    names = [problem.cluster.names[node] for node in needed]
    why = dict(around.unusable)
    states = sorted({why[node] for node in needed})
    change = f"bring {listed(names)} back into use (now {', '.join(states)})"
    return Fix(change, "uncordon", {"nodes": names}, verified=True)


def _opened(problem: PlacementProblem, nodes: list[int], asker: Asker) -> list[int]:
    """Of some nodes those that must be put into use, none to spare; none when not even all would do."""
    if not nodes or not asker.fits(usable(nodes)(problem)):
        return []
    counts = tally(problem, (), nodes)
    if counts is not None:
        return _staying(nodes, counts.open, counts.close, counts)
    return _spared(nodes, lambda some: asker.fits(usable(some)(problem)), asker)


def _without_bars(problem: PlacementProblem, bars: Bars | None, asker: Asker) -> list[Fix]:
    """The nodes to untaint, and the selectors of which one could be dropped."""
    if bars is None:
        return []
    found = []
    taints = [at for at, reason in enumerate(bars.reasons) if reason.kind == "taint"]
    opened = unbarred(bars, taints)(problem)
    pairs = list(zip(problem.shapes, opened.shapes, strict=True))
    shapes = tuple(replace(shape, eligible=old.eligible) for old, shape in pairs)
    gained = np.any([new.eligible & ~old.eligible for old, new in pairs], axis=0)
    needed = _opened(replace(opened, shapes=shapes), np.flatnonzero(gained).tolist(), asker) if taints else []
    if needed:
        on = int(np.bitwise_or.reduce(bars.on[:, needed], axis=None))
        found.append(_untaint(problem, needed, [bars.reasons[at].name for at in taints if on >> at & 1]))
    for at, reason in enumerate(bars.reasons):
        if reason.kind == "selector" and asker.fits(unbarred(bars, [at])(problem)):
            change = f"drop what the pods ask of nodes: {reason.name}"
            found.append(Fix(change, "relax", {"selector": reason.name}, verified=True))
    return found


def _untaint(problem: PlacementProblem, nodes: list[int], taints: list[str]) -> Fix:
    names = [problem.cluster.names[node] for node in nodes]
    change = f"remove taint {listed(taints)} from {listed(names)}, or tolerate it"
    return Fix(change, "uncordon", {"nodes": names, "taints": taints}, verified=True)


def _staying(
    items: Sequence[T], away: Callable[[T], None], back: Callable[[T], None], counts: Tally
) -> list[T]:
    """An irreducible part of the items that is still enough when away; the first ones come back first."""
    for item in items:
        away(item)
    needed = []
    for item in items:
        back(item)
        if not counts.fits:
            away(item)
            needed.append(item)
    return needed


def _spared(items: Sequence[T], enough: Callable[[list[T]], bool], asker: Asker) -> list[T]:
    """An irreducible part of the items that is still enough; the first items are spared first."""
    needed, step = list(items), max(len(items) // 2, 1)
    while step and asker.left > 0:
        at = 0
        while at < len(needed) and asker.left > 0:
            rest = [*needed[:at], *needed[at + step :]]
            if rest and enough(rest):
                needed = rest
            else:
                at += step
        step = step // 2 if step > 1 else 0
    return needed


def _relax(problem: PlacementProblem, asker: Asker) -> list[Fix]:
    """For each required level the nearest coarser one that would do, else none at all."""
    levels = problem.cluster.levels
    fixes = []
    for at, rule in enumerate(problem.rules):
        for level in rule.required:
            coarser = reversed(levels[: levels.index(level)])
            for instead in (*coarser, None):
                if asker.left > 0 and asker.fits(relaxed(at, level, instead)(problem)):
                    fixes.append(_relaxation(rule, level, instead))
                    break
    for at, apart in enumerate(problem.apart):
        if asker.left > 0 and asker.fits(together(at)(problem)):
            change = f"let {apart.scope}s share a {apart.level}, where each now wants its own"
            fixes.append(Fix(change, "relax", {"scope": apart.scope, "alone": apart.level}, verified=True))
    return fixes


def _relaxation(rule: ScopeRule, level: str, instead: str | None) -> Fix:
    stated = f"`required: {rule.scope}={level}`" + (f" of group {rule.role}" if rule.role else "")
    now = f"`required: {rule.scope}={instead}`" if instead else f"`preferred: {rule.scope}={level}`"
    detail = {"scope": rule.scope, "from": level, "to": instead or ""}
    detail |= {"group": rule.role} if rule.role else {}
    return Fix(f"{now} in place of {stated}", "relax", detail, verified=True)


def _add_nodes(problem: PlacementProblem, asker: Asker) -> Fix | None:
    """The fewest empty nodes beside one of those that are there, like it in everything."""
    best: tuple[int, int] | None = None
    for node in _models(problem):
        most = problem.pods if best is None else best[0] - 1
        if most < 1 or asker.left <= 0 or not asker.fits(_grown(problem, node, most)):
            continue
        low, high = 1, most
        while low < high and asker.left > 0:
            middle = (low + high) // 2
            if asker.fits(_grown(problem, node, middle)):
                high = middle
            else:
                low = middle + 1
        best = high, node
    if best is None:
        return None
    count, node = best
    like = problem.cluster.names[node]
    domains = {
        p.name: p.names[p.domain_of[node]] for p in problem.cluster.partitions if not _is_own(p, like, node)
    }
    where = ", ".join(f"{level} {name}" for level, name in domains.items())
    change = f"add {count} node{'s' if count > 1 else ''} like {like} beside it ({where})"
    return Fix(change, "add-nodes", {"nodes": count, "like": like, "domains": domains}, verified=True)


def _models(problem: PlacementProblem) -> list[int]:
    """Nodes to take as a pattern: of the domains of every required level the one with most room, and
    in it the node that holds most of the gang's first shape."""
    room = slots(problem, int(problem.shape_of[0]))
    whole = slots(problem, int(problem.shape_of[0]), ever=True)
    found: list[int] = []
    if not whole.any():
        return found
    levels = dict.fromkeys(level for rule in problem.rules for level in rule.required if level != NODE)
    for level in levels or [p.name for p in problem.cluster.partitions[:1]]:
        domains = problem.cluster.domain_of(level)
        best = int(np.argmax(np.bincount(domains, weights=np.where(whole > 0, room, 0))))
        inside = np.flatnonzero((domains == best) & (whole > 0))
        if inside.size:
            found.append(int(inside[np.argmax(whole[inside])]))
    return list(dict.fromkeys(found))


def _grown(problem: PlacementProblem, node: int, count: int) -> PlacementProblem:
    """The problem with so many empty copies of a node, in the same domains; where the node is a domain
    of its own (NVLink inside one machine), so is every copy."""
    cluster, copies = problem.cluster, [node] * count
    partitions = tuple(_with_copies(p, cluster.names[node], node, count) for p in cluster.partitions)
    grown = replace(
        cluster,
        names=(*cluster.names, *(f"{cluster.names[node]}+{at}" for at in range(count))),
        free=np.concatenate([cluster.free, cluster.total[:, copies]], axis=1),
        total=np.concatenate([cluster.total, cluster.total[:, copies]], axis=1),
        usable=np.concatenate([cluster.usable, np.ones(count, dtype=np.bool_)]),
        partitions=partitions,
    )
    shapes = tuple(
        replace(
            shape,
            eligible=np.concatenate([shape.eligible, shape.ever[copies]]),
            ever=np.concatenate([shape.ever, shape.ever[copies]]),
        )
        for shape in problem.shapes
    )
    return replace(problem, cluster=grown, shapes=shapes)


def _with_copies(partition: Partition, name: str, node: int, count: int) -> Partition:
    """A level of the fabric with so many copies of a node at its end."""
    own = int(partition.domain_of[node])
    if not _is_own(partition, name, node):
        return replace(partition, domain_of=np.append(partition.domain_of, np.repeat(np.int32(own), count)))
    first = len(partition.names)
    return replace(
        partition,
        domain_of=np.append(partition.domain_of, np.arange(first, first + count, dtype=np.int32)),
        names=(*partition.names, *(f"{name}+{at}" for at in range(count))),
        private=np.append(partition.private, np.repeat(partition.private[own], count)),
    )


def _is_own(partition: Partition, name: str, node: int) -> bool:
    """Whether a domain is just this node, and has its name or none: a copy beside it would be another."""
    own = int(partition.domain_of[node])
    alone = int(np.count_nonzero(partition.domain_of == own)) == 1
    return alone and (bool(partition.private[own]) or partition.names[own] == name)


def _resize(problem: PlacementProblem, asker: Asker) -> Fix | None:
    """The most pods that would fit, whole blocks of ranks only."""
    unit = _unit(problem)
    low, high = 0, problem.pods // unit - 1
    while low < high and asker.left > 0:
        middle = (low + high + 1) // 2
        if asker.fits(only(problem, range(middle * unit))):
            low = middle
        else:
            high = middle - 1
    if low == 0 or not asker.fits(only(problem, range(low * unit))):
        return None
    pods = low * unit
    change = f"a gang of {pods} pod{'s' if pods > 1 else ''} would fit now"
    return Fix(change, "resize", {"pods": pods}, verified=True)


def _unit(problem: PlacementProblem) -> int:
    """Pods in the largest block below the gang, where blocks are equal; else the whole."""
    sizes = [np.bincount(rule.block_of[rule.block_of >= 0]) for rule in problem.rules[1:]]
    if any(size.size == 0 or size.min() != size.max() for size in sizes):
        return problem.pods
    return max((int(size[0]) for size in sizes), default=1)


def listed(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    if len(names) <= 3:
        return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
    return f"{', '.join(names[:2])} and {len(names) - 2} more"
