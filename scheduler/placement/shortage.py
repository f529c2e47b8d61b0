"""Which resources the nodes have too little of, whoever runs there and whatever is required of the place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from scheduler.model import Code
from scheduler.placement.changes import Asker
from scheduler.placement.problem import (
    Blocking,
    Bool,
    Fix,
    Int64,
    PlacementProblem,
    Rejection,
    allowed,
    asked,
    slots,
)
from scheduler.quantity import shown
from scheduler.texts import counted

PLAIN = ("cpu", "memory", "ephemeral-storage")
"""Resources that a pod may have less of and do the same work."""


def too_large(problem: PlacementProblem) -> Rejection | None:
    """The refusal of a gang with a pod that asks for more than any node that may run it has when empty."""
    for shape in _new_shapes(problem):
        if problem.shapes[shape].ever.any() and not slots(problem, shape, ever=True).any():
            facts = _of_one_pod(problem, shape)
            message = f"no node is large enough for {_pod(problem, shape)}: it " + " and ".join(
                fact.fact.removeprefix("a pod ") for fact in facts
            )
            return Rejection(
                Code.NO_NODE_MATCHES,
                message,
                possible=False,
                level="node",
                needed=problem.pods,
                blocking=facts,
            )
    return None


def short_of(problem: PlacementProblem, asker: Asker) -> tuple[Blocking, ...]:
    """Resources that block together and of which none can be spared; of a problem with nothing else in the
    way, that does not fit."""
    for shape in _new_shapes(problem):
        if not slots(problem, shape, ever=True).any():
            return _of_one_pod(problem, shape)
    needed = _irreducible(
        _asked_for(problem), lambda rows: not asker.fits(_asking(problem, rows)) and asker.left > 0
    )
    return tuple(_of_all(problem, row) for row in needed)


def scarcest(problem: PlacementProblem) -> tuple[int, int, int]:
    """The resource (its row, what is asked and what is free in all) of which least is free for what is asked;
    where enough of each is free, the one that holds the fewest of the pods. Row -1: nothing is asked."""
    nodes, wanted = allowed(problem), asked(problem)
    rows = _asked_for(problem)
    if not rows:
        return -1, 0, 0
    total = {row: int(np.maximum(problem.cluster.free[row], 0)[nodes].sum()) for row in rows}
    row = min(rows, key=lambda one: total[one] / wanted[one])
    if total[row] >= wanted[row]:
        row = min(rows, key=lambda one: _held(problem, one))
    return row, int(wanted[row]), int(total[row])


def _held(problem: PlacementProblem, row: int) -> float:
    """The least share of the pods of any shape that find room, if only this resource counted."""
    shares = []
    for shape in _new_shapes(problem):
        demand = problem.shapes[shape]
        pods = int(np.count_nonzero((problem.shape_of == shape) & (problem.fixed < 0)))
        if demand.requests[row]:
            room = np.maximum(problem.cluster.free[row], 0)[demand.eligible] // demand.requests[row]
            shares.append(float(room.sum()) / pods)
    return min(shares)


def smaller_requests(problem: PlacementProblem, asker: Asker) -> Fix | None:
    """The most that the pods of one shape, which is too large for every node, could ask for instead."""
    large = [at for at in _new_shapes(problem) if not slots(problem, at, ever=True).any()]
    if len(large) != 1:
        return None
    (shape,) = large
    offers = _offers(problem, shape)
    low, high = 0, len(offers) - 1
    while low < high and asker.left > 0:
        middle = (low + high) // 2
        if asker.fits(_asking_less(problem, shape, offers[middle])):
            high = middle
        else:
            low = middle + 1
    if not offers or not asker.fits(_asking_less(problem, shape, offers[high])):
        return None
    now = problem.shapes[shape].requests
    changed = np.flatnonzero(offers[high] < now).tolist()
    names = problem.cluster.resources
    to = {names[row]: shown(names[row], int(offers[high][row])) for row in changed}
    was = {names[row]: shown(names[row], int(now[row])) for row in changed}
    words = " and ".join(f"{to[name]} {name} (now {was[name]})" for name in to)
    change = f"let {_pod(problem, shape)} ask for at most {words}"
    return Fix(change, "resize", {"requests": to, "from": was}, verified=True)


def _pod(problem: PlacementProblem, shape: int) -> str:
    """A pod of a shape, by the name of its group where all of them are in one."""
    own = np.flatnonzero(problem.shape_of == shape)
    for rule in problem.rules:
        blocks = np.unique(rule.block_of[own])
        if rule.names and blocks.size == 1 and blocks[0] >= 0:
            return f"a pod of group {rule.names[blocks[0]]}"
    return "a pod"


def _irreducible(rows: Sequence[int], blocked: Callable[[Sequence[int]], bool]) -> list[int]:
    """Of resources that block together those that are needed, the last ones spared first."""
    needed = list(rows)
    for row in reversed(rows):
        rest = [one for one in needed if one != row]
        if rest and blocked(rest):
            needed = rest
    return needed


def _of_all(problem: PlacementProblem, row: int) -> Blocking:
    """One resource, as all pods and all nodes have it."""
    name = problem.cluster.resources[row]
    asked = sum(int(problem.shapes[shape].requests[row]) for shape in problem.shape_of.tolist())
    total = int(problem.cluster.total[row].sum())
    fact = f"{shown(name, asked)} {name} asked; all nodes together have {shown(name, total)}"
    if asked <= total:
        fact += ", but no arrangement of the pods on the nodes that may run them holds all"
    return Blocking("resource", name, fact)


def _new_shapes(problem: PlacementProblem) -> list[int]:
    return [int(shape) for shape in np.unique(problem.shape_of[problem.fixed < 0])]


def _asked_for(problem: PlacementProblem) -> list[int]:
    """Rows of the resources that some new pod asks for, the one that counts as capacity first."""
    asked = np.any([problem.shapes[shape].requests > 0 for shape in _new_shapes(problem)], axis=0)
    return sorted(np.flatnonzero(asked).tolist(), key=lambda row: row != problem.primary)


def _asking(problem: PlacementProblem, rows: Sequence[int]) -> PlacementProblem:
    """The problem with pods that ask for these resources only."""
    kept = np.zeros(len(problem.cluster.resources), dtype=np.bool_)
    kept[list(rows)] = True
    shapes = tuple(replace(one, requests=np.where(kept, one.requests, 0)) for one in problem.shapes)
    return replace(problem, shapes=shapes)


def _asking_less(problem: PlacementProblem, shape: int, requests: Int64) -> PlacementProblem:
    shapes = list(problem.shapes)
    shapes[shape] = replace(shapes[shape], requests=requests)
    return replace(problem, shapes=tuple(shapes))


def _offers(problem: PlacementProblem, shape: int) -> list[Int64]:
    """What the pods of a shape could ask for instead, the most first: what is too much for every node cut
    to what the best node has free, to what the best two have, and so on."""
    demand = problem.shapes[shape]
    nodes = np.flatnonzero(demand.eligible)
    free = problem.cluster.free[:, nodes]
    over = (demand.requests > 0) & (problem.cluster.total[:, nodes].max(axis=1, initial=0) < demand.requests)
    rest = ~over & (demand.requests > 0)
    holds = np.all(free[rest] >= demand.requests[rest, None], axis=0) & np.all(free[over] > 0, axis=0)
    free = free[:, holds]
    gpus = over[problem.primary] and problem.cluster.resources[problem.primary] not in PLAIN
    if gpus or not over.any() or not free.size:  # fewer GPUs per pod would be another gang
        return []
    share = (free[over] / demand.requests[over, None]).min(axis=0)
    order = np.argsort(-share, kind="stable")
    least = np.minimum.accumulate(free[over][:, order], axis=1)
    offers = []
    for column in np.unique(least, axis=1).T[::-1]:
        requests = demand.requests.copy()
        requests[over] = column
        offers.append(requests)
    return offers


def _of_one_pod(problem: PlacementProblem, shape: int) -> tuple[Blocking, ...]:
    """Why a pod fits no node: a resource of which none has enough, else several that none has at once."""
    demand, total = problem.shapes[shape], problem.cluster.total
    nodes = demand.ever if demand.ever.any() else np.ones(problem.cluster.size, dtype=np.bool_)
    rows = np.flatnonzero(demand.requests > 0).tolist()
    enough: dict[int, Bool] = {row: nodes & (total[row] >= demand.requests[row]) for row in rows}
    names = problem.cluster.resources
    most = {row: int(total[row][nodes].max(initial=0)) for row in rows}
    alone = sorted(
        (row for row in rows if not enough[row].any()), key=lambda row: most[row] / int(demand.requests[row])
    )
    told = []
    needed = alone[:1] or _irreducible(
        rows, lambda some: not np.all([enough[row] for row in some], axis=0).any()
    )
    for row in needed:
        wanted, have = shown(names[row], int(demand.requests[row])), shown(names[row], most[row])
        fact = f"a pod asks for {wanted} {names[row]}, and no node that may run it has more than {have}"
        if not alone:
            count = int(enough[row].sum())
            others = " and ".join(names[other] for other in needed if other != row)
            fact = (
                f"a pod asks for {wanted} {names[row]}; {counted(count, 'node')} with that lack the {others}"
            )
        told.append(Blocking("resource", names[row], fact))
    return tuple(told)
