"""The objective's terms as expressions of the integer model, with the meaning that `objective` gives them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from ortools.sat.python import cp_model

from scheduler.placement.counts import Counts
from scheduler.placement.objective import domain_capacity, parts_of, replica_rules
from scheduler.placement.problem import NODE
from scheduler.placement.spent import spent


@dataclass(frozen=True, slots=True)
class Term:
    """A term as an expression of the variables plus what is settled."""

    linear: cp_model.LinearExprT
    offset: int = 0


def term_expression(counts: Counts, term: str) -> Term | None:
    """The expression of a term; None for a term that is settled by others."""
    if term[:1].isdigit():
        return _sum(counts, term)
    if match := re.fullmatch("(replica_domains|replicas_sharing)_(.+)", term):
        return (_replica_domains if match[1] == "replica_domains" else _replicas_sharing)(counts, match[2])
    if term == "tp_crossings":
        return _tp_crossings(counts)
    if match := re.fullmatch("pipeline_hops_(.+)", term):
        return _pipeline_hops(counts, match[1])
    if match := re.fullmatch("preferred_(gang|part|group|ep|pp|tp|batch)_(.+)", term):
        return _preferred(counts, match[1], match[2])
    if term == "nodes":
        return _nodes(counts)
    if term == "nodes_broken":
        return _broken(counts, NODE)
    what, level = term.split("_", 1)
    return _BY_LEVEL[what](counts, level)


def _sum(counts: Counts, term: str) -> Term:
    found = [(weight, term_expression(counts, part)) for weight, part in parts_of(term)]
    there = [(weight, one) for weight, one in found if one is not None]
    return Term(sum(w * one.linear for w, one in there), sum(w * one.offset for w, one in there))


def _replica_uses(counts: Counts, level: str) -> list[dict[int, cp_model.LinearExprT]]:
    """Per replica a truth value for every domain that it may use."""
    rules = counts.problem.rules
    return [
        counts.block_uses(at, block, level)
        for at in replica_rules(counts.problem)
        for block in np.unique(rules[at].block_of[rules[at].block_of >= 0]).tolist()
    ]


def _replica_domains(counts: Counts, level: str) -> Term:
    """0 where every pod is a replica of its own."""
    replicas = _replica_uses(counts, level)
    return Term(sum(flag for one in replicas for flag in one.values()), -len(replicas))


def _replicas_sharing(counts: Counts, level: str) -> Term:
    """Pairs of replicas in one domain: n(n-1)/2 is convex, so its chords at whole numbers are exact."""
    problem = counts.problem
    inside: dict[int, list[cp_model.LinearExprT]] = {}
    replicas = _replica_uses(counts, level)
    for one in replicas:
        for domain, flag in one.items():
            inside.setdefault(domain, []).append(flag)
    if not replicas:
        inside = _pods_inside(counts, level)
    most = len(replicas) or problem.pods
    pairs = []
    for domain, flags in sorted(inside.items()):
        pair = counts.model.new_int_var(0, most * (most - 1) // 2, f"pairs_{level}_{domain}")
        for n in range(1, most):
            counts.model.add(pair >= n * sum(flags) - n * (n + 1) // 2)
        pairs.append(pair)
    return Term(sum(pairs))


def _pods_inside(counts: Counts, level: str) -> dict[int, list[cp_model.LinearExprT]]:
    """Per domain what adds up to its pods, running or new."""
    inside: dict[int, list[cp_model.LinearExprT]] = {}
    for (_, c), var in counts.x.items():
        inside.setdefault(counts.domain(c, level), []).append(var)
    running = counts.problem.fixed[counts.problem.fixed >= 0]
    for domain in counts.problem.cluster.domain_of(level)[running].tolist():
        inside.setdefault(domain, []).append(1)
    return inside


def _followed(counts: Counts, scope: str, level: str) -> list[tuple[int, int]]:
    """(rule, block) of the blocks that prefer a level."""
    found = []
    for at in counts.reduced.followed:
        rule = counts.problem.rules[at]
        if rule.scope == scope and level in rule.preferred:
            blocks = np.unique(rule.block_of)
            found += [(at, block) for block in blocks[blocks >= 0].tolist()]
    return found


def _tp_crossings(counts: Counts) -> Term:
    flags: list[cp_model.LinearExprT] = []
    for at in counts.reduced.followed:
        rule = counts.problem.rules[at]
        if rule.scope != "tp":
            continue
        blocks = np.unique(rule.block_of)
        for level in rule.preferred:
            for block in blocks[blocks >= 0].tolist():
                used = counts.block_uses(at, block, level)
                crosses = counts.model.new_bool_var(f"cross{at}_{block}_{level}")
                counts.model.add(sum(used.values()) - 1 <= len(used) * crosses)
                flags.append(crosses)
    return Term(sum(flags))


def _pipeline_hops(counts: Counts, level: str) -> Term:
    problem = counts.problem
    flags: list[cp_model.LinearExprT] = []
    for replica in range(int(problem.replica_of.max(initial=-1)) + 1):
        for stage in range(int(problem.stage_of.max(initial=-1))):
            here = counts.stage_uses(replica, stage, level)
            there = counts.stage_uses(replica, stage + 1, level)
            if not here or not there:
                continue
            both = []
            for domain in sorted({*here, *there}):
                either = counts.model.new_bool_var(f"either{replica}_{stage}_{level}_{domain}")
                for used in (here, there):
                    if domain in used:
                        counts.model.add(either >= used[domain])
                both.append(either)
            hop = counts.model.new_bool_var(f"hop{replica}_{stage}_{level}")
            counts.model.add(sum(both) - 1 <= len(both) * hop)
            flags.append(hop)
    return Term(sum(flags))


def _preferred(counts: Counts, scope: str, level: str) -> Term:
    blocks = _followed(counts, scope, level)
    used = [flag for at, block in blocks for flag in counts.block_uses(at, block, level).values()]
    return Term(sum(used), -len(blocks))


def _domains(counts: Counts, level: str) -> Term:
    fixed = counts.fixed_domains(level)
    return Term(sum(flag for d, flag in counts.uses(level).items() if d not in fixed), len(fixed))


def _nodes(counts: Counts) -> Term:
    fixed = counts.fixed_domains(NODE)
    return Term(
        sum(
            counts.y[c]
            for c, cls in enumerate(counts.reduced.classes)
            if not (len(cls.nodes) == 1 and cls.nodes[0] in fixed)
        ),
        len(fixed),
    )


def _broken(counts: Counts, level: str) -> Term:
    _, wholly_free = domain_capacity(counts.problem.cluster, level, counts.problem.primary)
    if level == NODE:
        return Term(
            sum(counts.y[c] for c, cls in enumerate(counts.reduced.classes) if wholly_free[cls.nodes[0]])
        )
    return Term(sum(flag for d, flag in counts.uses(level).items() if wholly_free[d]))


def _left(counts: Counts, level: str) -> Term:
    problem, fixed = counts.problem, counts.fixed_domains(level)
    free, _ = domain_capacity(problem.cluster, level, problem.primary)
    asked = sum(
        int(problem.shapes[unit.shape].requests[problem.primary]) * len(unit.pods)
        for unit in counts.reduced.units
    )
    offset = sum(int(free[d]) for d in fixed) - asked
    if level == NODE:
        classes = enumerate(counts.reduced.classes)
        return Term(
            sum(int(free[k.nodes[0]]) * counts.y[c] for c, k in classes if k.nodes[0] not in fixed), offset
        )
    return Term(sum(int(free[d]) * flag for d, flag in counts.uses(level).items() if d not in fixed), offset)


def _spent(counts: Counts, level: str) -> Term:
    assert level == NODE
    each, classes = spent(counts.problem), enumerate(counts.reduced.classes)
    return Term(sum(int(each[cls.nodes[0]]) * counts.y[c] for c, cls in classes))


def _imbalance(counts: Counts, level: str) -> Term:
    """Largest less smallest number of pods in the domains used."""
    problem = counts.problem
    fixed = problem.cluster.domain_of(level)[problem.fixed[problem.fixed >= 0]]
    running = {int(d): int(n) for d, n in zip(*np.unique(fixed, return_counts=True), strict=True)}
    high = counts.model.new_int_var(0, problem.pods, f"high_{level}")
    low = counts.model.new_int_var(0, problem.pods, f"low_{level}")
    flags = counts.uses(level)
    inside: dict[int, list[cp_model.IntVar]] = {d: [] for d in {*flags, *running}}
    for (_, c), var in counts.x.items():
        inside[counts.domain(c, level)].append(var)
    for domain, parts in sorted(inside.items()):
        pods = sum(parts) + running.get(domain, 0)
        counts.model.add(high >= pods)
        if domain in running:
            counts.model.add(low <= pods)
        else:
            counts.model.add(low <= pods + problem.pods * (1 - flags[domain]))
    return Term(high - low)


_BY_LEVEL: Mapping[str, Callable[[Counts, str], Term]] = {
    "domains": _domains,
    "broken": _broken,
    "left": _left,
    "imbalance": _imbalance,
    "spent": _spent,
}
