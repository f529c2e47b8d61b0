"""Unequal groups of one pod shape, each inside one domain of a level: a dynamic program over which groups
a domain holds.

Below that level pods are alike and the tables of the tree count them. From it upwards a state says how
many groups of every size are inside, few enough to list: one fold joins two domains by going through
all pairs of states at once. Exact, like the tree, and its own proof.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from scheduler.placement.apart import ApartRule
from scheduler.placement.bounds import bounds_of
from scheduler.placement.build import Scene, table_of
from scheduler.placement.costs import INFEASIBLE, TreeTerm, pack, tree_terms
from scheduler.placement.groupstates import States, states_of
from scheduler.placement.objective import evaluate, with_bounds
from scheduler.placement.problem import NODE, Assignment, Bool, Int32, Int64, PlacementProblem
from scheduler.placement.prune import ancestors
from scheduler.placement.tables import Table
from scheduler.placement.tree import TreeForm, tree_form

_TERMS = re.compile("tp_crossings|nodes|nodes_broken|(domains|broken|left)_.+")


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Cost per state of some domains (int64[states, words]): one with its table, or two parts joined."""

    cost: Int64
    leaf: tuple[Table, int] | None = None
    joined: tuple[_Part, _Part] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Groups:
    """The groups by size: `kinds`, the pods (in rank order) of every group of each size; `level`: the tree
    level whose domains they stay in; `within`: the level that the whole gang stays in, -1 for none;
    `alone`: every group has its domain to itself."""

    form: TreeForm
    kinds: tuple[tuple[Int64, ...], ...]
    states: States
    level: int
    within: int
    alone: bool = False

    def held(self, room: int) -> Bool:
        """bool[states]: which states a domain with room for so many pods may hold."""
        some = self.states.size <= room
        return some & (self.states.groups <= 1) if self.alone else some


def place_groups(problem: PlacementProblem) -> Assignment | bool | None:
    """The best assignment of a gang of such groups, False when it does not fit; None when it is no such
    gang."""
    groups = _groups(problem, ever=False)
    if groups is None or not all(_TERMS.fullmatch(term) for term in problem.terms):
        return None
    solved = _solve(problem, groups) if _reachable(groups) else None
    if solved is None:
        return False
    nodes, bounds = solved
    terms = with_bounds(problem.terms, evaluate(problem, nodes), bounds)
    if any(term.value != term.bound for term in terms):
        return None
    return Assignment(nodes, terms, "optimal", _levels(problem, groups, nodes), "groups")


def groups_fit(problem: PlacementProblem, *, ever: bool = False) -> bool | None:
    """Whether such groups fit; with `ever`, on nodes with nothing running. None: no such gang."""
    groups = _groups(problem, ever=ever)
    return None if groups is None else _reachable(groups)


def _reachable(groups: _Groups) -> bool:
    """Whether some region can hold all groups: the states that its domains reach, one after the other."""
    form, states = groups.form, groups.states
    region = np.zeros(form.levels[groups.level].domains, dtype=np.int64)
    if groups.within >= 0:
        region = ancestors(form, groups.level, groups.within).astype(np.int64)
    capacity = form.capacity[groups.level]
    for one in np.unique(region).tolist():
        reached = states.size == 0
        for room in np.sort(capacity[(region == one) & (capacity > 0)])[::-1].tolist():
            both = reached[states.left] & groups.held(room)[states.right]
            reached = np.logical_or.reduceat(both, states.start)
            if reached[-1]:
                return True
    return False


