"""The variables of the integer model behind verbs, and its rules, one function each."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from ortools.sat.python import cp_model

from scheduler.placement.apart import ApartRule
from scheduler.placement.problem import NODE, PlacementProblem
from scheduler.placement.search import Search
from scheduler.placement.units import Reduced, Step

Var = cp_model.IntVar
Expr = cp_model.LinearExprT


class Counts:
    """How many pods of every unit go to every node class.

    `uses(level)` maps a domain to what says that the gang uses it; a constant 1 where a
    member already runs. `ever`: the capacity is that of nodes with nothing running on them.
    `hopeless` is True when some unit has no class at all.
    """

    def __init__(self, problem: PlacementProblem, reduced: Reduced, *, ever: bool = False) -> None:
        self.problem, self.reduced = problem, reduced
        self.model = cp_model.CpModel()
        self._ever = ever
        self._of_class: dict[int, list[tuple[int, Var]]] = {at: [] for at in range(len(reduced.classes))}
        self.x: dict[tuple[int, int], Var] = {}
        self.y: list[Var] = []
        self.follow: dict[int, list[Var]] = {}
        self._uses: dict[str, dict[int, Var]] = {}
        self._block_uses: dict[tuple[int, int, str], dict[int, Expr]] = {}
        self.hopeless = not self._make_numbers()
        if not self.hopeless:
            place_every_pod(self)
            respect_room(self)
            tell_used_nodes(self)
            for step in reduced.steps:
                keep_blocks_whole(self, step)
            for at in reduced.followed:
                for level in problem.rules[at].required:
                    keep_in_one_domain(self, at, level)
            for at, apart in enumerate(problem.apart):
                keep_apart(self, at, apart)

    def _make_numbers(self) -> bool:
        for u, unit in enumerate(self.reduced.units):
            for c, cls in enumerate(self.reduced.classes):
                most = min(len(unit.pods), cls.room[unit.shape] * len(cls.nodes))
                if most > 0:
                    self.x[u, c] = self.model.new_int_var(0, most, f"x{u}_{c}")
                    self._of_class[c].append((u, self.x[u, c]))
        self.y = [
            self.model.new_int_var(0, len(cls.nodes), f"y{c}") for c, cls in enumerate(self.reduced.classes)
        ]
        return all(any((u, c) in self.x for c in self._of_class) for u in range(len(self.reduced.units)))

    def in_class(self, c: int) -> list[tuple[int, Var]]:
        """(unit, number) of every unit that may use a class."""
        return self._of_class[c]

    def classes_of(self, unit: int) -> list[tuple[int, Var]]:
        """(class, number) of one unit, in order of classes."""
        return [(c, self.x[unit, c]) for c in range(len(self.reduced.classes)) if (unit, c) in self.x]

    def numbers(self, unit: int, search: Search) -> list[tuple[int, int]]:
        """(class, pods) of a unit in the best answer found."""
        found = [(c, search.value(var)) for c, var in self.classes_of(unit)]
        return [(c, number) for c, number in found if number]

    def domain(self, c: int, level: str) -> int:
        """The domain of a class; at level node, its first node (such classes hold one)."""
        node = self.reduced.classes[c].nodes[0]
        return node if level == NODE else int(self.problem.cluster.domain_of(level)[node])

    def fixed_domains(self, level: str, pods: Iterable[int] | None = None) -> set[int]:
        """Domains in which members already run."""
        chosen = (
            np.flatnonzero(self.problem.fixed >= 0) if pods is None else np.array(list(pods), dtype=np.int64)
        )
        nodes = self.problem.fixed[chosen]
        return {int(d) for d in self.problem.cluster.domain_of(level)[nodes[nodes >= 0]]}

    def uses(self, level: str) -> dict[int, Var]:
        """A truth value per domain that could receive a pod: some pod goes there now."""
        if level not in self._uses:
            self._uses[level] = self._flags(range(len(self.reduced.units)), level, f"d_{level}")
        return self._uses[level]

    def block_uses(self, rule: int, block: int, level: str) -> dict[int, Expr]:
        """A truth value per domain: some pod of this block is there, running or new."""
        key = (rule, block, level)
        if key not in self._block_uses:
            units = [u for u, unit in enumerate(self.reduced.units) if (rule, block) in unit.blocks]
            pods = np.flatnonzero(self.problem.rules[rule].block_of == block).tolist()
            self._block_uses[key] = self._of_units(units, level, f"b{rule}_{block}_{level}", pods)
        return self._block_uses[key]

    def party_uses(self, at: int, party: int) -> dict[int, Expr]:
        """A truth value per domain of an apart rule's level: some pod of this party is there."""
        rule = self.problem.apart[at]
        units = [u for u, unit in enumerate(self.reduced.units) if unit.parties[at] == party]
        pods = np.flatnonzero(rule.party_of == party).tolist()
        return self._of_units(units, rule.level, f"p{at}_{party}_{rule.level}", pods)

    def stage_uses(self, replica: int, stage: int, level: str) -> dict[int, Expr]:
        """A truth value per domain: some pod of this pipeline stage is there."""
        key = (-1 - replica, stage, level)
        if key not in self._block_uses:
            problem = self.problem
            units = [
                u
                for u, unit in enumerate(self.reduced.units)
                if (unit.replica, unit.stage) == (replica, stage)
            ]
            pods = np.flatnonzero((problem.replica_of == replica) & (problem.stage_of == stage)).tolist()
            self._block_uses[key] = self._of_units(units, level, f"s{replica}_{stage}_{level}", pods)
        return self._block_uses[key]

    def _of_units(self, units: list[int], level: str, name: str, pods: Iterable[int]) -> dict[int, Expr]:
        flags: dict[int, Expr] = dict(self._flags(units, level, name))
        return flags | dict.fromkeys(self.fixed_domains(level, pods), 1)

    def _flags(self, units: Iterable[int], level: str, name: str) -> dict[int, Var]:
        """Per domain a truth value that holds exactly when one of these units has a pod there.

        One rule per unit and domain, with all the room that the domain has for the unit: far
        tighter than a rule per node when the solver bounds how few domains will do.
        """
        inside: dict[int, dict[int, list[tuple[Var, int]]]] = {}
        for u in units:
            shape = self.reduced.units[u].shape
            for c, var in self.classes_of(u):
                cls = self.reduced.classes[c]
                room = cls.room[shape] * len(cls.nodes)
                inside.setdefault(self.domain(c, level), {}).setdefault(u, []).append((var, room))
        flags: dict[int, Var] = {}
        for domain, of_unit in sorted(inside.items()):
            flag = flags[domain] = self.model.new_bool_var(f"{name}_{domain}")
            for u, parts in of_unit.items():
                most = min(len(self.reduced.units[u].pods), sum(room for _, room in parts))
                self.model.add(sum(var for var, _ in parts) <= most * flag)
            self.model.add(sum(var for parts in of_unit.values() for var, _ in parts) >= flag)
        if flags:
            self.model.add_at_least_one(flags.values())
        return flags

    def capacity(self) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
        """int64[resources, nodes] that assignments must fit into."""
        return self.problem.cluster.total if self._ever else self.problem.cluster.free

    def hints(self) -> dict[Var, int]:
        """No hints yet: the first solution comes from the solver's own search."""
        return {}


