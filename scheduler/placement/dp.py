"""The exact dynamic program over a tree of domains: the lexicographic optimum, proven.

1. The leading terms leave a few candidates (prune).
2. Under each, tables fold from the nodes up (tables).
3. The best candidate wins; equal ones by name.
4. If a balance is asked, the least spread of pods per domain that keeps every
   earlier term is found by solving again inside windows of allowed counts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from scheduler.placement.bounds import bounds_of
from scheduler.placement.costs import INFEASIBLE, Costs, TreeTerm, pack
from scheduler.placement.problem import Bool, Int64, PlacementProblem
from scheduler.placement.prune import Candidates, ancestors, candidates
from scheduler.placement.shelves import shelves
from scheduler.placement.tables import Atoms, Table, atoms, fingerprint, fold
from scheduler.placement.tree import TreeForm

WINDOW_SOLVES = 48
"""How many windows may be tried for the balance term before it is left with a gap."""


@dataclass(frozen=True, slots=True, eq=False)
class TreeSolution:
    """Pods per node, int64[nodes], and the least value of each term (blocks that must be
    split are counted as one break each, so those are lower bounds)."""

    counts: Int64
    bounds: dict[str, int]


@dataclass(frozen=True, slots=True, eq=False)
class _Scene:
    """One set of candidate nodes with its prices: what the tables are built from.

    `window`: (level, least, most) pods per used domain of a level.
    """

    form: TreeForm
    costs: Costs
    dropped: tuple[Bool | None, ...]
    pods: int
    window: tuple[int, int, int] | None = None


def solve(problem: PlacementProblem, form: TreeForm, terms: tuple[TreeTerm, ...]) -> TreeSolution | None:
    """The optimum of a problem in tree form, in these terms; None when the gang does not fit."""
    pods = problem.pods
    if not fits(form, pods):
        return None
    found = candidates(form, terms, pods)
    scene = _scene(form, terms, found, pods)
    options = _distinct(scene, found)
    solved = (_solve_one(scene, found.level, int(domain)) for domain in options)
    cost, table = min(solved, key=lambda option: tuple(option[0]))
    counts = np.zeros(form.levels[-1].domains, dtype=np.int64)
    table.assign(len(table.cost) - 1, counts)
    balance = next((term for term in terms if term.kind == "balance" and term.level > found.level), None)
    spread_bound = 0
    if balance is not None:
        cost, counts, spread_bound = _balance(scene, found, options, term=balance, cost=cost, counts=counts)
    asked = pods * int(problem.shapes[int(problem.shape_of[0])].requests[problem.primary])
    bounds = bounds_of(terms, scene.costs, cost, level=found.level, spread=spread_bound, asked=asked)
    return TreeSolution(_per_node(form, counts), bounds)


def _per_node(form: TreeForm, counts: Int64) -> Int64:
    """int64[nodes] from counts per domain of the finest level, each of which is one node."""
    whole = np.zeros(len(form.levels[-1].domain_of), dtype=np.int64)
    whole[form.levels[-1].first] = counts
    return whole


def fits(form: TreeForm, pods: int) -> bool:
    """True when the whole gang fits: one comparison, since a domain's capacity is exact."""
    top = form.capacity[0]
    return bool(top.max(initial=0) >= pods) if form.step[0] == pods else bool(top.sum() >= pods)


def _scene(form: TreeForm, terms: tuple[TreeTerm, ...], found: Candidates, pods: int) -> _Scene:
    used = []
    for level, capacity in enumerate(form.capacity):
        if level <= found.level:
            used.append(np.unique(ancestors(form, found.level, level)[found.domains]))
            continue
        alive = (capacity > 0) & np.isin(ancestors(form, level, found.level), found.domains)
        for above in range(max(found.level, 0), level + 1):
            gone = found.dropped[above]
            if gone is not None:
                alive &= ~gone[ancestors(form, level, above)]
        used.append(np.flatnonzero(alive))
    return _Scene(form, pack(terms, form, tuple(used), pods), found.dropped, pods)


def _distinct(scene: _Scene, found: Candidates) -> Int64:
    """One candidate, the first by name, of all that look alike to the objective."""
    if len(found.domains) == 1:
        return found.domains
    form = scene.form
    signature = fingerprint(form.capacity[-1], scene.costs.domain[-1])
    for level in range(len(form.levels) - 2, found.level - 1, -1):
        below = ancestors(form, level + 1, level)
        total = np.zeros(form.levels[level].domains, dtype=np.uint64)
        alive = form.capacity[level + 1] > 0
        gone = scene.dropped[level + 1]
        if gone is not None:
            alive &= ~gone
        np.add.at(total, below[alive], signature[alive])
        signature = fingerprint(total, scene.costs.domain[level])
    keys = signature[found.domains]
    for level in range(max(found.level, 0)):  # what stands above has its price, too
        above = ancestors(form, found.level, level)[found.domains]
        keys = fingerprint(keys, scene.costs.domain[level][above])
    return found.domains[np.sort(np.unique(keys, return_index=True)[1])]


