"""Several gangs at once: what the batch can have at best, and the best that is found.

A batch first places as much as it can (`unplaced`, in units of the primary resource), then
adds up over its gangs what each of them wants first: wishes kept, few domains. One after the other
(rounds) is fast and often best already. It is proven where it meets a bound: a gang alone on the
cluster bounds what it can have beside others, and gangs that compete for the same domains have a
tighter one in common (rivals). Where neither is met, batches of one pod shape are solved as one model
of flows (jointly), and what is small as one problem (together).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from scheduler.placement.nesting import nested
from scheduler.placement.objective import evaluate, with_bounds
from scheduler.placement.place import place
from scheduler.placement.problem import (
    Assignment,
    Int32,
    Int64,
    Limits,
    PlacementProblem,
    Rejection,
    TermValue,
)
from scheduler.placement.rounds import Answer, Round, Work
from scheduler.placement.seats import seated
from scheduler.placement.together import beside, solve_together, use

MOST_ROUNDS = 20
"""How often all gangs of a batch may be placed again."""

SMALL_PODS, SMALL_NODES = 64, 400
"""What is small enough to be solved as one problem."""

MOST_UNSURE = 3
"""After so many of whom it stays open whether they fit beside those before them, no more are tried."""

BOUND_S, DIVIDE_S, FLOWS_S = 0.2, 0.1, 0.4
"""What the common bound, dividing level by level, and the model of flows may cost at most, in
deterministic seconds."""


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


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """The best so far, and a lower bound on its key in lexicographic order."""

    best: Round
    least: tuple[int, ...]


def place_batch(
    problems: Sequence[PlacementProblem], *, limits: Limits, in_order: bool, rounds: int = MOST_ROUNDS
) -> BatchAnswer:
    """Gangs of one snapshot together. With `in_order` no gang gives way to one behind it: each is placed
    if it can be beside all that are placed before it, wherever they then are. Otherwise the order means
    nothing. `rounds`: how often all gangs may be placed again; with 0 nothing is solved together."""
    work = Work(problems, limits, rounds)
    best = work.round(range(len(problems)))
    if in_order:
        best, wanted, unsure = _in_order(work, best, rounds)
    else:
        wanted, unsure = work.possible(), frozenset(filter(work.unknown, range(len(problems))))
    found = _Found(best, _least_alone(work, best, wanted))
    steps = (_by_flows, _by_rounds, _as_one) if rounds else ()
    for step in steps if in_order else (_by_size, *steps):
        limits.go_on()
        if wanted and work.key(found.best) != found.least:
            found = step(work, found, wanted)
    best, least = found.best, found.least
    if in_order and len(best.placed) > len(wanted):  # there was room for more than was known
        least = work.bound(frozenset(best.placed), best)
    if unsure := unsure - set(best.placed):
        least = (least[0] - sum(work.amounts[at] for at in unsure), *[0] * len(work.names))
    answers = tuple(work.with_least(one, at) for at, one in enumerate(best.answers))
    names = ("unplaced", *work.names)
    terms = with_bounds(names, work.key(best), dict(zip(names, least, strict=True)))
    return BatchAnswer(answers, best.order, terms)


def _in_order(work: Work, best: Round, rounds: int) -> tuple[Round, frozenset[int], frozenset[int]]:
    """Who is placed when nobody gives way to one behind: an answer with all of them; they; and those of
    the others of whom it is not proven that they cannot be placed beside those before them."""
    wanted: list[int] = []
    unsure: set[int] = set()
    for at in range(len(work.problems)):
        if at in best.placed:
            wanted.append(at)
            continue
        some = [*wanted, at]
        if work.too_many(some) or (isinstance(work.alone(at), Rejection) and not work.unknown(at)):
            continue
        if not rounds or len(unsure) >= MOST_UNSURE or work.unknown(at):
            unsure.add(at)
            continue
        together = place_batch(
            [work.problems[one] for one in some], limits=work.limits, in_order=False, rounds=rounds
        )
        shown = dict(zip(some, together.answers, strict=True))
        nodes = {one: answer.nodes for one, answer in shown.items() if isinstance(answer, Assignment)}
        if len(nodes) == len(some):
            best, wanted = _round_of(work, nodes), some
        elif together.terms[0].bound == 0:
            unsure.add(at)
    return best, frozenset(wanted), frozenset(unsure)


def _least_alone(work: Work, best: Round, wanted: frozenset[int]) -> tuple[int, ...]:
    """A lower bound by what each gang could have alone, and by what there is of the primary resource."""
    least = work.bound(wanted, best)
    if wanted <= set(best.placed):
        return least
    return max(least, (work.least_unplaced(), *[0] * len(work.names)))


def _by_size(work: Work, found: _Found, wanted: frozenset[int]) -> _Found:
    """The largest first."""
    by_size = sorted(range(len(work.problems)), key=lambda at: (-work.amounts[at], work.problems[at].gang))
    best = min(found.best, work.round(by_size), key=work.key)
    return _Found(best, _least_alone(work, best, wanted))


def _by_flows(work: Work, found: _Found, wanted: frozenset[int]) -> _Found:
    """The bound that gangs which compete have in common; where it is not met, all of them as flows."""
    if work.limits.refine_s <= 0:
        return found
    from scheduler.placement.jointly import best_together, good_together  # noqa: PLC0415  (loads CP-SAT, 0.75 s)
    from scheduler.placement.rivals import Stakes, least_together  # noqa: PLC0415

    every, kinds = range(len(work.problems)), work.kinds(sorted(wanted))
    stakes = partial(
        Stakes,
        kinds,
        work.names,
        all_placed=wanted <= set(found.best.placed),
        others=sum(work.amounts[at] for at in every if at not in wanted),
    )
    least = max(found.least, least_together(stakes(), limits=_at_most(work.limits, BOUND_S)))
    nest = nested(kinds, stakes().levels().values()) if work.key(found.best) != least else None
    if nest is None:
        return replace(found, least=least)
    best = found.best
    shares = None if nest.mixed else good_together(stakes(), nest, limits=_at_most(work.limits, DIVIDE_S))
    if shares is not None:
        best = min(best, _round_of(work, seated(shares, kinds)), key=work.key)
    if work.key(best) != least:
        shown = {at: own.nodes for at, own in enumerate(best.answers) if isinstance(own, Assignment)}
        shares = best_together(stakes(), nest, limits=_at_most(work.limits, FLOWS_S), shown=shown)
        if shares is not None:
            least = max(least, shares.bounds)
            if shares.values < work.key(best):
                best = _round_of(work, seated(shares, kinds))
    return _Found(best if best is found.best else work.polished(best), least)


def _at_most(limits: Limits, seconds: float) -> Limits:
    return replace(limits, deterministic_s=min(limits.refine_s, seconds))


def _by_rounds(work: Work, found: _Found, wanted: frozenset[int]) -> _Found:
    return replace(found, best=work.improved(found.best, wanted=wanted, goal=found.least))


def _as_one(work: Work, found: _Found, wanted: frozenset[int]) -> _Found:
    """The batch as one problem, where that is small: all that is wanted, or as much of it as fits."""
    pods = sum(work.problems[at].pods for at in wanted)
    if pods > SMALL_PODS or work.problems[0].cluster.size > SMALL_NODES:
        return found
    together = solve_together(
        [(at, work.problems[at], work.amounts[at]) for at in sorted(wanted)],
        names=work.names,
        limits=replace(work.limits, deterministic_s=work.limits.refine_s),
        floor=sum(work.amounts[at] for at in found.best.placed),
    )
    if together is None:
        return found
    one = _round_of(work, together.nodes)
    if work.key(one) > work.key(found.best):
        return found
    one = work.polished(one)
    return _Found(one, work.key(one) if together.proven else found.least)


def _round_of(work: Work, nodes: Mapping[int, Int32]) -> Round:
    """Gangs on these nodes (int32[pods] each), and the others on what that leaves."""
    answers: dict[int, Answer] = {}
    used: dict[str, Int64] = {}
    for at, own in sorted(nodes.items()):
        answers[at] = _plain(work.problems[at], own)
        use(work.problems[at], own, used)
    for at, problem in enumerate(work.problems):
        if at in nodes:
            continue
        answer = place(beside(problem, used), limits=work.limits)
        if isinstance(answer, Assignment):
            use(problem, answer.nodes, used)
        elif isinstance(alone := work.alone(at), Rejection):
            answer = alone  # others have nothing to do with it
        answers[at] = answer
    return Round(tuple(answers[at] for at in range(len(answers))), tuple(answers))


def _plain(problem: PlacementProblem, nodes: Int32) -> Assignment:
    """Nodes as an answer of which nothing is proven yet."""
    terms = with_bounds(problem.terms, evaluate(problem, nodes), dict.fromkeys(problem.terms, 0))
    return Assignment(nodes, terms, "gap")
