"""The one door: a placement problem in, an assignment or a rejection out.

Every caller (the service, the commands, the simulator) decides through `place`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from scheduler.placement import dp
from scheduler.placement.costs import TreeTerm, in_tables, tree_terms
from scheduler.placement.groups import place_groups
from scheduler.placement.lay import lay
from scheduler.placement.narrow import narrowed
from scheduler.placement.objective import each_once, evaluate, with_bounds
from scheduler.placement.packing import packed
from scheduler.placement.pipelines import chained
from scheduler.placement.problem import (
    NODE,
    Assignment,
    Int32,
    Limits,
    PlacementProblem,
    Rejection,
)
from scheduler.placement.prune import fewest, largest
from scheduler.placement.refuse import refuse
from scheduler.placement.single import solve_single
from scheduler.placement.tree import TreeForm, tree_form

DEFAULT_LIMITS = Limits()


def place(problem: PlacementProblem, *, limits: Limits = DEFAULT_LIMITS) -> Assignment | Rejection:
    """The best assignment of a gang under its policy, or why there is none.

    A single pod is a look at every node, and one pod shape on nested levels a dynamic
    program, both exact; every other gang goes to the integer model, under `limits`.
    Raises Abandoned when they say so.
    """
    limits.go_on()
    single = solve_single(problem)
    if single is not None:
        return single
    form = tree_form(problem)
    if form is not None and not dp.fits(form, problem.pods):
        return _refused(problem, form, limits)
    terms = tree_terms(problem, form) if form is not None else ()
    if form is None or not in_tables(terms):
        return _by_model(problem, limits)
    hopping = chained(problem, form, limits) if dp.fits(form, problem.pods) else None
    if hopping is not None and hopping.proof == "optimal":
        return replace(hopping, levels=_levels(problem, form, hopping.nodes))
    answer = _on_tree(problem, form, terms)
    if answer is None:
        return _refused(problem, form, limits)
    if hopping is not None:
        return _hopping(problem, form, (hopping, answer), limits)
    if answer.proof == "optimal" or limits.refine_s <= 0:
        return answer
    return _better(answer, _by_model(problem, replace(limits, deterministic_s=limits.refine_s)))


MOST_MODELLED = 3_000
"""Pods times nodes up to which pipelines that hop are also modelled one by one, for the terms behind."""


def _hopping(
    problem: PlacementProblem, form: TreeForm, answers: tuple[Assignment, Assignment], limits: Limits
) -> Assignment:
    """The better of the chained pipelines and the tree's, with what is proven of the hops; of small gangs
    the integer model's, where that is better or proven."""
    chains, tree = answers
    if tree.proof == "optimal":
        return tree
    best = _better(chains, tree)
    hops = {term.term: term.bound if term.term.startswith("pipeline_hops") else 0 for term in chains.terms}
    terms = with_bounds(problem.terms, tuple(term.value for term in best.terms), hops)
    best = replace(best, terms=terms, levels=_levels(problem, form, best.nodes))
    if problem.pods * int(np.count_nonzero(form.room)) > MOST_MODELLED or limits.refine_s <= 0:
        return best
    return _better(best, _by_model(problem, replace(limits, deterministic_s=limits.refine_s)))


def _by_model(problem: PlacementProblem, limits: Limits) -> Assignment | Rejection:
    grouped = place_groups(problem)
    if isinstance(grouped, Assignment):
        return grouped
    from scheduler.placement.model import solve_model  # noqa: PLC0415  (loads CP-SAT, 0.75 s, only where needed)
    from scheduler.placement.refuse_general import refuse_general  # noqa: PLC0415

    if grouped is False:
        return refuse_general(problem, limits)
    inside = narrowed(problem, lambda one: packed(one) or solve_model(one, limits, reasons=False))
    return inside if inside is not None else solve_model(problem, limits)


def _better(one: Assignment, other: Assignment | Rejection) -> Assignment:
    """The better of two answers; of equal ones the one of which more is proven."""
    if isinstance(other, Rejection):
        return one
    values = [tuple(term.value for term in answer.terms) for answer in (one, other)]
    if values[0] != values[1]:
        return one if values[0] < values[1] else other
    return other if other.proof == "optimal" else one


def _refused(problem: PlacementProblem, form: TreeForm, limits: Limits) -> Rejection:
    told = refuse(problem, form)
    if told is not None:
        return told
    from scheduler.placement.refuse_general import refuse_general  # noqa: PLC0415  (loads CP-SAT)

    return refuse_general(problem, limits)


def _on_tree(problem: PlacementProblem, form: TreeForm, terms: tuple[TreeTerm, ...]) -> Assignment | None:
    solution = dp.solve(problem, form, terms)
    if solution is None:
        return None
    nodes = lay(problem, form, solution.counts)
    values = with_bounds(problem.terms, evaluate(problem, nodes), solution.bounds)
    proof = "optimal" if all(term.value == term.bound for term in values) else "gap"
    return Assignment(nodes, values, proof, _levels(problem, form, nodes), "tree")


def _levels(problem: PlacementProblem, form: TreeForm, nodes: Int32) -> tuple[tuple[str, int, int], ...]:
    found = []
    for level in problem.cluster.levels:
        used = len(each_once(problem.cluster.domain_of(level)[nodes]))
        found.append((level, used, used if used == 1 else _least(problem, form, level, used)))
    return tuple(found)


def _least(problem: PlacementProblem, form: TreeForm, level: str, used: int) -> int:
    """The fewest domains of a level that could hold the gang, other terms aside; `used` is one answer."""
    at = form.position(level)
    if -(-problem.pods // int(form.capacity[at].max())) == used:
        return used
    simple = fewest(form, at, problem.pods)
    if simple is not None:
        return simple
    if largest(form.capacity[at], problem.pods) == used:
        return used
    name = "nodes" if level == NODE else f"domains_{level}"
    alone = replace(problem, terms=(name,))
    solution = dp.solve(alone, form, tree_terms(alone, form))
    assert solution is not None
    return solution.bounds[name]