def _solve_one(scene: _Scene, level: int, domain: int) -> tuple[Int64, Table]:
    """The least cost of the whole gang inside one candidate, with its table."""
    form = scene.form
    inside = ancestors(form, len(form.levels) - 1, level) == domain
    nodes = np.flatnonzero(inside & (form.capacity[-1] > 0))
    for above, gone in enumerate(scene.dropped):
        if gone is not None and above > level:
            nodes = nodes[~gone[ancestors(form, len(form.levels) - 1, above)[nodes]]]
    table = _build(scene, level, nodes)
    cost = table.cost[-1].copy()
    for coarser in range(max(level, 0)):
        cost += scene.costs.domain[coarser][ancestors(form, level, coarser)[domain]]
    return cost, table


def _build(scene: _Scene, level: int, nodes: Int64) -> Table:
    """The table of the domain of `level` that holds these nodes, its own price included.

    The top table ends at exactly the gang's size, so that its last row is the answer.
    """
    form, pods = scene.form, scene.pods
    step = form.step[level] if level >= 0 else pods
    if level == len(form.levels) - 1:
        return _own_price(scene, level, nodes, _single(scene, level, nodes))
    unit = form.step[level + 1]
    child_of = ancestors(form, len(form.levels) - 1, level + 1)[nodes]
    finer = ancestors(form, len(form.levels) - 1, min(level + 2, len(form.levels) - 1))[nodes]
    order = np.lexsort((finer, child_of))
    splits = np.flatnonzero(np.diff(child_of[order])) + 1
    groups = np.split(nodes[order], splits)
    if _on_shelves(scene, level + 1, nodes):
        return _folded(scene, level, nodes, _shelved(scene, level + 1, groups))
    singles = [group for group in groups if len(group) == 1] if _flat(scene, level + 1) else []
    children: list[Table] = []
    if singles:
        children.append(_atoms(scene, level + 1, np.concatenate(singles)))
    children += [_build(scene, level + 1, group) for group in groups if not singles or len(group) > 1]
    if len(children) == 1 and isinstance(children[0], Atoms) and step == unit:
        return _own_price(scene, level, nodes, children[0])
    return _folded(scene, level, nodes, children)


