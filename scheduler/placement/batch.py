"""Several gangs as one problem: every gang keeps its own rules, the objective counts them together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from scheduler.placement.objective import evaluate, terms_of
from scheduler.placement.problem import (
    Assignment,
    Int32,
    Int64,
    PlacementProblem,
    ScopeRule,
    ShapeDemand,
    TermValue,
)
from scheduler.placement.prune import fewest
from scheduler.placement.tree import tree_form


def combine(problems: Sequence[PlacementProblem]) -> PlacementProblem:
    """One problem of all pods, gang after gang; all problems are of one snapshot of the cluster.

    An assignment of it is an assignment of each gang that leaves room for the others.
    """
    first = problems[0]
    resources = tuple(dict.fromkeys(name for one in problems for name in one.cluster.resources))
    cluster = replace(
        first.cluster,
        resources=resources,
        free=_rows([one.cluster.free for one in problems], problems, resources),
        total=_rows([one.cluster.total for one in problems], problems, resources),
    )
    rules = tuple(rule for at in range(len(problems)) for rule in _own_rules(problems, at))
    stage = np.concatenate([one.stage_of for one in problems])
    shapes = tuple(_widened(shape, one, resources) for one in problems for shape in one.shapes)
    kinds = [len(one.shapes) for one in problems]
    counts = [int(one.replica_of.max(initial=-1)) + 1 for one in problems]
    return PlacementProblem(
        gang=", ".join(one.gang for one in problems),
        cluster=cluster,
        shapes=shapes,
        shape_of=np.concatenate(_shifted([one.shape_of for one in problems], kinds)),
        rules=rules,
        stage_of=stage,
        replica_of=np.concatenate(_shifted([one.replica_of for one in problems], counts)),
        fixed=np.concatenate([one.fixed for one in problems]),
        primary=resources.index(first.cluster.resources[first.primary]),
        terms=terms_of(tuple(p.name for p in cluster.partitions), rules, pipeline=bool((stage > 0).any())),
        excluded=first.excluded,
    )


def split(problems: Sequence[PlacementProblem], answer: Assignment) -> list[Assignment]:
    """Each gang's part of a combined answer. What is proven is proven of the batch: of one gang's
    terms only that they are not negative, and that a level has at least one domain."""
    ends = np.cumsum([one.pods for one in problems])
    return [
        _part(one, nodes, answer.proof)
        for one, nodes in zip(problems, np.split(answer.nodes, ends[:-1]), strict=True)
    ]


def _part(problem: PlacementProblem, nodes: Int32, proof: str) -> Assignment:
    values = zip(problem.terms, evaluate(problem, nodes), strict=True)
    form, domain_of = tree_form(problem), problem.cluster.domain_of
    levels = tuple(
        (
            level,
            int(np.unique(domain_of(level)[nodes]).size),
            (fewest(form, form.position(level), problem.pods) if form else None) or 1,
        )
        for level in problem.cluster.levels
    )
    terms = tuple(TermValue(name, value, 0) for name, value in values)
    return Assignment(nodes, terms, proof, levels, "batch")


def _own_rules(problems: Sequence[PlacementProblem], at: int) -> list[ScopeRule]:
    """The rules of one gang over the pods of all: others belong to no block of theirs."""
    before = sum(one.pods for one in problems[:at])
    after = sum(one.pods for one in problems[at + 1 :])
    return [
        replace(
            rule,
            name=f"{problems[at].gang} {rule.name}",
            block_of=np.pad(rule.block_of, (before, after), constant_values=-1),
        )
        for rule in problems[at].rules
    ]


def _shifted(values: Sequence[Int32], counts: Sequence[int]) -> list[Int32]:
    """Numbers of several gangs kept apart; -1 stays -1."""
    starts = np.cumsum([0, *counts[:-1]])
    return [
        np.where(own >= 0, own + start, -1).astype(np.int32)
        for own, start in zip(values, starts, strict=True)
    ]


def _rows(given: Sequence[Int64], problems: Sequence[PlacementProblem], resources: tuple[str, ...]) -> Int64:
    """int64[resources, nodes] with a row per resource that any of the problems names."""
    found = {
        name: rows[at]
        for rows, one in zip(given, problems, strict=True)
        for at, name in enumerate(one.cluster.resources)
    }
    return np.stack([found[name] for name in resources])


def _widened(shape: ShapeDemand, problem: PlacementProblem, resources: tuple[str, ...]) -> ShapeDemand:
    asked = dict(zip(problem.cluster.resources, shape.requests.tolist(), strict=True))
    return replace(shape, requests=np.array([asked.get(name, 0) for name in resources], dtype=np.int64))
