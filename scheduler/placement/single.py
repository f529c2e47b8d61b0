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
    Int64,
    PlacementProblem,
    TermValue,
    frozen,
    slots,
)
from scheduler.placement.spent import TERM as SPENT
from scheduler.placement.spent import spent
from topology.model import Partition

_ALWAYS = re.compile(
    r"tp_crossings|nodes|(domains|pipeline_hops|preferred_(gang|part|group|ep|pp|tp|batch)|imbalance)_.+|"
    r"(replica_domains|replicas_sharing)_.+"
)
_CHARGED = re.compile(r"(broken|left)_(.+)")


_Plan = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Stack:
    """All levels as one partition of (level, node) pairs, so that one pass sums every domain.

    `rows`: the row of each level; `key`: int64[rows, nodes], the domain counted through all rows;
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
    cluster, shape = problem.cluster, int(problem.shape_of[0])
    stack = _stacked(cluster.partitions, cluster.size)
    plan = _plan(problem.terms, stack)
    nodes = slots(problem, shape).nonzero()[0]
    if plan is None or not nodes.size:
        return None
    free, whole = _per_domain(problem, stack)
    prices: dict[str, Int64 | Bool] = {"left": free, "broken": whole}
    if SPENT in problem.terms:
        prices["spent"] = spent(problem)
    node = _cheapest(_charges(plan), nodes, prices, stack)
    own = stack.key[:, node]
    asked = int(problem.shapes[shape].requests[problem.primary])
    values = {
        "left": [left - asked for left in free[own].tolist()],
        "broken": [int(one) for one in whole[own].tolist()],
        "once": [1],
        "never": [0],
    }
    if "spent" in prices:
        values["spent"] = [int(prices["spent"][node])]
    terms = tuple(
        _term(name, values[what][row]) for name, (what, row) in zip(problem.terms, plan, strict=True)
    )
    return Assignment(np.array([node], dtype=np.int32), terms, "optimal", stack.levels, "tree")


def _cheapest(charges: _Plan, nodes: Int64, prices: dict[str, Int64 | Bool], stack: _Stack) -> int:
    """The first node of those that are cheapest in the first charge, of them in the second, and so on."""
    for what, row in charges:
        if len(nodes) == 1:
            break
        price = prices[what][stack.key[row, nodes]]
        nodes = nodes[price == price.min()]
    return int(nodes[0])


@lru_cache(maxsize=64)
def _charges(plan: _Plan) -> _Plan:
    """What of a plan can tell nodes apart, each once."""
    return tuple(dict.fromkeys(step for step in plan if step[0] in ("left", "broken", "spent")))


@lru_cache(maxsize=64)
def _plan(terms: tuple[str, ...], stack: _Stack) -> _Plan | None:
    """Per term what is charged and at which row of the stack; `once` where one pod always counts one,
    `never` where it counts nothing."""
    found: list[tuple[str, int]] = []
    for term in terms:
        name = "broken_" + NODE if term == "nodes_broken" else term
        if name == SPENT:
            found.append(("spent", stack.rows[NODE]))
            continue
        if charged := _CHARGED.fullmatch(name):
            found.append((charged[1], stack.rows[charged[2]]))
        elif _ALWAYS.fullmatch(name):
            found.append(("once" if name == "nodes" or name.startswith("domains_") else "never", 0))
        else:
            return None
    return tuple(found)


@lru_cache(maxsize=1 << 14)
def _term(name: str, value: int) -> TermValue:
    return TermValue(name, value, value)


@lru_cache(maxsize=16)
def _stacked(partitions: tuple[Partition, ...], size: int) -> _Stack:
    """Cached, since a fabric changes seldom. Levels at which every node is its own domain share a row."""
    nodes = np.arange(size, dtype=np.int32)
    rows: dict[str, int] = {}
    keys: list[Int64] = []
    start = 0
    for name, domain_of in [(NODE, nodes), *((part.name, part.domain_of) for part in partitions)]:
        if np.array_equal(domain_of, nodes) and keys:
            rows[name] = 0
            continue
        rows[name] = len(keys)
        keys.append(domain_of.astype(np.int64) + start)
        start += int(domain_of.max(initial=-1)) + 1
    levels = tuple((name, 1, 1) for name in (*(part.name for part in partitions), NODE))
    return _Stack(rows, frozen(np.array(keys), np.int64), levels)  # type: ignore[arg-type]  # int64 by the argument


def _per_domain(problem: PlacementProblem, stack: _Stack) -> tuple[Int64, Bool]:
    """Free units of the primary resource on usable nodes per domain, and whether nothing there
    uses any, as `objective.domain_capacity` counts them, for all levels at once."""
    cluster = problem.cluster
    free = cluster.free[problem.primary]
    seen = np.maximum(free, 0)
    if not cluster.usable.all():
        seen = np.where(cluster.usable, seen, 0)
    busy = np.maximum(cluster.total[problem.primary] - free, 0)
    key, levels = stack.key.ravel(), len(stack.key)
    free_in, busy_in = (np.bincount(key, weights=np.concatenate((row,) * levels)) for row in (seen, busy))
    # Where nothing is busy all there is is free: a domain without any capacity has none free either.
    return free_in.astype(np.int64), (busy_in == 0) & (free_in > 0)
