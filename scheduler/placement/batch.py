"""Several gangs at once: one after the other exactly, in the order that serves all best, with a bound.

A batch first places as much as it can (`unplaced`, in units of the primary resource), then
adds up over its gangs what each of them wants first: wishes kept, few domains. A gang alone on
the cluster bounds what it can have beside others, so the sum of these optima is a lower bound,
and where the batch meets it, it is proven. Where not, gangs that fell short come earlier in
another round (squeaky wheel: Joslin and Clements 1999), every gang is placed again beside the
others, and what is small enough is solved as one problem.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from scheduler.placement.floors import Floor, Kind, kind_of
from scheduler.placement.objective import evaluate, terms_of, with_bounds
from scheduler.placement.place import place
from scheduler.placement.problem import (
    Assignment,
    Int32,
    Int64,
    Limits,
    PlacementProblem,
    Rejection,
    TermValue,
    asked,
)
from scheduler.placement.together import beside, solve_together, use

Answer = Assignment | Rejection

MOST_ROUNDS = 20
"""How often all gangs of a batch may be placed again."""

SMALL_PODS, SMALL_NODES = 64, 400
"""What is small enough to be solved as one problem."""

_SUMMED = ("tp_crossings", "pipeline_hops_", "preferred_", "domains_")


@dataclass(frozen=True, slots=True, eq=False)
class BatchAnswer:
    """An answer for every gang, in the order given; they hold together.

    `order`: indices of the gangs as they were settled, each on what the earlier ones left;
    `terms`: the batch's own objective with bounds; `proof`: `optimal` when every bound is met, else `gap`.
    """

    answers: tuple[Answer, ...]
    order: tuple[int, ...]
    terms: tuple[TermValue, ...]

    @property
    def proof(self) -> str:
        return "optimal" if all(term.value == term.bound for term in self.terms) else "gap"


def place_batch(
    problems: Sequence[PlacementProblem], *, limits: Limits, in_order: bool, rounds: int = MOST_ROUNDS
) -> BatchAnswer:
    """Gangs of one snapshot together. With `in_order` no gang gives way to one behind it: who is
    placed is settled by the order, and only where is settled together. Otherwise the order means
    nothing. `rounds`: how often all gangs may be placed again."""
    work = _Work(problems, limits, rounds)
    best = work.round(range(len(problems)))
    if not in_order:
        by_size = sorted(range(len(problems)), key=lambda at: (-work.amounts[at], problems[at].gang))
        best = min(best, work.round(by_size), key=work.key)
    wanted = frozenset(best.placed) if in_order else work.possible()
    best = work.improved(best, wanted=wanted)
    if work.key(best) != work.bound(wanted, best):
        best = _exactly(work, best, wanted)
    answers = tuple(work.with_least(one, at) for at, one in enumerate(best.answers))
    return BatchAnswer(answers, best.order, work.terms(best, wanted))


@dataclass(frozen=True, slots=True, eq=False)
class _Round:
    """One way to settle all gangs."""

    answers: tuple[Answer, ...]
    order: tuple[int, ...]
    proven: bool = False

    @property
    def placed(self) -> list[int]:
        return [at for at, answer in enumerate(self.answers) if isinstance(answer, Assignment)]


class _Work:
    """The batch's problems, what each could have alone, and what is left to spend."""

    def __init__(self, problems: Sequence[PlacementProblem], limits: Limits, rounds: int) -> None:
        self.problems, self.limits = tuple(problems), limits
        self.left = rounds * len(problems)
        self.names = _summed_terms(problems)
        self.amounts = [int(asked(problem)[problem.primary]) for problem in problems]
        self.kinds = [kind_of(problem) for problem in problems]
        by_kind = {kind: Floor(one, self.names) for kind, one in zip(self.kinds, problems, strict=True)}
        self.floors = [by_kind[kind] for kind in self.kinds]
        self.by_kind: dict[Kind, Answer] = {}

    def alone(self, at: int) -> Answer:
        """What a gang could have alone on the cluster; the same for gangs that ask for the same."""
        kind = self.kinds[at]
        if kind not in self.by_kind:
            self.by_kind[kind] = place(self.problems[at], limits=self.limits)
        return self.by_kind[kind]

    def possible(self) -> frozenset[int]:
        """The gangs that could be placed alone."""
        every = range(len(self.problems))
        return frozenset(at for at in every if isinstance(self.alone(at), Assignment))

    def best_alone(self, at: int, shown: Answer | None = None) -> tuple[int, ...] | None:
        """The summed terms of a gang alone; None if it does not fit. Where an answer beside others already
        has what no answer can better, that is it, and nothing needs to be solved."""
        if self.kinds[at] not in self.by_kind and isinstance(shown, Assignment):
            vector = self.vector(shown)
            if vector == self.floors[at].vector:
                return vector
        alone = self.alone(at)
        return self.vector(alone) if isinstance(alone, Assignment) else None

    def round(self, order: Sequence[int]) -> _Round:
        """One gang after the other in this order, each on what the earlier ones left."""
        used: dict[str, Int64] = {}
        found: dict[int, Answer] = {}
        for at in order:
            if used:
                found[at] = place(beside(self.problems[at], used), limits=self.limits)
                self.left -= 1
            else:
                found[at] = self.alone(at)
            answer = found[at]
            if isinstance(answer, Rejection) and isinstance(alone := self.alone(at), Rejection):
                found[at] = alone  # others have nothing to do with it
            if isinstance(answer, Assignment):
                use(self.problems[at], answer.nodes, used)
        return _Round(tuple(found[at] for at in range(len(found))), tuple(order))

    def improved(self, best: _Round, *, wanted: frozenset[int]) -> _Round:
        """Rounds in which the gangs that fell short come first, then every gang once more beside the
        others; a round counts only if it places all that the best one does, and all `wanted` ones it can."""
        goal, order, seen = self.bound(wanted, best), list(best.order), {best.order}
        while self.key(best) != goal and self.left > len(order):
            short = [at for at in order if at in wanted and self.falls_short(best, at)]
            order = [*short, *(at for at in order if at not in short)]
            if tuple(order) in seen:
                break
            seen.add(tuple(order))
            found = self.round(order)
            if set(best.placed) <= set(found.placed) or wanted == self.possible():
                best = min(best, found, key=self.key)
        return self.polished(best) if self.key(best) != goal else best

    def polished(self, best: _Round) -> _Round:
        """Every gang placed once more on what all the others leave."""
        for at in best.order:
            if self.left <= 0 or not isinstance(self.alone(at), Assignment):
                continue
            used: dict[str, Int64] = {}
            for other, answer in enumerate(best.answers):
                if other != at and isinstance(answer, Assignment):
                    use(self.problems[other], answer.nodes, used)
            self.left -= 1
            again = place(beside(self.problems[at], used), limits=self.limits)
            answers = (*best.answers[:at], again, *best.answers[at + 1 :])
            best = min(replace(best, answers=answers), best, key=self.key)
        return best

    def falls_short(self, one: _Round, at: int) -> bool:
        """Whether a gang has less than it could have alone."""
        answer = one.answers[at]
        best = self.best_alone(at, answer)
        if not isinstance(answer, Assignment) or best is None:
            return best is not None
        return self.vector(answer) != best

    def vector(self, answer: Assignment) -> tuple[int, ...]:
        """What one gang adds to the summed terms."""
        values = {term.term: term.value for term in answer.terms}  # none of them depends on who else runs
        return tuple(values.get(name, 0) for name in self.names)

    def key(self, one: _Round) -> tuple[int, ...]:
        """The batch's objective: small is better."""
        vectors = [self.vector(answer) for _, answer in _assignments(one.answers)]
        unplaced = sum(amount for at, amount in enumerate(self.amounts) if at not in one.placed)
        return (unplaced, *(sum(values) for values in zip(*vectors, strict=True))) if vectors else (unplaced,)

    def bound(self, wanted: frozenset[int], shown: _Round) -> tuple[int, ...]:
        """What the objective can be at best if these gangs are placed, each as if it were alone;
        `shown`: answers that there are already."""
        found = [self.best_alone(at, shown.answers[at]) for at in sorted(wanted)]
        vectors = [vector for vector in found if vector is not None]
        unplaced = sum(amount for at, amount in enumerate(self.amounts) if at not in wanted)
        return (unplaced, *(sum(values) for values in zip(*vectors, strict=True))) if vectors else (unplaced,)

    def with_least(self, answer: Answer, at: int) -> Answer:
        """An answer whose levels say what the gang could have alone."""
        if not isinstance(answer, Assignment):
            return answer
        alone = self.by_kind.get(self.kinds[at])
        least = {level: fewest for level, _, fewest in alone.levels} if isinstance(alone, Assignment) else {}
        levels = tuple(
            (level, used, min(fewest, least.get(level, self.floors[at].least(level, fewest))))
            for level, used, fewest in answer.levels
        )
        return replace(answer, levels=levels)

    def terms(self, one: _Round, wanted: frozenset[int]) -> tuple[TermValue, ...]:
        """The objective with what is proven of it."""
        values, least = self.key(one), self.bound(wanted, one)
        names = ("unplaced", *self.names)[: len(values)]
        if one.proven:
            return with_bounds(names, values, {})
        all_placed = set(wanted) <= set(one.placed)
        bounds = dict(zip(names, least, strict=False)) if all_placed else {}
        bounds["unplaced"] = least[0] if all_placed else max(least[0], self.least_unplaced())
        if not all_placed:  # fewer gangs than wanted are placed: what they could have at best is not known
            bounds |= dict.fromkeys(names[1:], 0)
        return with_bounds(names, values, bounds)

    def least_unplaced(self) -> int:
        """By free capacity alone: the largest sum of gangs that the free units could hold."""
        first = self.problems[0]
        free = int(np.maximum(first.cluster.free[first.primary][first.cluster.usable], 0).sum())
        sums = 1  # bit s: some of the gangs add up to s
        for at in self.possible():
            sums |= sums << self.amounts[at]
        best = (sums & ((1 << (free + 1)) - 1)).bit_length() - 1
        return sum(self.amounts) - best


