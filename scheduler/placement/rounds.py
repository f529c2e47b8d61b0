"""Gangs of a batch one after the other, each exactly on what the earlier ones left; and again.

Gangs that fell short come earlier in another round (squeaky wheel: Joslin and Clements 1999), and in the
end every gang is placed once more beside all others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from scheduler.placement.contests import Kind, views_of
from scheduler.placement.floors import Floor, kind_of
from scheduler.placement.floors import Kind as KindKey
from scheduler.placement.objective import terms_of
from scheduler.placement.place import place
from scheduler.placement.problem import (
    Assignment,
    Int64,
    Limits,
    PlacementProblem,
    Rejection,
    asked,
)
from scheduler.placement.together import beside, take_back, use

Answer = Assignment | Rejection

_SUMMED = ("tp_crossings", "pipeline_hops_", "preferred_", "domains_")


@dataclass(frozen=True, slots=True, eq=False)
class Round:
    """One way to settle all gangs: an answer for each, and the order in which they were settled."""

    answers: tuple[Answer, ...]
    order: tuple[int, ...]

    @property
    def placed(self) -> list[int]:
        return [at for at, answer in enumerate(self.answers) if isinstance(answer, Assignment)]


class Work:
    """The batch's problems, what each could have alone, and what is left to spend."""

    def __init__(self, problems: Sequence[PlacementProblem], limits: Limits, rounds: int) -> None:
        self.problems, self.limits = tuple(problems), limits
        self.left = rounds * len(problems)
        self.names = _summed_terms(problems)
        self.amounts = [int(asked(problem)[problem.primary]) for problem in problems]
        first = problems[0]
        scarce = first.cluster.resources[first.primary]
        self._needs = [_asks(problem, scarce) for problem in problems]
        self._free = int(np.maximum(first.cluster.free[first.primary][first.cluster.usable], 0).sum())
        self._kinds = [kind_of(problem) for problem in problems]
        by_kind = {kind: Floor(one, self.names) for kind, one in zip(self._kinds, problems, strict=True)}
        self.floors = [by_kind[kind] for kind in self._kinds]
        self._alone: dict[KindKey, Answer] = {}

    def kinds(self, some: Sequence[int]) -> list[Kind]:
        """These gangs by what they ask for."""
        found: dict[KindKey, list[int]] = {}
        for at in some:
            found.setdefault(self._kinds[at], []).append(at)
        return [
            Kind(tuple(own), self.problems[own[0]], self.amounts[own[0]], self.floors[own[0]])
            for own in found.values()
        ]

    def alone(self, at: int) -> Answer:
        """What a gang could have alone on the cluster; the same for gangs that ask for the same."""
        kind = self._kinds[at]
        if kind not in self._alone:
            self._alone[kind] = place(self.problems[at], limits=self.limits)
        return self._alone[kind]

    def unknown(self, at: int) -> bool:
        """Whether a gang ran out of time alone."""
        alone = self.alone(at)
        return isinstance(alone, Rejection) and alone.proof != "proven"

    def possible(self) -> frozenset[int]:
        """The gangs that could be placed alone."""
        every = range(len(self.problems))
        return frozenset(at for at in every if isinstance(self.alone(at), Assignment))

    def round(self, order: Sequence[int]) -> Round:
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
        return Round(tuple(found[at] for at in range(len(found))), tuple(order))

    def improved(self, best: Round, *, wanted: frozenset[int], goal: tuple[int, ...]) -> Round:
        """Rounds in which the gangs that fell short come first, then every gang once more beside the others,
        until the goal is met; a round counts only if it places all that the best one does, and all
        `wanted` ones it can."""
        order, seen = list(best.order), {best.order}
        while self.key(best) != goal and self.left > len(order):
            short = [at for at in order if at in wanted and self._falls_short(best, at)]
            order = [*short, *(at for at in order if at not in short)]
            if tuple(order) in seen:
                break
            seen.add(tuple(order))
            found = self.round(order)
            if set(best.placed) <= set(found.placed) or wanted == self.possible():
                best = min(best, found, key=self.key)
        if self.key(best) == goal or self.left <= 0:
            return best
        self.left -= len(order)
        return self.polished(best)

    def polished(self, best: Round) -> Round:
        """Every gang placed once more on what all the others leave."""
        used: dict[str, Int64] = {}
        for at in best.placed:
            use(self.problems[at], best.answers[at].nodes, used)  # type: ignore[union-attr]  # it is placed
        for at in best.order:
            before = best.answers[at]
            if isinstance(before, Assignment):
                take_back(self.problems[at], before.nodes, used)
            elif isinstance(self.alone(at), Rejection):
                continue
            again = place(beside(self.problems[at], used), limits=self.limits)
            answers = (*best.answers[:at], again, *best.answers[at + 1 :])
            best = min(replace(best, answers=answers), best, key=self.key)
            after = best.answers[at]
            if isinstance(after, Assignment):
                use(self.problems[at], after.nodes, used)
        return best

    def _falls_short(self, one: Round, at: int) -> bool:
        """Whether a gang has less than it could have alone."""
        answer = one.answers[at]
        best = self._best_alone(at, answer)
        if not isinstance(answer, Assignment) or best is None:
            return best is not None
        return self._vector(answer) != best

    def _vector(self, answer: Assignment) -> tuple[int, ...]:
        """What one gang adds to the summed terms."""
        values = {term.term: term.value for term in answer.terms}  # none of them depends on who else runs
        return tuple(values.get(name, 0) for name in self.names)

    def key(self, one: Round) -> tuple[int, ...]:
        """The batch's objective: small is better."""
        vectors = [self._vector(answer) for answer in one.answers if isinstance(answer, Assignment)]
        unplaced = sum(amount for at, amount in enumerate(self.amounts) if at not in set(one.placed))
        return (unplaced, *self._sum(vectors))

    def _sum(self, vectors: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
        zero = (0,) * len(self.names)
        return tuple(sum(values) for values in zip(zero, *vectors, strict=True))

    def bound(self, wanted: frozenset[int], shown: Round) -> tuple[int, ...]:
        """What the objective can be at best if only these gangs may be placed: in lexicographic order, as if
        each were alone; `shown`: answers that there are already. With nothing to spend, by sizes only."""
        if self.left <= 0:
            found: list[tuple[int, ...] | None] = [self.floors[at].vector for at in sorted(wanted)]
        else:
            found = [self._best_alone(at, shown.answers[at]) for at in sorted(wanted)]
        others = sum(amount for at, amount in enumerate(self.amounts) if at not in wanted)
        return (others, *self._sum([vector for vector in found if vector is not None]))

    def _best_alone(self, at: int, shown: Answer | None = None) -> tuple[int, ...] | None:
        """The summed terms of a gang alone; None if it does not fit. Where an answer beside others already
        has what no answer can better, that is it, and nothing needs to be solved."""
        if self._kinds[at] not in self._alone and isinstance(shown, Assignment):
            vector = self._vector(shown)
            if vector == self.floors[at].vector:
                return vector
        alone = self.alone(at)
        return self._vector(alone) if isinstance(alone, Assignment) else None

    def with_least(self, answer: Answer, at: int) -> Answer:
        """An answer whose levels say what the gang could have alone."""
        if not isinstance(answer, Assignment):
            return answer
        alone = self._alone.get(self._kinds[at])
        least = {level: fewest for level, _, fewest in alone.levels} if isinstance(alone, Assignment) else {}
        levels = tuple(
            (level, used, min(fewest, least.get(level, self.floors[at].least(level, fewest))))
            for level, used, fewest in answer.levels
        )
        return replace(answer, levels=levels)

    def too_many(self, some: Sequence[int]) -> bool:
        """Whether these gangs ask for more than there is in all: of the first one's primary resource, or of
        room for pods of one of their shapes."""
        if sum(self._needs[at] for at in some) > self._free:
            return True
        kinds = self.kinds(some)
        each = np.array([len(kind.gangs) for kind in kinds])
        return any(int(each @ np.array(view.sizes)) > int(view.slots.sum()) for view in views_of(kinds))

    def least_unplaced(self) -> int:
        """By free capacity alone: the largest sum of gangs that the free units could hold."""
        possible = self.possible()
        if any(self._needs[at] != self.amounts[at] for at in possible):  # they count in different units
            return sum(amount for at, amount in enumerate(self.amounts) if at not in possible)
        sums = 1  # bit s: some of the gangs add up to s
        for at in possible:
            sums |= sums << self.amounts[at]
        best = (sums & ((1 << (self._free + 1)) - 1)).bit_length() - 1
        return sum(self.amounts) - best


def _asks(problem: PlacementProblem, resource: str) -> int:
    """What the new members ask of a resource, by its name."""
    names = problem.cluster.resources
    return int(asked(problem)[names.index(resource)]) if resource in names else 0


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
