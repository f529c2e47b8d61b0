"""The objective: named integer terms in lexicographic order, computed from an assignment alone.

The names and their order are the contract of the default policy. Every term is
smaller-is-better. `terms_of` lists them for one problem; `evaluate` computes
them for any assignment, whoever found it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cached_property, lru_cache

import numpy as np

from scheduler.placement.problem import (
    NODE,
    Bool,
    Cluster,
    Int32,
    Int64,
    PlacementProblem,
    ScopeRule,
    TermValue,
    asked,
)
from scheduler.placement.runs import runs, summed
from scheduler.placement.spent import TERM as SPENT
from scheduler.placement.spent import spent
from topology.model import Partition


def terms_of(levels: tuple[str, ...], rules: tuple[ScopeRule, ...], *, pipeline: bool) -> tuple[str, ...]:
    """Names of the default policy's terms, most important first; `levels` without node, coarse to fine."""
    stated = [(rule.scope, level) for rule in rules for level in rule.preferred]
    first = stated[0][1] if stated else None
    preferred = [f"preferred_{scope}_{level}" for scope, level in dict.fromkeys(stated)]
    crossings = ["tp_crossings"] if any(rule.scope == "tp" for rule in rules) else []
    hops = [f"pipeline_hops_{level}" for level in levels] if pipeline else []
    return (
        *crossings,
        *hops,
        *preferred,
        *(f"domains_{level}" for level in levels),
        *(f"broken_{level}" for level in levels),
        *(f"left_{level}" for level in levels),
        *([f"imbalance_{first}"] if first else []),
        "nodes",
        "nodes_broken",
        "left_node",
    )


def parts_of(term: str) -> tuple[tuple[int, str], ...]:
    """(weight, term) of a weighted sum such as "3*domains_leaf + 1*left_rack"; a plain term is its own."""
    if not term[:1].isdigit():
        return ((1, term),)
    pairs = (part.split("*", 1) for part in term.split(" + "))
    return tuple((int(weight), name) for weight, name in pairs)


def replica_rules(problem: PlacementProblem) -> tuple[int, ...]:
    """The rules whose blocks are replicas: pipelines, else tensor-parallel groups, else groups. None in a
    gang without such blocks: there every pod is a replica."""
    for scope in ("pp", "tp", "group"):
        found = tuple(at for at, rule in enumerate(problem.rules) if rule.scope == scope)
        if found:
            return found
    return ()


def replicas_of(problem: PlacementProblem) -> Int32:
    """int32[pods]: the replica of every pod, -1 for none."""
    rules = replica_rules(problem)
    if not rules:
        return np.arange(problem.pods, dtype=np.int32)
    found = np.full(problem.pods, -1, dtype=np.int32)
    for at in rules:
        block_of = problem.rules[at].block_of
        new = (block_of >= 0) & (found < 0)
        found[new] = block_of[new] + found.max(initial=-1) + 1
    return found


def evaluate(problem: PlacementProblem, nodes: Int32) -> tuple[int, ...]:
    """The value of every term of the problem, in the problem's order."""
    at = _Reading(problem, nodes)
    return tuple(_value(at, term) for term in problem.terms)


class _Reading:
    """An assignment, of which several terms ask the same: read once per level."""

    def __init__(self, problem: PlacementProblem, nodes: Int32) -> None:
        self.problem, self.nodes = problem, nodes
        self._used: dict[str, Int64] = {}
        self._running = bool((problem.fixed >= 0).any())

    @cached_property
    def asked(self) -> int:
        """What the new members ask of the primary resource."""
        return int(asked(self.problem)[self.problem.primary])

    def used(self, level: str) -> Int64:
        """The domains of a level that the gang uses."""
        found = self._used.get(level)
        if found is None:
            own = self.nodes if level == NODE else self.problem.cluster.domain_of(level)[self.nodes]
            found = self._used[level] = each_once(own)
        return found

    def new(self, level: str) -> Int64:
        """Domains that receive a pod now, as opposed to members that already run."""
        if not self._running:
            return self.used(level)
        return each_once(self.problem.cluster.domain_of(level)[self.nodes[self.problem.fixed < 0]])


