"""A batch on nested levels, its pods multiples of one shape, as one model of flows: exact, and small.

Gangs are cut over the domains of the coarsest level, in each of them over those of the next, and in the
finest over its domains by how much room they have (cuts). Which gang a piece belongs to is settled
afterwards: pieces of one size are all alike. Two pieces of one gang in one domain count twice in the
model and once in truth; no optimum has such, so its optimum is the batch's.
"""

from __future__ import annotations

from collections.abc import Mapping

from scheduler.placement.descent import descended
from scheduler.placement.flows import Whole
from scheduler.placement.hints import hints
from scheduler.placement.nesting import Nest
from scheduler.placement.problem import Int32, Limits
from scheduler.placement.rivals import Stakes, settled
from scheduler.placement.search import Search
from scheduler.placement.seats import Shares


def best_together(stakes: Stakes, nest: Nest, *, limits: Limits, shown: Mapping[int, Int32]) -> Shares | None:
    """The best that the gangs of a nest can have together; None where the batch is too large, or nothing
    was found in time. `shown`: an answer to start from, int32[pods] per gang."""
    whole = Whole(stakes, nest)
    if not whole.built():
        return None
    search = Search(stakes.model, limits.deterministic_s)
    if not search.feasible(hints(whole, shown) if shown else {}):
        return None
    values, bounds = settled(stakes, search, whole.used)
    return _shares(stakes, nest, whole.slots(search), (values, bounds))


def good_together(stakes: Stakes, nest: Nest, *, limits: Limits) -> Shares | None:
    """Something good that they can have, divided level by level; None where that leads nowhere."""
    slots = descended(stakes, nest, limit_s=limits.deterministic_s)
    return _shares(stakes, nest, slots, ((), ())) if slots is not None else None


def _shares(
    stakes: Stakes,
    nest: Nest,
    slots: dict[int, dict[int, int]],
    proof: tuple[tuple[int, ...], tuple[int, ...]],
) -> Shares:
    times = {gang: many for kind, many in zip(stakes.kinds, nest.times, strict=True) for gang in kind.gangs}
    return Shares(slots, nest.domain_of, nest.free, nest.block, times, *proof)
