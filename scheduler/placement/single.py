"""A gang of one pod: every term is a price of its node, so the optimum is the least of a short table.

The same answer as the dynamic program gives, without a tree: levels need not even nest.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from scheduler.placement.problem import (
    NODE,
    Assignment,
    Bool,
    Int32,
    Int64,
    PlacementProblem,
    TermValue,
    frozen,
    slots,
)
from topology.model import Partition

_ALWAYS = re.compile(r"tp_crossings|(pipeline_hops|preferred_(gang|group|pp|tp)|imbalance|domains)_.+|nodes")
_CHARGED = re.compile(r"(broken|left)_(.+)")


@dataclass(frozen=True, slots=True, eq=False)
class _Stack:
    """All levels as one partition of (level, node) pairs, so that one pass sums every domain.

    `rows`: the row of each level; `key`: int64[levels, nodes], the domain counted through all levels;
    `levels`: per level its name and one domain, used and least.
    """

    rows: dict[str, int]
    key: Int64
    levels: tuple[tuple[str, int, int], ...]


def solve_single(problem: PlacementProblem) -> Assignment | None:
    """The proven optimum of a gang of one pod; None when it has several, runs already, has no
    room, or has a term that is not known here."""
    if problem.pods != 1 or problem.fixed[0] >= 0:
        return None
    plan = _plan(problem.terms)
    nodes = np.flatnonzero(slots(problem, int(problem.shape_of[0])))
    if plan is None or not nodes.size:
        return None
    free, whole, stack = _per_domain(problem)
    for what, row in plan:
        if row is not None and len(nodes) > 1:
            price = (whole if what == "broken" else free)[stack.key[stack.rows[row]][nodes]]
            nodes = nodes[price == price.min()]
    node = int(nodes[0])
    asked = int(problem.shapes[int(problem.shape_of[0])].requests[problem.primary])
    terms = []
    for term, (what, row) in zip(problem.terms, plan, strict=True):
        value = 1 if what == "once" else 0
        if row is not None:
            domain = stack.key[stack.rows[row], node]
            value = int(whole[domain]) if what == "broken" else int(free[domain]) - asked
        terms.append(TermValue(term, value, value))
    return Assignment(np.array([node], dtype=np.int32), tuple(terms), "optimal", stack.levels, "tree")


@lru_cache(maxsize=64)
def _plan(terms: tuple[str, ...]) -> tuple[tuple[str, str | None], ...] | None:
    """Per term what is charged and at which level; ("once", None) where one pod always counts one,
    ("never", None) where it counts nothing."""
    found: list[tuple[str, str | None]] = []
    for term in terms:
        name = "broken_" + NODE if term == "nodes_broken" else term
        if charged := _CHARGED.fullmatch(name):
            found.append((charged[1], charged[2]))
        elif _ALWAYS.fullmatch(name):
            found.append(("once" if name == "nodes" or name.startswith("domains_") else "never", None))
        else:
            return None
    return tuple(found)


@lru_cache(maxsize=16)
def _stacked(partitions: tuple[Partition, ...], size: int) -> _Stack:
    """Cached, since a fabric changes seldom."""
    of: list[tuple[str, Int32]] = [(part.name, part.domain_of) for part in partitions]
    of.append((NODE, np.arange(size, dtype=np.int32)))
    keys, start = [], 0
    for _, domain_of in of:
        keys.append(domain_of.astype(np.int64) + start)
        start += int(domain_of.max(initial=-1)) + 1
    key = frozen(np.array(keys), np.int64)
    levels = tuple((name, 1, 1) for name, _ in of)
    return _Stack({name: row for row, (name, _) in enumerate(of)}, key, levels)  # type: ignore[arg-type]


def _per_domain(problem: PlacementProblem) -> tuple[Int64, Bool, _Stack]:
    """Free units of the primary resource on usable nodes per domain, and whether nothing there
    uses any, as `objective.domain_capacity` counts them, for all levels at once."""
    cluster = problem.cluster
    free, usable = cluster.free[problem.primary], cluster.usable
    stack = _stacked(cluster.partitions, cluster.size)
    key, levels = stack.key.ravel(), len(stack.key)
    seen = np.maximum(free, 0)
    if not usable.all():
        seen = np.where(usable, seen, 0)
    busy = np.maximum(cluster.total[problem.primary] - free, 0)
    free_in, busy_in = (np.bincount(key, weights=np.concatenate((row,) * levels)) for row in (seen, busy))
    # Where nothing is busy all there is is free: a domain without any capacity has none free either.
    return free_in.astype(np.int64), (busy_in == 0) & (free_in > 0), stack
