"""The fewest hops between the stages of many pipelines, when not every pipeline fits into one domain.

A pipeline visits a domain once, so its hops are the domains it uses less one. Pipelines that share
domains form a *chain*: domains filled one after the other, the pipeline that is open at the end of one
going on in the next. A chain of g domains hops g - 1 times and holds as many whole pipelines as its
capacities allow in sum; no arrangement of those domains does better, since pipelines that connect g
domains hop at least g - 1 times. Domains that stand alone hop never. So only remainders matter (capacity
modulo stages): the question is which domains to chain so that enough more pipelines become whole.

Chains are paths in a small network: a node per coarse domain and number of open stages, an arc per
remainder that can be added. One integer per arc is the number of domains that do so, so that the size
grows with stages and coarse domains and not with pipelines or domains. The way from one coarse domain
to another goes through a hub, which is where coarse hops are counted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from ortools.sat.python import cp_model

Node = tuple[int, int]
"""Coarse domain and stages of the pipeline that is open."""


@dataclass(frozen=True, slots=True)
class Chains:
    """Indices of domains in the order in which they are filled, and what is proven.

    `coarse`, `fine`: hops between coarse domains, and between domains; `least`: their proven least.
    """

    paths: tuple[tuple[int, ...], ...]
    coarse: int
    fine: int
    least: tuple[int, int]


def least_hops(
    remainders: Sequence[int],
    outer: Sequence[int],
    hub: Sequence[int],
    *,
    stages: int,
    extra: int,
    limit_s: float,
    known: tuple[int, int] = (0, 0),
) -> Chains | None:
    """Chains of domains that make `extra` more pipelines whole, with the fewest coarse hops and then the
    fewest hops; None when there are none, or none were found in time.

    Per domain: its remainder, its coarse domain, and the region that no chain may leave. `known`: the
    least coarse hops, where there are some, and hops that are needed at least; they make the proof short.
    """
    network = _Network(remainders, outer, hub, stages)
    network.require(extra, known)
    return network.solve(limit_s)


class _Network:
    """The integer program over arcs."""

    def __init__(
        self, remainders: Sequence[int], outer: Sequence[int], hub: Sequence[int], stages: int
    ) -> None:
        self.model, self.stages = cp_model.CpModel(), stages
        self.members: dict[Node, list[int]] = defaultdict(list)
        for at, (rest, coarse) in enumerate(zip(remainders, outer, strict=True)):
            if rest:
                self.members[coarse, rest].append(at)
        self.region = dict(zip(outer, hub, strict=True))
        self.start: dict[Node, cp_model.IntVar] = {}
        self.step: dict[tuple[int, int, int], cp_model.IntVar] = {}
        self.up: dict[Node, cp_model.IntVar] = {}
        self.down: dict[Node, cp_model.IntVar] = {}
        into: dict[Node, list[cp_model.IntVar]] = defaultdict(list)
        out: dict[Node, list[cp_model.IntVar]] = defaultdict(list)
        self._domains(into, out)
        self._hubs(into, out)
        for node in {*into, *out}:  # what comes in goes on or ends
            self.model.add(sum(out[node]) <= sum(into[node]))

    def _domains(
        self, into: dict[Node, list[cp_model.IntVar]], out: dict[Node, list[cp_model.IntVar]]
    ) -> None:
        """A domain begins a chain, or is added to one that has a pipeline open."""
        for (coarse, rest), own in sorted(self.members.items()):
            here = self.start[coarse, rest] = self._count(len(own), f"s{coarse}_{rest}")
            into[coarse, rest].append(here)
            used = [here]
            for carry in range(1, self.stages):
                step = self.step[coarse, carry, rest] = self._count(len(own), f"a{coarse}_{carry}_{rest}")
                out[coarse, carry].append(step)
                then = (carry + rest) % self.stages
                if then:
                    into[coarse, then].append(step)
                used.append(step)
            self.model.add(sum(used) <= len(own))

    def _hubs(self, into: dict[Node, list[cp_model.IntVar]], out: dict[Node, list[cp_model.IntVar]]) -> None:
        """A pipeline that is open may go on in another coarse domain of the same region."""
        beside: dict[int, list[int]] = defaultdict(list)
        for coarse in sorted({coarse for coarse, _ in self.members}):
            beside[self.region[coarse]].append(coarse)
        for together in beside.values():
            for carry in range(1, self.stages) if len(together) > 1 else ():
                for coarse in together:
                    most = sum(len(self.members[coarse, r]) for r in range(self.stages))
                    up = self.up[coarse, carry] = self._count(most, f"u{coarse}_{carry}")
                    down = self.down[coarse, carry] = self._count(most, f"d{coarse}_{carry}")
                    out[coarse, carry].append(up)
                    into[coarse, carry].append(down)
                ups = sum(self.up[coarse, carry] for coarse in together)
                self.model.add(ups == sum(self.down[coarse, carry] for coarse in together))

    def _count(self, most: int, name: str) -> cp_model.IntVar:
        return self.model.new_int_var(0, most, name)

    def require(self, extra: int, known: tuple[int, int]) -> None:
        """A pipeline becomes whole where an added remainder fills it."""
        full = [step for (_, carry, rest), step in self.step.items() if carry + rest >= self.stages]
        self.model.add(sum(full) >= extra)
        self.model.add(sum(self.step.values()) >= max(extra, known[1]))
        if known[0]:
            self.model.add(sum(self.up.values()) == known[0])

    def solve(self, limit_s: float) -> Chains | None:
        weight = 1 + sum(len(own) for own in self.members.values())
        self.model.minimize(weight * sum(self.up.values()) + sum(self.step.values()))
        solver = cp_model.CpSolver()
        solver.parameters.num_workers, solver.parameters.random_seed = 1, 1
        solver.parameters.linearization_level = 2
        solver.parameters.max_deterministic_time = limit_s
        if solver.solve(self.model) not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
            return None
        bound = max(round(solver.best_objective_bound), 0)
        paths = _Walk(self, solver).paths()
        coarse = sum(solver.value(var) for var in self.up.values())
        fine = sum(solver.value(var) for var in self.step.values())
        least = bound // weight
        return Chains(paths, coarse, fine, (least, bound % weight if least == coarse else 0))


class _Walk:
    """The paths of a flow, with a domain for every arc."""

    def __init__(self, network: _Network, solver: cp_model.CpSolver) -> None:
        self.network, value = network, solver.value
        self.start = {key: value(var) for key, var in network.start.items()}
        self.step = {key: value(var) for key, var in network.step.items()}
        self.up = {key: value(var) for key, var in network.up.items()}
        self.down = {key: value(var) for key, var in network.down.items()}
        self.left = {key: list(own) for key, own in network.members.items()}

    def paths(self) -> tuple[tuple[int, ...], ...]:
        found = []
        for (coarse, rest), times in sorted(self.start.items()):
            for _ in range(times):
                path = self._path(coarse, rest)
                if len(path) > 1:
                    found.append(tuple(path))
        return tuple(found)

    def _path(self, coarse: int, rest: int) -> list[int]:
        path = [self.left[coarse, rest].pop(0)]
        at: Node | None = coarse, rest
        while at is not None and at[1]:
            at = self._next(at, path)
        return path

    def _next(self, at: Node, path: list[int]) -> Node | None:
        coarse, carry = at
        for rest in range(1, self.network.stages):
            if self.step.get((coarse, carry, rest), 0):
                self.step[coarse, carry, rest] -= 1
                path.append(self.left[coarse, rest].pop(0))
                return coarse, (carry + rest) % self.network.stages
        if self.up.get(at, 0):
            self.up[at] -= 1
            region = self.network.region[coarse]
            for other, held in self.down.items():
                if held and other[1] == carry and self.network.region[other[0]] == region:
                    self.down[other] -= 1
                    return other
        return None