def with_bounds(
    names: tuple[str, ...], values: tuple[int, ...], bounds: dict[str, int]
) -> tuple[TermValue, ...]:
    """Terms with what is proven of each. Behind the first term that misses its bound
    nothing is proven but that no term is negative; a term that repeats an earlier one has its bound."""
    terms, proven = [], True
    for name, value in zip(names, values, strict=True):
        bound = bounds.get(name, value) if proven else 0
        terms.append(TermValue(name, value, bound))
        proven = proven and value == bound
    return tuple(terms)


@lru_cache(maxsize=32)  # a cluster is one snapshot: the same arrays are asked for again by every term
def domain_capacity(cluster: Cluster, level: str, primary: int) -> tuple[Int64, Bool]:
    """Per domain of a level: free units of the primary resource on usable nodes
    (int64[domains]), and whether nothing there uses any (bool[domains])."""
    free, busy = _per_node(cluster, primary)
    if level == NODE:  # where nothing is busy, all there is is free
        return free, (busy == 0) & (free > 0)
    owners = _owners(next(part for part in cluster.partitions if part.name == level))
    left, used = (summed(values, *owners) for values in (free, busy))
    return left, (used == 0) & (left > 0)


@lru_cache(maxsize=64)  # partitions are as lasting as the fabric
def _owners(part: Partition) -> tuple[Int32, Int64 | None, int]:
    return part.domain_of, runs(part.domain_of), int(part.domain_of.max(initial=-1)) + 1


@lru_cache(maxsize=8)
def _per_node(cluster: Cluster, primary: int) -> tuple[Int64, Int64]:
    """Free on usable nodes, busy anywhere: int64[nodes]."""
    free, total = cluster.free[primary], cluster.total[primary]
    return (
        np.maximum(free, 0) * cluster.usable,
        np.maximum(total - free, 0),
    )


def _value(at: _Reading, term: str) -> int:
    if term[:1].isdigit():
        return sum(weight * _value(at, part) for weight, part in parts_of(term))
    function, words = _meant(term)
    return function(at, *words)


@lru_cache(maxsize=256)
def _meant(term: str) -> tuple[Callable[..., int], tuple[str, ...]]:
    for pattern, function in _FUNCTIONS:
        match = re.fullmatch(pattern, term)
        if match:
            return function, match.groups()
    raise ValueError(f"unknown objective term {term!r}")


def _tp_crossings(at: _Reading) -> int:
    problem, nodes = at.problem, at.nodes
    return sum(
        int(np.count_nonzero(_spread(problem, nodes, rule, level) > 1))
        for rule in problem.rules
        if rule.scope == "tp"
        for level in rule.preferred
    )


def _pipeline_hops(at: _Reading, level: str) -> int:
    """Neighbouring stages of one replica that do not lie together in one domain."""
    problem, nodes = at.problem, at.nodes
    domains = problem.cluster.domain_of(level)[nodes]
    staged = problem.stage_of >= 0
    if not staged.any():
        return 0
    stages = int(problem.stage_of.max()) + 1
    replicas = int(problem.replica_of.max()) + 1
    cell = problem.replica_of[staged] * stages + problem.stage_of[staged]
    low = np.full(stages * replicas, np.iinfo(np.int32).max, dtype=np.int64)
    high = np.full(stages * replicas, -1, dtype=np.int64)
    np.minimum.at(low, cell, domains[staged])
    np.maximum.at(high, cell, domains[staged])
    first, last = low.reshape(replicas, stages), high.reshape(replicas, stages)
    together = np.maximum(last[:, 1:], last[:, :-1]) == np.minimum(first[:, 1:], first[:, :-1])
    both = (last[:, 1:] >= 0) & (last[:, :-1] >= 0)  # in a batch pipelines differ in length
    return int(np.count_nonzero(both & ~together))