def place_every_pod(counts: Counts) -> None:
    """Every unit's pods are all somewhere."""
    for u, unit in enumerate(counts.reduced.units):
        counts.model.add(sum(var for _, var in counts.classes_of(u)) == len(unit.pods))


def respect_room(counts: Counts) -> None:
    """No node holds more than it has; with one shape, no class more than its nodes in use can."""
    problem, capacity = counts.problem, counts.capacity()
    for c, cls in enumerate(counts.reduced.classes):
        inside = counts.in_class(c)
        if not inside:
            continue
        if counts.reduced.single:
            shape = counts.reduced.units[0].shape
            counts.model.add(sum(var for _, var in inside) <= cls.room[shape] * counts.y[c])
            continue
        if cls.patterns:
            respect_patterns(counts, c)
            continue
        for r in range(len(problem.cluster.resources)):
            asked = [
                (int(problem.shapes[counts.reduced.units[u].shape].requests[r]), var) for u, var in inside
            ]
            if any(amount for amount, _ in asked):
                counts.model.add(
                    sum(amount * var for amount, var in asked) <= max(int(capacity[r, cls.nodes[0]]), 0)
                )


def respect_patterns(counts: Counts, c: int) -> None:
    """Every node of a class in use follows one pattern, and the class holds what its patterns allow."""
    cls = counts.reduced.classes[c]
    follow = [counts.model.new_int_var(0, len(cls.nodes), f"z{c}_{at}") for at in range(len(cls.patterns))]
    counts.follow[c] = follow
    counts.model.add(sum(follow) == counts.y[c])
    for shape in sorted({counts.reduced.units[u].shape for u, _ in counts.in_class(c)}):
        pods = sum(var for u, var in counts.in_class(c) if counts.reduced.units[u].shape == shape)
        room = sum(p[shape] * var for p, var in zip(cls.patterns, follow, strict=True) if p[shape])
        counts.model.add(pods <= room)


def tell_used_nodes(counts: Counts) -> None:
    """A node counts as used when a pod goes there, and only then."""
    for c, cls in enumerate(counts.reduced.classes):
        inside = counts.in_class(c)
        if not inside:
            counts.model.add(counts.y[c] == 0)
            continue
        counts.model.add(sum(var for _, var in inside) >= counts.y[c])
        if not counts.reduced.single:
            for u, var in inside:
                counts.model.add(
                    var
                    <= min(len(counts.reduced.units[u].pods), cls.room[counts.reduced.units[u].shape])
                    * counts.y[c]
                )


def keep_blocks_whole(counts: Counts, step: Step) -> None:
    """Interchangeable blocks: a cell holds a whole number of them."""
    for u in step.units:
        per_cell: dict[int, list[Var]] = {}
        for c, var in counts.classes_of(u):
            per_cell.setdefault(int(step.cell_of[counts.reduced.classes[c].nodes[0]]), []).append(var)
        for cell, inside in per_cell.items():
            most = len(counts.reduced.units[u].pods) // step.size
            whole = counts.model.new_int_var(0, most, f"k{step.size}_{u}_{cell}")
            counts.model.add(sum(inside) == step.size * whole)


def keep_in_one_domain(counts: Counts, rule: int, level: str) -> None:
    """Every block of a rule lies inside one domain of a required level."""
    blocks = np.unique(counts.problem.rules[rule].block_of)
    for block in blocks[blocks >= 0].tolist():
        counts.model.add(sum(counts.block_uses(rule, block, level).values()) == 1)


def keep_apart(counts: Counts, at: int, rule: ApartRule) -> None:
    """A domain is used by one lone party alone, or by parties of which none is lone."""
    lone: dict[int, list[Expr]] = {}
    others: dict[int, list[Expr]] = {}
    for party in range(rule.parties):
        for domain, used in counts.party_uses(at, party).items():
            (lone if rule.lone[party] else others).setdefault(domain, []).append(used)
    for domain, flags in lone.items():
        for other in ([], *([one] for one in others.get(domain, ()))):
            counts.model.add(sum([*flags, *other]) <= 1)