def _groups(problem: PlacementProblem, *, ever: bool) -> _Groups | None:
    rules = [rule for rule in problem.rules if rule.required or rule.preferred]
    if any(rule.preferred or rule.scope not in ("gang", "group") for rule in rules):
        return None
    if (problem.fixed >= 0).any() or (problem.stage_of > 0).any() or len(np.unique(problem.shape_of)) != 1:
        return None
    whole = next((rule for rule in problem.rules if rule.scope == "gang"), None)
    if whole is None or (whole.block_of != 0).any():
        return None
    bare = replace(problem, rules=(replace(whole, required=(), preferred=()),), apart=())
    form = tree_form(bare, ever=ever)
    if form is None or len(form.levels) < 2:
        return None
    bound = [max(form.position(one) for one in rule.required) for rule in rules if rule.scope == "group"]
    within = max((form.position(level) for level in whole.required), default=-1)
    blocks = _blocks(problem)
    if blocks is None or len(set(bound)) != 1 or within >= bound[0]:
        return None
    apart = [rule for rule in problem.apart if rule.binds]
    if not all(_each_alone(rule, blocks) and form.position(rule.level) == bound[0] for rule in apart):
        return None
    sizes = sorted({len(block) for block in blocks}, reverse=True)
    kinds = tuple(tuple(block for block in blocks if len(block) == size) for size in sizes)
    states = states_of(sizes, [len(own) for own in kinds])
    return None if states is None else _Groups(form, kinds, states, bound[0], within, bool(apart))


def _each_alone(rule: ApartRule, blocks: Sequence[Int64]) -> bool:
    """Whether the parties are the groups, and all of them want a domain for themselves."""
    parties = [np.unique(rule.party_of[pods]) for pods in blocks]
    own = {int(some[0]) for some in parties if some.size == 1 and some[0] >= 0}
    return bool(rule.lone.all()) and len(own) == len(blocks)


def _blocks(problem: PlacementProblem) -> list[Int64] | None:
    """The pods of every group that must stay together; None unless each pod is in exactly one."""
    found = [
        np.flatnonzero(rule.block_of == block).astype(np.int64)
        for rule in problem.rules
        if rule.scope == "group" and rule.required
        for block in np.unique(rule.block_of[rule.block_of >= 0]).tolist()
    ]
    covered = np.bincount(np.concatenate(found), minlength=problem.pods) if found else np.zeros(1)
    return sorted(found, key=lambda pods: int(pods[0])) if (covered == 1).all() else None


def _solve(problem: PlacementProblem, groups: _Groups) -> tuple[Int32, dict[str, int]] | None:
    form = groups.form
    terms: tuple[TreeTerm, ...] = tree_terms(replace(problem, rules=problem.rules[:1], apart=()), form)
    used = tuple(np.flatnonzero(capacity > 0) for capacity in form.capacity)
    scene = Scene(form, pack(terms, form, used, problem.pods), (None,) * len(form.levels), problem.pods)
    parts = _leaves(scene, groups)
    for level in range(groups.level - 1, groups.within, -1):
        parts = _above(scene, groups, parts, level)
    if groups.within >= 0:
        whole = min(
            (_priced(scene, groups, part, domain) for domain, part in _together(groups, parts).items()),
            key=lambda part: tuple(part.cost[-1].tolist()),
            default=None,
        )
    else:
        whole = _joined(groups, list(parts.values())) if parts else None
    if whole is None or whole.cost[-1, 0] >= INFEASIBLE:
        return None
    asked = problem.pods * int(problem.shapes[int(problem.shape_of[0])].requests[problem.primary])
    bounds = bounds_of(terms, scene.costs, whole.cost[-1], level=-1, spread=0, asked=asked)
    return _laid(problem, groups, whole), bounds


def _leaves(scene: Scene, groups: _Groups) -> dict[int, _Part]:
    """Per domain of the groups' level, by id."""
    form, last = groups.form, len(groups.form.levels) - 1
    own = ancestors(form, last, groups.level)
    smallest = min(len(own[0]) for own in groups.kinds)
    found: dict[int, _Part] = {}
    for domain in np.flatnonzero(form.capacity[groups.level] >= smallest).tolist():
        nodes = np.flatnonzero((own == domain) & (form.capacity[-1] > 0))
        table = table_of(scene, groups.level, nodes)
        cost = np.full((len(groups.states.size), scene.costs.words), INFEASIBLE, dtype=np.int64)
        held = groups.held(len(table.cost) - 1)
        cost[held] = table.cost[groups.states.size[held]]
        cost[cost[:, 0] >= INFEASIBLE] = INFEASIBLE
        found[domain] = _Part(cost, leaf=(table, domain))
    return found


