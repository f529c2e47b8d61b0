"""What a solved tree proves of every term."""

from __future__ import annotations

from scheduler.placement.costs import Costs, TreeTerm
from scheduler.placement.problem import Int64


def bounds_of(
    terms: tuple[TreeTerm, ...],
    costs: Costs,
    cost: Int64,
    *,
    level: int,
    spread: int,
    asked: int,
) -> dict[str, int]:
    """The proven least of every term that the tables carry; `asked`: primary capacity of the gang."""
    bounds: dict[str, int] = {}
    for term in terms:
        digit = costs.value(cost, term.name)
        if term.kind == "balance":
            bounds[term.name] = spread if term.level > level else 0
        elif term.kind == "known":
            bounds[term.name] = 0
        elif digit is not None:
            bounds[term.name] = _reading(term, digit, asked)
    return bounds


def _reading(term: TreeTerm, digit: int, asked: int) -> int:
    """A digit in the term's own measure."""
    if term.kind == "split":
        return -(-digit // term.block)
    if term.kind == "count" and term.name.startswith(("preferred_", "pipeline_hops_")):
        return digit - 1
    return digit - asked if term.name.startswith("left_") else digit
