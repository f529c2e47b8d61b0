"""A batch on nested levels in whole units: what the model of flows needs to know of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import gcd

import numpy as np

from scheduler.placement.contests import Kind, View, views_of
from scheduler.placement.problem import Int32, Int64
from scheduler.placement.tree import TreeForm, TreeLevel


@dataclass(frozen=True, slots=True, eq=False)
class Nest:
    """Nested levels, coarse to fine, with their room in units.

    `levels`: as the tree has them; `room`: int64[domains] of units per level; `inside`: per level and
    domain around (level 0: domain 0) the domains with room; `sizes`: per kind a gang's units; `steps`:
    per kind and level the multiples that it may be cut into, 0 where it stays whole; `times`: per kind
    the slots that a pod takes; `free`: int64[nodes], slots; `unit`: slots of a unit; `block`: slots that
    stay on one node together; `nodes`: the nodes that a unit uses where that is always so, and then the
    level of nodes is left out, else 0; `mixed`: unlike pods may meet on a node.
    """

    levels: tuple[TreeLevel, ...]
    room: tuple[Int64, ...]
    inside: tuple[dict[int, list[int]], ...]
    sizes: tuple[int, ...]
    steps: tuple[tuple[int, ...], ...]
    times: tuple[int, ...]
    free: Int64
    unit: int
    block: int
    nodes: int
    mixed: bool

    @property
    def domain_of(self) -> Int32:
        """int32[nodes]: the domain of the finest level that every node is in."""
        return self.levels[-1].domain_of


def nested(kinds: Sequence[Kind], counted: Iterable[str]) -> Nest | None:
    """The nest of a batch whose pods are multiples of one shape, in the levels down to the finest that is
    counted or that some block must stay in; None where the batch is not of this form."""
    forms = [kind.form for kind in kinds if kind.form is not None]
    if len(forms) < len(kinds) or any((kind.problem.stage_of > 0).any() for kind in kinds):
        return None
    if any(rule.preferred and rule.scope != "gang" for kind in kinds for rule in kind.problem.rules):
        return None  # what is preferred for smaller blocks, pieces of gangs do not tell
    if any(form.levels != forms[0].levels for form in forms):
        return None
    view = next((view for view in views_of(kinds) if _exact(view, kinds)), None)
    if view is None or any((level.domain_of < 0).any() for level in forms[0].levels):
        return None
    return _in_units(kinds, forms, view, [forms[0].position(level) for level in counted])


def _exact(view: View, kinds: Sequence[Kind]) -> bool:
    """Whether the pods of every gang are so many of the view's shape and nothing else."""
    for kind, takes in zip(kinds, view.takes, strict=True):
        own = kind.problem.shapes[int(kind.problem.shape_of[0])]
        times = int(takes[0])
        if not times or (own.requests != times * view.shape.requests).any():
            return False
        if (own.eligible != view.shape.eligible).any():
            return False
    return True


def _in_units(
    kinds: Sequence[Kind], forms: Sequence[TreeForm], view: View, counted: Sequence[int]
) -> Nest | None:
    times = tuple(int(one[0]) for one in view.takes)
    steps = [tuple(step * many for step in form.step) for form, many in zip(forms, times, strict=True)]
    last, blocks = len(forms[0].levels) - 1, {own[-1] for own in steps}
    # A block that must stay in a domain is cut no further than there; unlike blocks share nodes one by one.
    deepest = last if len(blocks) > 1 else max([last - 1, *counted])
    if deepest < 0:
        return None
    block = 1 if deepest == last else blocks.pop()
    unit = gcd(*(step for own in steps for step in own[: deepest + 1]))
    levels = forms[0].levels[: deepest + 1]
    room = _rooms(levels, view.slots // block * block, unit)
    small = all(own[-1] == unit for own in steps) and int(room[-1].max(initial=0)) <= 1
    alone = unit if deepest == last > 0 and small else 0
    if alone:  # every unit is a node of its own: levels above may have larger ones
        levels, block = levels[:-1], alone
        unit = gcd(*(step for own in steps for step in own[: len(levels)]))
        room = _rooms(levels, view.slots // block * block, unit)
    sizes = tuple(kind.problem.pods * many for kind, many in zip(kinds, times, strict=True))
    return Nest(
        levels,
        tuple(room),
        tuple(_inside(levels, room, at) for at in range(len(levels))),
        tuple(size // unit for size in sizes),
        tuple(
            tuple(0 if step >= size else step // unit for step in own[: len(levels)])
            for own, size in zip(steps, sizes, strict=True)
        ),
        times,
        view.slots,
        unit,
        block,
        unit // alone if alone else 0,
        len(blocks) > 1,
    )


def _rooms(levels: Sequence[TreeLevel], slots: Int64, unit: int) -> list[Int64]:
    """Units per domain, level by level: what does not fit into the domains inside one is no room."""
    finest = levels[-1]
    room = [np.bincount(finest.domain_of, weights=slots, minlength=finest.domains).astype(np.int64) // unit]
    for fine, coarse in zip(reversed(levels[1:]), reversed(levels[:-1]), strict=True):
        inner = np.bincount(coarse.domain_of[fine.first], weights=room[0], minlength=coarse.domains)
        room.insert(0, inner.astype(np.int64))
    return room


def _inside(levels: Sequence[TreeLevel], room: Sequence[Int64], at: int) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    around = levels[at - 1].domain_of[levels[at].first] if at else np.zeros(levels[0].domains, dtype=np.int32)
    for domain in np.flatnonzero(room[at]).tolist():
        found.setdefault(int(around[domain]), []).append(domain)
    return found