def _above(scene: Scene, groups: _Groups, parts: dict[int, _Part], level: int) -> dict[int, _Part]:
    """Per domain of a level what its domains one level below hold together, its own price included."""
    form, inside = groups.form, dict[int, list[_Part]]()
    for domain, part in parts.items():
        inside.setdefault(int(form.levels[level].domain_of[form.levels[level + 1].first[domain]]), []).append(
            part
        )
    found = {}
    for domain, own in inside.items():
        joined = _joined(groups, own)
        cost = joined.cost.copy()
        cost[1:] += scene.costs.domain[level][domain]
        cost[cost[:, 0] >= INFEASIBLE] = INFEASIBLE
        found[domain] = replace(joined, cost=cost)
    return found


def _joined(groups: _Groups, parts: Sequence[_Part]) -> _Part:
    whole = parts[0]
    for part in parts[1:]:
        whole = _Part(groups.states.join(whole.cost, part.cost), joined=(whole, part))
    return whole


def _together(groups: _Groups, parts: dict[int, _Part]) -> dict[int, _Part]:
    """Per domain that the whole gang may stay in, what it holds."""
    form, inside = groups.form, dict[int, list[_Part]]()
    for domain, part in parts.items():
        first = form.levels[groups.within + 1].first[domain]
        inside.setdefault(int(form.levels[groups.within].domain_of[first]), []).append(part)
    return {domain: _joined(groups, own) for domain, own in inside.items()}


def _priced(scene: Scene, groups: _Groups, part: _Part, domain: int) -> _Part:
    """With what the gang's own domain and those around it cost."""
    form, cost = groups.form, part.cost.copy()
    for level in range(groups.within + 1):
        above = form.levels[level].domain_of[form.levels[groups.within].first[domain]]
        cost[1:] += scene.costs.domain[level][above]
    return replace(part, cost=cost)


def _laid(problem: PlacementProblem, groups: _Groups, whole: _Part) -> Int32:
    """int32[pods]: in every domain the groups of its state, in rank order, along its nodes."""
    form, nodes = groups.form, np.empty(problem.pods, dtype=np.int32)
    waiting = [list(own) for own in groups.kinds]
    for part, state in sorted(_shares(groups, whole), key=lambda one: one[0].leaf[1] if one[0].leaf else 0):
        assert part.leaf is not None
        counts = np.zeros(form.levels[-1].domains, dtype=np.int64)
        part.leaf[0].assign(int(groups.states.size[state]), counts)
        used = np.flatnonzero(counts)
        keys = [level.domain_of[form.levels[-1].first[used]] for level in form.levels]
        used = used[np.lexsort(keys[::-1])]
        slots = np.repeat(form.levels[-1].first[used], counts[used])
        mine, stride = list[Int64](), 1
        for kind, own in enumerate(groups.kinds):
            number = state // stride % (len(own) + 1)
            mine += [waiting[kind].pop(0) for _ in range(number)]
            stride *= len(own) + 1
        pods = np.concatenate(sorted(mine, key=lambda group: int(group[0])))
        nodes[pods] = slots
    return nodes


def _shares(groups: _Groups, whole: _Part) -> list[tuple[_Part, int]]:
    """Every domain that holds something, with its state."""
    found, open_parts = [], [(whole, len(groups.states.size) - 1)]
    while open_parts:
        part, state = open_parts.pop()
        if part.joined is not None and state:
            one, other = part.joined
            mine, theirs = groups.states.part(one.cost, other.cost, state)
            open_parts += [(one, mine), (other, theirs)]
        elif state:
            found.append((part, state))
    return found


def _levels(problem: PlacementProblem, groups: _Groups, nodes: Int32) -> tuple[tuple[str, int, int], ...]:
    """Per level the domains used, and the fewest that could be."""
    found = []
    for level in problem.cluster.levels:
        used = least = int(np.unique(problem.cluster.domain_of(level)[nodes]).size)
        room = np.sort(groups.form.capacity[groups.form.position(level)])[::-1]
        if used > int(np.searchsorted(np.cumsum(room), problem.pods)) + 1:
            name = "nodes" if level == NODE else f"domains_{level}"
            alone = _solve(replace(problem, terms=(name,)), groups)
            assert alone is not None
            least = alone[1][name]
        found.append((level, used, least))
    return tuple(found)
