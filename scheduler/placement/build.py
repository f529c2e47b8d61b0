"""From the candidates to tables: the cost of every subtree, folded from the nodes up."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from scheduler.placement.costs import INFEASIBLE, Costs
from scheduler.placement.exact import fold_exactly
from scheduler.placement.problem import Bool, Int64
from scheduler.placement.prune import ancestors
from scheduler.placement.shelves import Shelf, racks_of, shelves
from scheduler.placement.tables import Atoms, Table, Whole, atoms, fold
from scheduler.placement.tree import TreeForm


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """One set of candidate nodes with its prices: what the tables are built from.

    `window`: (level, least, most) pods per used domain of a level; `clip`: (least, most) units of a
    rack on shelves, which takes at most so many and is left out if it holds less than the least.
    `ceiling`: what the first word of a cost may be at most, where that is known.
    """

    form: TreeForm
    costs: Costs
    dropped: tuple[Bool | None, ...]
    pods: int
    window: tuple[int, int, int] | None = None
    clip: tuple[int, int] | None = None
    ceiling: int | None = None


def solve_within(scene: Scene, level: int, options: Int64, *, together: bool | None = None) -> Whole | None:
    """The least cost of the whole gang inside one domain of a level, whichever of the options; of equal
    ones the first. None when none holds it under the scene's window and ceiling. `together`: what
    `solved_together` says, where that is known."""
    if solved_together(scene, level, options) if together is None else together:
        return _shelf_within(scene, level, _nodes(scene, level, options))
    best: Whole | None = None
    for domain in options.tolist():
        one = _solve_one(scene, level, int(domain))
        if one is not None and (best is None or tuple(one.cost) < tuple(best.cost)):
            best = one
    return best


def solved_together(scene: Scene, level: int, options: Int64) -> bool:
    """Whether all options are shelves, whose tables are made at once."""
    if level < 0 or level != len(scene.form.levels) - 3:
        return False
    return _alike(scene, level, _nodes(scene, level, options))


def _nodes(scene: Scene, level: int, options: Int64) -> Int64:
    """The free nodes inside these domains that are not dropped, in order of index."""
    form, last = scene.form, len(scene.form.levels) - 1
    alive = form.capacity[-1] > 0
    if level >= 0:
        inside = np.zeros(form.levels[level].domains, dtype=np.bool_)
        inside[options] = True
        alive &= inside[ancestors(form, last, level)]
    for above, gone in enumerate(scene.dropped):
        if gone is not None and above > level:
            alive &= ~gone[ancestors(form, last, above)]
    return np.flatnonzero(alive)


def _shelf_within(scene: Scene, level: int, nodes: Int64) -> Whole | None:
    """As `solve_within`, where the racks of all options are shelves of the same kind."""
    made, units = _shelved(scene, level, nodes), scene.pods // scene.form.step[level + 1]
    best: Whole | None = None
    for shelf in made:
        if len(shelf.cost) <= units or shelf.cost[units, 0] >= INFEASIBLE:
            continue
        first = int(shelf.racks.nodes[shelf.racks.starts[shelf.first]])
        cost = shelf.cost[units] + _above(scene, level, first)
        if best is None or tuple(cost) < tuple(best.cost):
            best = Whole(cost, ((shelf, units),))
    return best


def _above(scene: Scene, level: int, node: int) -> Int64:
    """int64[words]: what the domains of coarser levels around a node cost."""
    last = len(scene.form.levels) - 1
    cost = np.zeros(scene.costs.words, dtype=np.int64)
    for coarser in range(max(level, 0)):
        cost += scene.costs.domain[coarser][ancestors(scene.form, last, coarser)[node]]
    return cost


def _solve_one(scene: Scene, level: int, domain: int) -> Whole | None:
    """The least cost of the whole gang inside one domain."""
    form, pods = scene.form, scene.pods
    nodes = _nodes(scene, level, np.array([domain]))
    if not nodes.size:
        return None
    if level == len(form.levels) - 1:
        table: Table = _own_price(scene, level, nodes, _single(scene, level, nodes))
        units = len(table.cost) - 1
        return Whole(table.cost[-1] + _above(scene, level, int(nodes[0])), ((table, units),))
    children = _children(scene, level, nodes)
    found = fold_exactly(
        [one.cost for one in children],
        target=pods // form.step[level + 1],
        digit=scene.costs.leading,
        ceiling=scene.ceiling,
    )
    if found is None:
        return None
    cost, taken = found
    if level >= 0:
        cost = cost + scene.costs.domain[level][_own(scene, level, nodes)]
        cost = _by_count(scene, level, cost[None], np.array([pods]))[0] + _above(scene, level, int(nodes[0]))
    if cost[0] >= INFEASIBLE:
        return None
    return Whole(cost, tuple(zip(children, taken.tolist(), strict=True)))


def _children(scene: Scene, level: int, nodes: Int64) -> list[Table]:
    """The tables of the domains one level below that hold these nodes."""
    form, last = scene.form, len(scene.form.levels) - 1
    if _on_shelves(scene, level + 1, nodes):
        return list(_shelved(scene, level + 1, nodes))
    child_of = ancestors(form, last, level + 1)[nodes]
    finer = ancestors(form, last, min(level + 2, last))[nodes]
    order = np.lexsort((finer, child_of))
    groups = np.split(nodes[order], np.flatnonzero(np.diff(child_of[order])) + 1)
    singles = [group for group in groups if len(group) == 1] if _flat(scene, level + 1) else []
    children: list[Table] = []
    if singles:
        children.append(_atoms(scene, level + 1, np.concatenate(singles)))
    return children + [_build(scene, level + 1, group) for group in groups if not singles or len(group) > 1]


def table_of(scene: Scene, level: int, nodes: Int64) -> Table:
    """The table of the domain of `level` that holds these nodes (indices of the finest level)."""
    return _build(scene, level, nodes)


def _build(scene: Scene, level: int, nodes: Int64) -> Table:
    """The table of the domain of `level` that holds these nodes, its own price included."""
    form = scene.form
    if level == len(form.levels) - 1:
        return _own_price(scene, level, nodes, _single(scene, level, nodes))
    step, unit, children = form.step[level], form.step[level + 1], _children(scene, level, nodes)
    if len(children) == 1 and isinstance(children[0], Atoms) and step == unit:
        return _own_price(scene, level, nodes, children[0])
    folded = fold(children, limit=scene.pods // unit, unit=unit, step=step // unit, words=scene.costs.words)
    return _own_price(scene, level, nodes, folded)


def on_shelves(scene: Scene, level: int, options: Int64) -> bool:
    """Whether the tables under these domains are shelves whose costs tell only which racks are used."""
    if any(scene.costs.split) or any(scene.costs.pairs):
        return False
    if solved_together(scene, level, options):
        return True
    return len(options) == 1 and _on_shelves(scene, level + 1, _nodes(scene, level, options))


def _on_shelves(scene: Scene, level: int, nodes: Int64) -> bool:
    """Whether the domains of a level are racks of nodes that hold one pod each, all alike."""
    form = scene.form
    last = len(form.levels) - 1
    return level == last - 2 and form.step[level] == form.step[level + 1] and _alike(scene, level, nodes)


def _alike(scene: Scene, level: int, nodes: Int64) -> bool:
    """Whether these nodes hold one pod each, cost the same, and are priced by use alone from a level down."""
    if not len(nodes) or not _flat(scene, level):
        return False
    price = scene.costs.domain[-1][nodes]
    return bool((scene.form.capacity[-1][nodes] == 1).all() and (price == price[0]).all())


def _shelved(scene: Scene, level: int, nodes: Int64) -> list[Shelf]:
    """The tables of all domains of a level that have these nodes, their own prices included."""
    form, costs, last = scene.form, scene.costs, len(scene.form.levels) - 1
    rack, owner = ancestors(form, last, level + 1)[nodes], ancestors(form, last, level)[nodes]
    if (np.diff(owner) < 0).any() or (np.diff(rack) < 0).any():
        order = np.lexsort((rack, owner))
        nodes, rack, owner = nodes[order], rack[order], owner[order]
    unit = form.step[level + 1]
    racks = racks_of(nodes, rack, owner, unit=unit)
    if scene.clip is not None:
        low, high = scene.clip
        racks = replace(racks, sizes=np.where(racks.sizes >= low, np.minimum(racks.sizes, high), 0))
    price = costs.domain[level + 1][rack[racks.starts[:-1]]]
    own, per_pod = costs.domain[level][racks.owner], costs.domain[-1][nodes[0]]
    return shelves(racks, price, own, per_pod=per_pod, unit=unit, limit=scene.pods // unit)


def _flat(scene: Scene, level: int) -> bool:
    """True when single-node domains of a level and below charge only for being used."""
    if scene.window is not None and scene.window[0] >= level:
        return False
    by_count = zip(scene.costs.split[level:], scene.costs.pairs[level:], strict=True)
    return not any(split or pairs for split, pairs in by_count)


def _atoms(scene: Scene, level: int, nodes: Int64) -> Atoms:
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


def _single(scene: Scene, level: int, nodes: Int64) -> Atoms:
    """One node as a table of its own, priced by its caller."""
    step = scene.form.step[level]
    sizes = scene.form.capacity[level][nodes] // step
    free = np.zeros((1, scene.costs.words), dtype=np.int64)
    return atoms(nodes, sizes, free, limit=scene.pods // step, unit=step)


def _own(scene: Scene, level: int, nodes: Int64) -> int:
    """The domain of a level that holds these nodes."""
    return int(scene.form.levels[level].domain_of[scene.form.levels[-1].first[nodes[0]]])


def _own_price(scene: Scene, level: int, nodes: Int64, table: Table) -> Table:
    """A table with the price of using its own domain, its split blocks and its window."""
    cost = table.cost.copy()
    cost[1:] += scene.costs.domain[level][_own(scene, level, nodes)]
    pods = np.arange(len(cost)) * scene.form.step[level]
    return replace(table, cost=_by_count(scene, level, cost, pods))


def _by_count(scene: Scene, level: int, cost: Int64, pods: Int64) -> Int64:
    """Costs int64[rows, words] with what depends on how many pods (int64[rows]) a domain takes."""
    for block, weight in scene.costs.split[level]:
        cost = cost + (pods % block)[:, None] * weight
    for block, weight in scene.costs.pairs[level]:
        cost = cost + (pods // block * (pods // block - 1) // 2)[:, None] * weight
    if scene.window is not None and scene.window[0] == level:
        outside = (pods > 0) & ((pods < scene.window[1]) | (pods > scene.window[2]))
        cost[outside, 0] = INFEASIBLE
    return cost
