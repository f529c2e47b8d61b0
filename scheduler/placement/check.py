"""The referee: what is wrong with an assignment, if anything. Knows no solver."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scheduler.placement.apart import ApartRule, shared
from scheduler.placement.problem import Int32, PlacementProblem, ScopeRule


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule: `size`, `node`, `eligible`, `capacity`, `fixed`, `required` or `apart`."""

    rule: str
    message: str


def violations(problem: PlacementProblem, nodes: Int32) -> tuple[Violation, ...]:
    """Everything an assignment (int32[pods] of node indices) breaks; empty when it is right."""
    if nodes.shape != (problem.pods,):
        return (Violation("size", f"{nodes.shape} nodes given for {problem.pods} pods"),)
    outside = np.flatnonzero((nodes < 0) | (nodes >= problem.cluster.size))
    if outside.size:
        return (Violation("node", f"pod {outside[0]} is on node {nodes[outside[0]]}, which does not exist"),)
    found = [*_ineligible(problem, nodes), *_over_capacity(problem, nodes), *_moved(problem, nodes)]
    for rule in problem.rules:
        for level in rule.required:
            found += _split_blocks(problem, nodes, rule, level)
    for apart in problem.apart:
        found += _shared_domains(problem, nodes, apart)
    return tuple(found)


def _ineligible(problem: PlacementProblem, nodes: Int32) -> list[Violation]:
    free_to_choose = problem.fixed < 0
    allowed = np.array([demand.eligible for demand in problem.shapes])[problem.shape_of, nodes]
    return [
        Violation("eligible", f"pod {pod} may not run on node {problem.cluster.names[nodes[pod]]}")
        for pod in np.flatnonzero(free_to_choose & ~allowed)
    ]


def _over_capacity(problem: PlacementProblem, nodes: Int32) -> list[Violation]:
    new = problem.fixed < 0
    requests = np.array([demand.requests for demand in problem.shapes])[problem.shape_of[new]]
    cluster = problem.cluster
    found = []
    for index, resource in enumerate(cluster.resources):
        used = np.bincount(nodes[new], weights=requests[:, index], minlength=cluster.size)
        for node in np.flatnonzero((used > cluster.free[index]) & (used > 0)):
            asked, free = int(used[node]), int(cluster.free[index, node])
            fact = f"node {cluster.names[node]}: {asked} {resource} asked, {free} free"
            found.append(Violation("capacity", fact))
    return found


def _moved(problem: PlacementProblem, nodes: Int32) -> list[Violation]:
    moved = np.flatnonzero((problem.fixed >= 0) & (problem.fixed != nodes))
    return [Violation("fixed", f"pod {pod} runs elsewhere and may not move") for pod in moved]


def _split_blocks(problem: PlacementProblem, nodes: Int32, rule: ScopeRule, level: str) -> list[Violation]:
    domains = problem.cluster.domain_of(level)[nodes]
    found = []
    for block in np.unique(rule.block_of[rule.block_of >= 0]):
        used = np.unique(domains[rule.block_of == block])
        if used.size > 1:
            where = ", ".join(problem.cluster.domain_name(level, int(d)) for d in used[:3])
            fact = f"{rule.scope} {rule.name}{block} must be in one {level}, spans {used.size}: {where}"
            found.append(Violation("required", fact))
    return found


def _shared_domains(problem: PlacementProblem, nodes: Int32, rule: ApartRule) -> list[Violation]:
    found = []
    for domain, lone, other in shared(rule, problem.cluster.domain_of(rule.level)[nodes]):
        where = f"{rule.level} {problem.cluster.domain_name(rule.level, domain)} with {rule.scope}{other}"
        fact = f"{rule.scope}{lone} must have its {rule.level} to itself, shares {where}"
        found.append(Violation("apart", fact))
    return found
