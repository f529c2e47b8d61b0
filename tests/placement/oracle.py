"""Brute force for tiny placement problems, written apart from the solver and from the objective."""

from __future__ import annotations

from itertools import combinations, product
from typing import Any

import numpy as np

from scheduler.placement.problem import PlacementProblem


def best(problem: PlacementProblem) -> tuple[int, ...] | None:
    """The least objective vector over every legal assignment; None when there is none."""
    facts = _Facts(problem)
    values = (
        facts.value(nodes)
        for nodes in product(range(problem.cluster.size), repeat=problem.pods)
        if facts.legal(nodes)
    )
    return min(values, default=None)


class _Facts:
    """The problem in plain Python."""

    def __init__(self, problem: PlacementProblem) -> None:
        self.problem = problem
        cluster = problem.cluster
        self.free = cluster.free.T.tolist()
        self.total = cluster.total.T.tolist()
        self.domain = {level: cluster.domain_of(level).tolist() for level in cluster.levels}
        self.request = [problem.shapes[s].requests.tolist() for s in problem.shape_of]
        self.eligible = [problem.shapes[s].eligible.tolist() for s in problem.shape_of]
        self.blocks: list[tuple[Any, list[list[int]]]] = []
        for rule in problem.rules:
            ids = sorted({int(b) for b in rule.block_of if b >= 0})
            self.blocks.append(
                (rule, [[p for p in range(problem.pods) if rule.block_of[p] == b] for b in ids])
            )

    def legal(self, nodes: tuple[int, ...]) -> bool:
        used: dict[int, list[int]] = {}
        for pod, node in enumerate(nodes):
            fixed = int(self.problem.fixed[pod])
            if fixed >= 0:
                if fixed != node:
                    return False
                continue
            if not self.eligible[pod][node]:
                return False
            load = used.setdefault(node, [0] * len(self.request[pod]))
            for index, amount in enumerate(self.request[pod]):
                load[index] += amount
                if amount and load[index] > self.free[node][index]:
                    return False
        return self._apart(nodes) and all(
            len({self.domain[level][nodes[p]] for p in pods}) == 1
            for rule, blocks in self.blocks
            for level in rule.required
            for pods in blocks
        )

    def _apart(self, nodes: tuple[int, ...]) -> bool:
        for rule in self.problem.apart:
            domain, party = self.domain[rule.level], rule.party_of.tolist()
            for one, other in combinations(range(len(nodes)), 2):
                if party[one] < 0 or party[other] < 0 or party[one] == party[other]:
                    continue
                lone = rule.lone[party[one]] or rule.lone[party[other]]
                if lone and domain[nodes[one]] == domain[nodes[other]]:
                    return False
        return True

    def value(self, nodes: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(self._value(term, nodes) for term in self.problem.terms)

    def _value(self, term: str, nodes: tuple[int, ...]) -> int:
        if term[0].isdigit():
            parts = [part.split("*") for part in term.split(" + ")]
            return sum(int(weight) * self._value(name, nodes) for weight, name in parts)
        return self._replicas(term, nodes) if term.startswith("replica") else self._term(term, nodes)

    def _term(self, term: str, nodes: tuple[int, ...]) -> int:
        primary, usable = self.problem.primary, self.problem.cluster.usable
        if term == "nodes":
            return len(set(nodes))
        if term == "tp_crossings":
            return sum(
                len({self.domain[level][nodes[p]] for p in pods}) > 1
                for rule, blocks in self.blocks
                if rule.scope == "tp"
                for level in rule.preferred
                for pods in blocks
            )
        if term.startswith("pipeline_hops_"):
            return self._hops(nodes, self.domain[term.removeprefix("pipeline_hops_")])
        if term.startswith("preferred_"):
            _, scope, level = term.split("_", 2)
            return sum(
                len({self.domain[level][nodes[p]] for p in pods}) - 1
                for rule, blocks in self.blocks
                if rule.scope == scope and level in rule.preferred
                for pods in blocks
            )
        what, level = ("broken", "node") if term == "nodes_broken" else term.split("_", 1)
        domain = self.domain[level]
        used = sorted({domain[n] for n in nodes})
        fresh = sorted({domain[n] for p, n in enumerate(nodes) if self.problem.fixed[p] < 0})
        inside = {d: [n for n in range(len(domain)) if domain[n] == d] for d in used}
        if what == "domains":
            return len(used)
        if what == "imbalance":
            sizes = [sum(domain[n] == d for n in nodes) for d in used]
            return max(sizes) - min(sizes)
        if what == "broken":
            return sum(
                all(self.free[n][primary] >= self.total[n][primary] for n in inside[d])
                and any(usable[n] and self.total[n][primary] > 0 for n in inside[d])
                for d in fresh
            )
        assert what == "left"
        free = sum(max(self.free[n][primary], 0) for d in used for n in inside[d] if usable[n])
        return free - sum(self.request[p][primary] for p in range(len(nodes)) if self.problem.fixed[p] < 0)

    def _replicas(self, term: str, nodes: tuple[int, ...]) -> int:
        level = term.removeprefix("replica_domains_").removeprefix("replicas_sharing_")
        where = [{self.domain[level][nodes[p]] for p in pods} for pods in self._replica_pods()]
        if term.startswith("replica_domains_"):
            return sum(len(one) - 1 for one in where)
        return sum(len(one & other) for one, other in combinations(where, 2))

    def _replica_pods(self) -> list[list[int]]:
        for scope in ("pp", "tp", "group"):
            found = [pods for rule, blocks in self.blocks if rule.scope == scope for pods in blocks]
            if found:
                return found
        return [[pod] for pod in range(self.problem.pods)]

    def _hops(self, nodes: tuple[int, ...], domain: list[int]) -> int:
        stages: dict[tuple[int, int], set[int]] = {}
        for pod, node in enumerate(nodes):
            key = (int(self.problem.replica_of[pod]), int(self.problem.stage_of[pod]))
            stages.setdefault(key, set()).add(domain[node])
        return sum(
            len(where | stages[(replica, stage + 1)]) > 1
            for (replica, stage), where in stages.items()
            if stage >= 0 and (replica, stage + 1) in stages
        )


def as_array(nodes: tuple[int, ...]) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    """A tuple of node indices as an assignment."""
    return np.array(nodes, dtype=np.int32)