def _folded(scene: _Scene, level: int, nodes: Int64, children: list[Table]) -> Table:
    """The table of a domain over those of its children."""
    step = scene.form.step[level] if level >= 0 else scene.pods
    unit = scene.form.step[level + 1]
    folded = fold(children, limit=scene.pods // unit, unit=unit, step=step // unit, words=scene.costs.words)
    return _own_price(scene, level, nodes, folded)


def _on_shelves(scene: _Scene, level: int, nodes: Int64) -> bool:
    """Whether the domains of a level are racks of nodes that hold one pod each, all alike."""
    form = scene.form
    last = len(form.levels) - 1
    if (
        not len(nodes)
        or level != last - 2
        or form.step[level] != form.step[level + 1]
        or not _flat(scene, level)
    ):
        return False
    price = scene.costs.domain[last][nodes]
    return bool((form.capacity[last][nodes] == 1).all() and (price == price[0]).all())


def _shelved(scene: _Scene, level: int, groups: list[Int64]) -> list[Table]:
    """The tables of all domains of a level at once, their own prices included."""
    form, costs = scene.form, scene.costs
    rack_of, first = form.levels[level + 1].domain_of, form.levels[-1].first
    domains, prices = [], []
    for group in groups:
        own = rack_of[first[group]]
        racks = np.split(group, np.flatnonzero(np.diff(own)) + 1)
        domains.append(racks)
        prices.append(costs.domain[level + 1][rack_of[first[[nodes[0] for nodes in racks]]]])
    unit = form.step[level]
    made = shelves(
        domains, prices, per_pod=costs.domain[-1][groups[0][0]], unit=unit, limit=scene.pods // unit
    )
    return [_own_price(scene, level, group, one) for group, one in zip(groups, made, strict=True)]


def _flat(scene: _Scene, level: int) -> bool:
    """True when single-node domains of a level and below charge only for being used."""
    blocked = scene.window is not None and scene.window[0] >= level
    by_count = zip(scene.costs.split[level:], scene.costs.pairs[level:], strict=True)
    return not blocked and not any(split or pairs for split, pairs in by_count)


def _atoms(scene: _Scene, level: int, nodes: Int64) -> Atoms:
    form, price = scene.form, np.zeros((len(nodes), scene.costs.words), dtype=np.int64)
    for below in range(level, len(form.levels)):
        price += scene.costs.domain[below][form.levels[below].domain_of[form.levels[-1].first[nodes]]]
    sizes = form.capacity[-1][nodes]
    for step in reversed(form.step[level:-1]):  # what the node itself holds: its domain may have lost others
        sizes = sizes // step * step
    sizes = sizes // form.step[level]
    room = sizes > 0
    return atoms(
        nodes[room], sizes[room], price[room], limit=scene.pods // form.step[level], unit=form.step[level]
    )


def _single(scene: _Scene, level: int, nodes: Int64) -> Atoms:
    """One node as a table of its own, priced by its caller."""
    step = scene.form.step[level]
    sizes = scene.form.capacity[level][nodes] // step
    free = np.zeros((1, scene.costs.words), dtype=np.int64)
    return atoms(nodes, sizes, free, limit=scene.pods // step, unit=step)


def _own_price(scene: _Scene, level: int, nodes: Int64, table: Table) -> Table:
    """A table with the price of using its own domain, its split blocks and its window."""
    if level < 0:
        return table
    cost = table.cost.copy()
    own = scene.form.levels[level].domain_of[scene.form.levels[-1].first[nodes[0]]]
    cost[1:] += scene.costs.domain[level][own]
    step = scene.form.step[level]
    pods = np.arange(len(cost)) * step
    for block, weight in scene.costs.split[level]:
        cost += (pods % block)[:, None] * weight
    for block, weight in scene.costs.pairs[level]:
        cost += (pods // block * (pods // block - 1) // 2)[:, None] * weight
    if scene.window is not None and scene.window[0] == level:
        outside = (pods > 0) & ((pods < scene.window[1]) | (pods > scene.window[2]))
        cost[outside, 0] = INFEASIBLE
    return replace(table, cost=cost)


def _balance(
    scene: _Scene, found: Candidates, options: Int64, *, term: TreeTerm, cost: Int64, counts: Int64
) -> tuple[Int64, Int64, int]:
    """The answer with the least spread of pods per used domain that keeps all earlier terms,
    and the proven least spread."""
    step, before = scene.form.step[term.level], scene.costs.before_balance
    level_of = scene.form.levels[term.level].domain_of[scene.form.levels[-1].first]
    pods = np.bincount(level_of, weights=counts).astype(np.int64)
    pods = pods[pods > 0]
    spread, least = int(pods.max() - pods.min()), 0 if scene.pods % (len(pods) * step) == 0 else step
    solves, lower = 0, least
    for width in range(least, spread + 1, step):
        best: tuple[tuple[int, ...], Int64, Int64] | None = None
        for low in _lows(scene.pods, len(pods), width, step):
            solves += 1
            if solves > WINDOW_SOLVES:
                return cost, counts, lower
            answer = _in_window(replace(scene, window=(term.level, low, low + width)), found, options)
            if answer is None or tuple(answer[0][:before]) != tuple(cost[:before]):
                continue
            if best is None or tuple(answer[0]) < best[0]:
                best = (tuple(answer[0]), *answer)
        if best is not None:
            return best[1], best[2], width
        lower = width + step
    return cost, counts, spread


def _lows(pods: int, domains: int, width: int, step: int) -> range:
    """Least counts per domain for which a window of this width can hold the average."""
    highest = pods // domains // step * step
    lowest = max(-(-pods // domains) - width, step)
    return range(highest, -(-lowest // step) * step - 1, -step)


def _in_window(scene: _Scene, found: Candidates, options: Int64) -> tuple[Int64, Int64] | None:
    best: tuple[Int64, Table] | None = None
    for domain in options:
        cost, table = _solve_one(scene, found.level, int(domain))
        if len(table.cost) - 1 < 1 or cost[0] >= INFEASIBLE:
            continue
        if best is None or tuple(cost) < tuple(best[0]):
            best = (cost, table)
    if best is None:
        return None
    counts = np.zeros(scene.form.levels[-1].domains, dtype=np.int64)
    best[1].assign(len(best[1].cost) - 1, counts)
    return best[0], counts