def _assignments(answers: Sequence[Answer]) -> list[tuple[int, Assignment]]:
    return [(at, answer) for at, answer in enumerate(answers) if isinstance(answer, Assignment)]


def _exactly(work: _Work, best: _Round, wanted: frozenset[int]) -> _Round:
    """The batch as one problem, where that is small: all that is wanted, or as much of it as fits."""
    pods = sum(work.problems[at].pods for at in wanted)
    if not wanted or pods > SMALL_PODS or work.problems[0].cluster.size > SMALL_NODES:
        return best
    found = solve_together(
        [(at, work.problems[at], work.amounts[at]) for at in sorted(wanted)],
        names=work.names,
        limits=replace(work.limits, deterministic_s=work.limits.refine_s),
        floor=sum(work.amounts[at] for at in best.placed),
    )
    if found is None:
        return best
    answers, used = [work.alone(at) for at in range(len(work.problems))], dict[str, Int64]()
    for at, nodes in found.nodes.items():
        answers[at] = _plain(work.problems[at], nodes)
        use(work.problems[at], nodes, used)
    for at in sorted(work.possible() - found.nodes.keys()):
        answers[at] = place(beside(work.problems[at], used), limits=work.limits)
    exact = _Round(tuple(answers), (*found.nodes, *sorted(work.possible() - found.nodes.keys())))
    if work.key(exact) > work.key(best):
        return best
    work.left = max(work.left, len(exact.order))
    return replace(work.polished(exact), proven=found.proven)


def _plain(problem: PlacementProblem, nodes: Int32) -> Assignment:
    """Nodes as an answer of which nothing is proven yet."""
    terms = with_bounds(problem.terms, evaluate(problem, nodes), dict.fromkeys(problem.terms, 0))
    return Assignment(nodes, terms, "gap")


def _summed_terms(problems: Sequence[PlacementProblem]) -> tuple[str, ...]:
    """The terms that every gang asks for first, in one order: only these may be added up over gangs."""
    levels = tuple(p.name for p in problems[0].cluster.partitions)
    rules = tuple(rule for one in problems for rule in one.rules)
    pipeline = any((one.stage_of > 0).any() for one in problems)
    every = [name for name in terms_of(levels, rules, pipeline=pipeline) if name.startswith(_SUMMED)]
    found: list[str] = []
    for name in every:
        asking = [one.terms for one in problems if name in one.terms]
        if not all(terms[: terms.index(name)] == _of(found, terms) for terms in asking):
            break
        found.append(name)
    return tuple(found)


def _of(names: Sequence[str], terms: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in names if name in terms)
