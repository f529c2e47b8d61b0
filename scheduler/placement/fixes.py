"""The nearest changes that would let a gang be placed, each planned again before it is named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from scheduler.placement.anew import restarted
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
from scheduler.placement.growth import nodes_to_add
from scheduler.placement.problem import NODE, Fix, Limits, PlacementProblem, ScopeRule, only, slots
from scheduler.placement.shortage import smaller_requests
from scheduler.placement.tally import Tally, tally
from scheduler.texts import counted

T = TypeVar("T")


def fixes_of(problem: PlacementProblem, around: Surroundings, limits: Limits) -> tuple[Fix, ...]:
    """The nearest change of each kind, planned again; kinds that do not help are left out. Each kind
    has its own number of questions: a long search for one does not cost another."""
    found = [
        _wait(problem, around, Asker(limits)),
        _uncordon(problem, around, Asker(limits)),
        *_without_bars(problem, around.bars, Asker(limits)),
        _restart(problem, Asker(limits)),
        *_relax(problem, Asker(limits)),
        nodes_to_add(problem, Asker(limits)),
        _resize(problem, Asker(limits)),
        smaller_requests(problem, Asker(limits)),
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


def _restart(problem: PlacementProblem, asker: Asker) -> Fix | None:
    """The gang's own members stopped, and all of it placed anew."""
    running = int(np.count_nonzero(problem.fixed >= 0))
    if not running or not asker.fits(restarted(problem)):
        return None
    change = f"stop the {counted(running, 'member')} of the gang that run and place all of it anew"
    return Fix(change, "evict", {"victims": [problem.gang], "pods": running}, verified=True)


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
    return fixes or _relax_several(problem, asker)


def _relax_several(problem: PlacementProblem, asker: Asker) -> list[Fix]:
    """Required levels of which no single one helps: together they do, and none of them can be spared."""
    stated = [(at, level) for at, rule in enumerate(problem.rules) for level in rule.required]

    def loosened(some: Sequence[tuple[int, str]]) -> PlacementProblem:
        changed = problem
        for at, level in some:
            changed = relaxed(at, level, None)(changed)
        return changed

    if len(stated) < 2 or not asker.fits(loosened(stated)):
        return []
    needed = _spared(stated, lambda some: asker.fits(loosened(some)), asker)
    wishes = [(problem.rules[at], level) for at, level in needed]
    words = " and ".join(
        f"`{rule.scope}={level}`{f' of group {rule.role}' if rule.role else ''}" for rule, level in wishes
    )
    detail = {
        "relaxed": [
            {"scope": rule.scope, "from": level, "to": ""} | ({"group": rule.role} if rule.role else {})
            for rule, level in wishes
        ]
    }
    change = f"{words} as `preferred` in place of `required`"
    return [Fix(change, "relax", detail, verified=True)]


def _relaxation(rule: ScopeRule, level: str, instead: str | None) -> Fix:
    stated = f"`required: {rule.scope}={level}`" + (f" of group {rule.role}" if rule.role else "")
    now = f"`required: {rule.scope}={instead}`" if instead else f"`preferred: {rule.scope}={level}`"
    detail = {"scope": rule.scope, "from": level, "to": instead or ""}
    detail |= {"group": rule.role} if rule.role else {}
    return Fix(f"{now} in place of {stated}", "relax", detail, verified=True)


def _resize(problem: PlacementProblem, asker: Asker) -> Fix | None:
    """The most pods that would fit, whole blocks of ranks only."""
    sizes = _cuts(problem)
    low, high = -1, len(sizes) - 1
    while low < high and asker.left > 0:
        middle = (low + high + 1) // 2
        if asker.fits(only(problem, range(sizes[middle]))):
            low = middle
        else:
            high = middle - 1
    if low < 0 or not asker.fits(only(problem, range(sizes[low]))):
        return None
    change = f"a gang of {counted(sizes[low], 'pod')} would fit now"
    return Fix(change, "resize", {"pods": sizes[low]}, verified=True)


def _cuts(problem: PlacementProblem) -> list[int]:
    """Sizes below the gang's at which its ranks end without cutting a block or losing a member that runs;
    none of a gang of several roles, which needs all of them."""
    if len(np.unique(problem.shape_of)) > 1 or any(rule.role for rule in problem.rules) or problem.apart:
        return []
    whole = np.ones(problem.pods, dtype=np.bool_)  # whether a gang may end behind this rank
    for rule in problem.rules[1:]:
        for block in np.unique(rule.block_of[rule.block_of >= 0]).tolist():
            own = np.flatnonzero(rule.block_of == block)
            whole[own[0] : own[-1]] = False
    running = np.flatnonzero(problem.fixed >= 0)
    whole[: int(running[-1]) + 1 if running.size else 0] = False
    return (np.flatnonzero(whole[:-1]) + 1).tolist()


def listed(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    if len(names) <= 3:
        return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
    return f"{', '.join(names[:2])} and {len(names) - 2} more"
