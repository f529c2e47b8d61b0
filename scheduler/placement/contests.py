"""What the gangs of a batch compete for: room in domains, in units that every one of them takes.

A view counts room in slots of one pod shape on the nodes where that shape may run. Every other gang
whose pods take at least so many slots there competes in it: what a pod takes of every resource, it
takes of the slots. So a view leaves out some of what must hold and nothing else, and what is best in it
is a bound, whatever mixture of shapes, selectors and resources the batch is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd

import numpy as np

from scheduler.placement.floors import Floor
from scheduler.placement.problem import NODE, Int64, PlacementProblem, ShapeDemand
from scheduler.placement.tree import TreeForm

MOST_VIEWS = 6
"""So many shapes are looked at; of more, the ones that most gangs compete in."""


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """Gangs of a batch that ask for the same: their numbers in it, and what each takes of the primary
    resource."""

    gangs: tuple[int, ...]
    problem: PlacementProblem
    amount: int
    floor: Floor

    @property
    def form(self) -> TreeForm | None:
        """The problem as a tree, if it is one."""
        return self.floor.form

    def weight(self, name: str) -> int:
        """How often a domain that one such gang uses counts in a term."""
        if name not in self.problem.terms:
            return 0
        if name.startswith("domains_"):
            return 1
        level = name.removeprefix("preferred_gang_")
        return sum(rule.scope == "gang" and level in rule.preferred for rule in self.problem.rules)

    def step(self, level: str) -> int:
        """Pods that lie in a domain of a level are multiples of this."""
        return self.form.step[self.form.position(level)] if self.form is not None else 1


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """Room in slots of one `shape`: int64[nodes], and per kind the slots that each of its pods takes
    (int64[pods]; 0: none that are sure)."""

    shape: ShapeDemand
    slots: Int64
    takes: tuple[Int64, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Per kind the slots that all pods of one gang take."""
        return tuple(int(one.sum()) for one in self.takes)


@dataclass(frozen=True, slots=True, eq=False)
class Contest:
    """The domains of a level as rivals see it, in whole numbers without a common divisor.

    `room`: size of domains, and how many have it; `sizes`: what one gang of each kind needs (0: it does
    not compete); `steps`: in multiples of what it may be divided, 0 for not at all.
    """

    level: str
    room: dict[int, int]
    sizes: tuple[int, ...]
    steps: tuple[int, ...]


def views_of(kinds: Sequence[Kind]) -> list[View]:
    """One view per shape that is asked for, of those in which most gangs compete first."""
    shapes: dict[tuple[bytes, bytes], ShapeDemand] = {}
    for kind in kinds:
        for at in np.unique(kind.problem.shape_of).tolist():
            shape = kind.problem.shapes[at]
            shapes.setdefault((shape.requests.tobytes(), shape.eligible.tobytes()), shape)
    found = [view for shape in shapes.values() if (view := _view(kinds, shape)) is not None]
    rivals = [-sum(len(k.gangs) for k, size in zip(kinds, one.sizes, strict=True) if size) for one in found]
    return [found[at] for at in np.argsort(rivals, kind="stable").tolist()[:MOST_VIEWS]]


def _view(kinds: Sequence[Kind], shape: ShapeDemand) -> View | None:
    asked = np.flatnonzero(shape.requests)
    if not asked.size:
        return None
    cluster = kinds[0].problem.cluster
    if any(kind.problem.cluster.resources != cluster.resources for kind in kinds):
        return None
    room = np.min([cluster.free[row] // shape.requests[row] for row in asked.tolist()], axis=0)
    return View(
        shape,
        np.where(shape.eligible, np.maximum(room, 0), 0),
        tuple(_takes(kind.problem, shape, asked) for kind in kinds),
    )


def _takes(problem: PlacementProblem, shape: ShapeDemand, asked: Int64) -> Int64:
    """int64[pods]: slots of a shape that each pod that does not run yet takes for sure."""
    each = np.array(
        [
            int((one.requests[asked] // shape.requests[asked]).min())
            if not (one.eligible & ~shape.eligible).any()
            else 0
            for one in problem.shapes
        ],
        dtype=np.int64,
    )
    return np.where(problem.fixed < 0, each[problem.shape_of], 0)


def contest(kinds: Sequence[Kind], view: View, level: str) -> Contest | None:
    """The contest for the domains of a level in a view; None where nobody needs any."""
    sizes = view.sizes
    if not any(sizes):
        return None
    steps = tuple(_step(kind, takes, level) for kind, takes in zip(kinds, view.takes, strict=True))
    unit = gcd(*steps)
    room = room_of(kinds, view, level) // unit
    whole = sum(size * len(kind.gangs) for size, kind in zip(sizes, kinds, strict=True)) // unit
    counted = Counter(np.minimum(room[room > 0], whole).tolist())
    return Contest(
        level,
        dict(sorted(counted.items())),
        tuple(size // unit for size in sizes),
        tuple(0 if size <= step else step // unit for size, step in zip(sizes, steps, strict=True)),
    )


def room_of(kinds: Sequence[Kind], view: View, level: str) -> Int64:
    """int64[domains]: slots of a view in every domain of a level, whole blocks of every node only."""
    block = gcd(*(_step(kind, takes, NODE) for kind, takes in zip(kinds, view.takes, strict=True)))
    whole = view.slots // block * block
    return np.bincount(kinds[0].problem.cluster.domain_of(level), weights=whole).astype(np.int64)


def _step(kind: Kind, takes: Int64, level: str) -> int:
    """Slots that a gang takes in a domain are multiples of this; 0 for a gang that takes none."""
    if kind.form is None:
        return gcd(*np.unique(takes).tolist())
    return kind.step(level) * int(takes[0])
