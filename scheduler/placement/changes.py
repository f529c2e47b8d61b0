"""Changes of a problem, and whether it then fits: what explanations are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from scheduler.placement import dp
from scheduler.placement.problem import Blocking, Int64, Limits, PlacementProblem
from scheduler.placement.tree import tree_form

Change = Callable[[PlacementProblem], PlacementProblem]

MOST_SOLVES = 400
"""How often the solver may be asked for one fix."""

MOST_FACTS = 1500
"""How often it may be asked which facts block."""

_MODEL_COSTS = 5
"""Questions that one to the integer model counts for, beside itself."""


@dataclass(frozen=True, slots=True, eq=False)
class Occupant:
    """Something that runs and would free its room: a gang as a whole, or a pod without one.

    `use`: (node index, int64[resources]) of every pod of it.
    """

    kind: str
    name: str
    use: tuple[tuple[int, Int64], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Bars:
    """What keeps pods off nodes until somebody changes pod or node: `reasons`, each of kind taint or
    selector, and `on`: int64[shapes, nodes], a bit per reason that holds there."""

    reasons: tuple[Blocking, ...]
    on: Int64


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the problem does not say: who runs, why nodes are out of use (per node index, for reasons
    that pass: cordoned, not ready), and what else keeps the pods off nodes."""

    occupants: tuple[Occupant, ...] = ()
    unusable: tuple[tuple[int, str], ...] = ()
    bars: Bars | None = None


class Asker:
    """Asks whether a problem can be solved at all, within a number of questions and an amount of work.

    `unsure` once a question ended without an answer: then nothing follows from its "no".
    """

    def __init__(self, limits: Limits, *, most: int = MOST_SOLVES) -> None:
        self._each = replace(limits, deterministic_s=limits.deterministic_s / 20)
        self.left = most
        self.unsure = False

    def fits(self, problem: PlacementProblem) -> bool:
        """True when an assignment is proven to exist. Raises Abandoned when the limits say so."""
        self._each.go_on()
        self.left -= 1
        form = tree_form(problem)
        if form is not None:
            return dp.fits(form, problem.pods)
        from scheduler.placement.model import can_be_placed  # noqa: PLC0415  (loads CP-SAT)

        self.left -= _MODEL_COSTS
        answer = can_be_placed(problem, self._each)
        self.unsure = self.unsure or answer is None
        return answer is True


def without(gone: Sequence[Occupant]) -> Change:
    """A change: these no longer run."""

    def change(problem: PlacementProblem) -> PlacementProblem:
        free = problem.cluster.free.copy()
        uses = [_as_arrays(one) for one in gone if one.use]
        if uses:
            nodes = np.concatenate([own for own, _ in uses])
            vectors = np.concatenate([vector for _, vector in uses])
            for row in np.flatnonzero(vectors.any(axis=0)).tolist():
                back = np.bincount(nodes, weights=vectors[:, row], minlength=problem.cluster.size)
                free[row] += back.astype(np.int64)  # sums of whole numbers, exact up to 2^53
        return replace(problem, cluster=replace(problem.cluster, free=free))

    return change


@lru_cache(maxsize=1 << 14)
def _as_arrays(one: Occupant) -> tuple[Int64, Int64]:
    """int64[pods] nodes and int64[pods, resources] of what an occupant takes; kept, since an explanation
    takes the same occupants away again and again."""
    nodes = np.array([node for node, _ in one.use], dtype=np.int64)
    return nodes, np.stack([vector for _, vector in one.use])


def usable(nodes: Sequence[int]) -> Change:
    """A change: these nodes may be used again by the pods that may ever run there."""

    def change(problem: PlacementProblem) -> PlacementProblem:
        shapes = []
        for shape in problem.shapes:
            eligible = shape.eligible.copy()
            eligible[list(nodes)] = shape.ever[list(nodes)]
            shapes.append(replace(shape, eligible=eligible))
        return replace(problem, shapes=tuple(shapes))

    return change


def unbarred(bars: Bars, lifted: Sequence[int]) -> Change:
    """A change: these reasons hold nowhere; where none is left and the node is in use, pods may run."""

    def change(problem: PlacementProblem) -> PlacementProblem:
        gone = sum(1 << at for at in lifted)
        shapes = []
        for shape, on in zip(problem.shapes, bars.on, strict=True):
            opened = (on != 0) & ((on & ~gone) == 0)
            eligible = shape.eligible | (opened & problem.cluster.usable)
            shapes.append(replace(shape, eligible=eligible, ever=shape.ever | opened))
        return replace(problem, shapes=tuple(shapes))

    return change


def relaxed(at: int, level: str, instead: str | None) -> Change:
    """A change: a rule requires another level, or none, in place of this one."""

    def change(problem: PlacementProblem) -> PlacementProblem:
        rule = problem.rules[at]
        required = tuple(
            other for one in rule.required if (other := instead if one == level else one) is not None
        )
        rules = (*problem.rules[:at], replace(rule, required=required), *problem.rules[at + 1 :])
        return replace(problem, rules=rules)

    return change


def together(at: int) -> Change:
    """A change: the parties of an apart rule may share domains."""

    def change(problem: PlacementProblem) -> PlacementProblem:
        free = replace(problem.apart[at], lone=np.zeros_like(problem.apart[at].lone))
        return replace(problem, apart=(*problem.apart[:at], free, *problem.apart[at + 1 :]))

    return change