def _preferred(at: _Reading, scope: str, level: str) -> int:
    problem, nodes = at.problem, at.nodes
    return sum(
        int(np.maximum(_spread(problem, nodes, rule, level) - 1, 0).sum())
        for rule in problem.rules
        if rule.scope == scope and level in rule.preferred
    )


def _replica_domains(at: _Reading, level: str) -> int:
    """Domains that replicas use beyond one each: 0 when every replica is packed."""
    touched = _touched(at.problem, at.nodes, level)
    return int(touched.sum() - touched.any(axis=1).sum())


def _replicas_sharing(at: _Reading, level: str) -> int:
    """Pairs of replicas in one domain: small where the loss of a domain hurts few replicas."""
    inside = _touched(at.problem, at.nodes, level).sum(axis=0)
    return int((inside * (inside - 1) // 2).sum())


def _touched(problem: PlacementProblem, nodes: Int32, level: str) -> Bool:
    """bool[replicas, domains used]: whether a replica has a pod in a domain."""
    replica = replicas_of(problem)
    own = replica >= 0
    domains, column = np.unique(problem.cluster.domain_of(level)[nodes[own]], return_inverse=True)
    found = np.zeros((int(replica.max(initial=-1)) + 1, len(domains)), dtype=np.bool_)
    found[replica[own], column] = True
    return found


def _spread(problem: PlacementProblem, nodes: Int32, rule: ScopeRule, level: str) -> Int64:
    """int64[blocks]: domains of a level that each block of a rule touches."""
    member = rule.block_of >= 0
    domains = problem.cluster.domain_of(level)[nodes[member]].astype(np.int64)
    width = int(domains.max(initial=0)) + 1
    pairs = np.unique(rule.block_of[member].astype(np.int64) * width + domains)
    return np.bincount(pairs // width)


def each_once(domains: Int32) -> Int64:
    """The different domains, in order."""
    if len(domains) < 256:  # a set is several times faster than arrays here
        return np.array(sorted(set(domains.tolist())), dtype=np.int64)
    return np.flatnonzero(np.bincount(domains))


def _domains(at: _Reading, level: str) -> int:
    return int(at.used(level).size)


def _broken(at: _Reading, level: str) -> int:
    _, wholly_free = domain_capacity(at.problem.cluster, level, at.problem.primary)
    return int(np.count_nonzero(wholly_free[at.new(level)]))


def _left(at: _Reading, level: str) -> int:
    free, _ = domain_capacity(at.problem.cluster, level, at.problem.primary)
    return int(free[at.used(level)].sum()) - at.asked


def _imbalance(at: _Reading, level: str) -> int:
    problem, nodes = at.problem, at.nodes
    pods = np.bincount(problem.cluster.domain_of(level)[nodes])
    pods = pods[pods > 0]
    return int(pods.max() - pods.min())


def _nodes(at: _Reading) -> int:
    return _domains(at, NODE)


def _nodes_broken(at: _Reading) -> int:
    return _broken(at, NODE)


def _spent(at: _Reading) -> int:
    return int(spent(at.problem)[at.new(NODE)].sum())


_LEVEL = "(.+)"
_FUNCTIONS: tuple[tuple[str, Callable[..., int]], ...] = (
    ("tp_crossings", _tp_crossings),
    (f"pipeline_hops_{_LEVEL}", _pipeline_hops),
    (f"preferred_(gang|part|group|ep|pp|tp|batch)_{_LEVEL}", _preferred),
    (f"replica_domains_{_LEVEL}", _replica_domains),
    (f"replicas_sharing_{_LEVEL}", _replicas_sharing),
    (f"domains_{_LEVEL}", _domains),
    ("nodes_broken", _nodes_broken),
    (f"broken_{_LEVEL}", _broken),
    (f"left_{_LEVEL}", _left),
    (f"imbalance_{_LEVEL}", _imbalance),
    ("nodes", _nodes),
    (SPENT, _spent),
)
