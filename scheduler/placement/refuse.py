"""Why a gang in tree form does not fit: the block that fails, at which level, and the best there is."""

from __future__ import annotations

import numpy as np

from scheduler.model import Code
from scheduler.placement.dp import fits
from scheduler.placement.problem import Blocking, PlacementProblem, Rejection
from scheduler.placement.runs import summed
from scheduler.placement.shortage import scarcest, too_large
from scheduler.placement.tree import TreeForm, owners, tree_form
from scheduler.quantity import shown
from scheduler.texts import counted

SCOPE_WORDS = {
    "gang": "the gang",
    "part": "a part of the gang",
    "group": "a group",
    "ep": "an expert-parallel group",
    "pp": "a pipeline",
    "tp": "a tensor-parallel group",
}


def refuse(problem: PlacementProblem, form: TreeForm) -> Rejection | None:
    """The rejection of a gang that does not fit now; on empty nodes it may or may not. None where levels nest
    only over the nodes that have room now: what the empty ones could hold is not a question of a tree."""
    if not problem.shapes[int(problem.shape_of[0])].ever.any():
        return no_node(problem)
    empty = tree_form(problem, ever=True)
    if empty is None:
        return None
    large = None if empty.room.any() else too_large(problem)
    if large is not None:
        return large
    possible = fits(empty, problem.pods)
    judged = form if possible else empty
    for scope, (size, bound) in reversed(problem_blocks(judged)):
        best = _best(judged, scope, size, bound)
        if best < size:
            return _too_small(problem, judged, scope, best=best, possible=possible)
    return _too_few(problem, judged, possible=possible)


def problem_blocks(form: TreeForm) -> list[tuple[str, tuple[int, int]]]:
    """The scopes that are bound to a level, from the gang to the smallest block."""
    return [(scope, block) for scope, block in form.blocks.items() if block[1] >= 0]


def _best(form: TreeForm, scope: str, size: int, bound: int) -> int:
    """The most pods of one block that any domain of its level could take."""
    inner = [
        block[0]
        for name, block in form.blocks.items()
        if name != scope and block[0] < size and block[1] >= bound
    ]
    step = max(inner, default=1)
    if bound == len(form.levels) - 1:
        return int(form.room.max(initial=0))
    below = form.levels[bound + 1]
    unit = form.step[bound + 1]
    loose = form.capacity[bound + 1] if unit < size else form.room_at(bound + 1)
    total = summed(loose, *owners(below, form.levels[bound]))
    return int(total.max(initial=0)) // step * step


def no_node(problem: PlacementProblem) -> Rejection:
    facts = tuple(
        Blocking("selector", reason, f"{counted(count, 'node')}: {reason}")
        for reason, count in problem.excluded
    )
    message = f"no node may run {_homeless(problem)}: {'; '.join(fact.fact for fact in facts[:3])}"
    if not problem.cluster.size:
        message = "the cluster has no nodes"
    return Rejection(
        Code.NO_NODE_MATCHES, message, possible=False, level="node", needed=problem.pods, blocking=facts
    )


def _homeless(problem: PlacementProblem) -> str:
    """The pods of the first shape that may run nowhere, by the name of their group where all are in one."""
    shape = next((at for at, one in enumerate(problem.shapes) if not one.ever.any()), 0)
    own = np.flatnonzero(problem.shape_of == shape)
    for rule in problem.rules:
        blocks = np.unique(rule.block_of[own])
        if rule.names and blocks.size == 1 and blocks[0] >= 0:
            return f"the pods of group {rule.names[blocks[0]]}"
    return "these pods"


def _too_small(
    problem: PlacementProblem, form: TreeForm, scope: str, *, best: int, possible: bool
) -> Rejection:
    size, bound = form.blocks[scope]
    level = next((name for rule in problem.rules if rule.scope == scope for name in rule.required), None)
    level = level or form.levels[bound].names[0]
    code = Code.NO_DOMAIN_FITS if possible else Code.TOO_LARGE_FOR_LEVEL
    what, when = SCOPE_WORDS[scope], "now" if possible else "even when empty"
    message = (
        f"{what} needs {counted(size, 'pod')} in one {level}; the best {level} has room for {best} {when}"
    )
    if not possible and scope == "tp":
        message += _wider(form, size, bound)
    facts = (Blocking("constraint", f"{scope}={level}", f"{what} must stay inside one {level}"),)
    return Rejection(
        code,
        message,
        possible,
        level=level,
        needed=size,
        best=best,
        blocking=(*facts, *lost_nodes(problem, possible=possible)),
    )


def _wider(form: TreeForm, size: int, bound: int) -> str:
    """The nearest coarser level that could hold the block, as advice."""
    for level in range(bound - 1, -1, -1):
        if int(form.room_at(level).max(initial=0)) >= size:
            name = form.levels[level].names[-1]
            return f"; `required: tp={name}` would fit"
    return ""


def lacking(problem: PlacementProblem, *, possible: bool) -> tuple[Code, str]:
    """What the cluster as a whole lacks: size, capacity that is free, or only free capacity in one
    place; and words for the resource that is scarcest."""
    if not possible:
        return Code.CLUSTER_TOO_SMALL, ""
    row, wanted, free = scarcest(problem)
    if row < 0:
        return Code.NOT_ENOUGH_CAPACITY, ""
    unit = problem.cluster.resources[row]
    words = f"{shown(unit, wanted)} {unit} asked and {shown(unit, free)} free in all"
    if free < wanted:
        return Code.NOT_ENOUGH_CAPACITY, f" ({words})"
    return Code.FRAGMENTED, f" ({words}, but scattered)"


def _too_few(problem: PlacementProblem, form: TreeForm, *, possible: bool) -> Rejection:
    best = int(form.capacity[0].sum())
    code, scattered = lacking(problem, possible=possible)
    when = "now" if possible else "even when empty"
    message = (
        f"the gang needs room for {counted(problem.pods, 'pod')}; the cluster has room for {best} {when}"
    )
    bound = problem_blocks(form)
    if bound:
        message += ", counting only whole " + " and ".join(
            f"{SCOPE_WORDS[scope].split(' ', 1)[1]}s per {form.levels[block[1]].names[0]}"
            for scope, block in bound
        )
    message += scattered
    resource = problem.cluster.resources[problem.primary]
    facts = (Blocking("resource", resource, f"{counted(problem.pods, 'pod')} needed, room for {best}"),)
    return Rejection(
        code,
        message,
        possible,
        level="cluster",
        needed=problem.pods,
        best=best,
        blocking=(*facts, *lost_nodes(problem, possible=possible)),
    )


def lost_nodes(problem: PlacementProblem, *, possible: bool) -> tuple[Blocking, ...]:
    """Nodes that are out for a reason that could change."""
    if not possible:
        return ()
    kinds = {"cordoned": "node", "not ready": "node"}
    return tuple(
        Blocking(kinds.get(reason, "taint"), reason, f"{counted(count, 'node')}: {reason}")
        for reason, count in problem.excluded
    )
