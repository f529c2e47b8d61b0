"""Why a gang does not fit, to the point: a smallest set of facts, and the nearest changes that help.

A fact is something that could be otherwise: who runs, which nodes are out of use, what
the gang requires. Taking facts away is a change of the problem, and whether the gang
then fits is asked of the same solvers that place it, so nothing here is a guess.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from scheduler.placement.anew import restarted
from scheduler.placement.apart import ApartRule
from scheduler.placement.changes import (
    MOST_FACTS,
    Asker,
    Bars,
    Occupant,
    Surroundings,
    relaxed,
    together,
    unbarred,
    usable,
    without,
)
from scheduler.placement.fixes import fixes_of, listed
from scheduler.placement.problem import Blocking, Fix, Limits, PlacementProblem, Rejection, ScopeRule
from scheduler.placement.shortage import short_of
from scheduler.placement.tally import Tally, tally
from scheduler.placement.tree import tree_form
from scheduler.texts import counted


@dataclass(frozen=True, slots=True, eq=False)
class _Fact:
    """One fact and what it is about: something that runs, a node out of use, a required level, or what
    keeps pods off nodes (`bar`: its place among the bars), or keeps parties apart (`apart`: its place);
    `own`: the gang's own members that run."""

    blocking: Blocking
    occupant: Occupant | None = None
    node: int | None = None
    required: tuple[int, str] | None = None
    bar: tuple[Bars, int] | None = None
    apart: int | None = None
    own: bool = False

    @property
    def passes(self) -> bool:
        """Whether it ends by itself, or by an administrator's hand: who runs, a node out of use."""
        return not self.own and self.required is None and self.bar is None and self.apart is None


def explain(
    problem: PlacementProblem,
    refusal: Rejection,
    around: Surroundings,
    *,
    limits: Limits,
    evictable: Sequence[Occupant] | None = None,
) -> Rejection:
    """The refusal with an irreducible set of blocking facts and with verified fixes.

    Take any one of the facts away (and all that are not named), and the gang fits; checked
    by solving. `evictable`: of whom the fewest victims are named as a fix, too; None when nobody asks.
    A refusal for lack of time is returned as it is.
    """
    if refusal.proof != "proven":
        return refusal
    asker = Asker(limits, most=MOST_FACTS)
    facts = _facts(problem, around, named=[fact.name for fact in refusal.blocking])
    blocking = _irreducible(problem, facts, asker)
    if asker.unsure or asker.left <= 0:
        blocking = ()  # not proven to be irreducible, so not said
    fixes = fixes_of(problem, around, limits)
    if evictable is not None:
        fixes = (*_evictions(problem, evictable, limits), *fixes)
    return replace(refusal, blocking=blocking or refusal.blocking, fixes=fixes)


def _facts(problem: PlacementProblem, around: Surroundings, *, named: Sequence[str]) -> list[_Fact]:
    """Everything that could be otherwise. What stands behind is left out first: what keeps pods off nodes,
    what the gang requires (but last what the refusal has `named`), then nodes, then the smallest of those
    who run, so that few facts are left."""
    stated = [(at, rule, level) for at, rule in enumerate(problem.rules) for level in rule.required]
    stated.sort(key=lambda one: f"{one[1].scope}={one[2]}" not in named)
    return [
        *(_occupied(one) for one in sorted(around.occupants, key=lambda one: (-len(one.use), one.name))),
        *(_out_of_use(problem, node, why) for node, why in around.unusable),
        *_running(problem),
        *(_required(*one) for one in stated),
        *(_apart(at, rule) for at, rule in enumerate(problem.apart)),
        *_barred(around.bars),
    ]


def _barred(bars: Bars | None) -> list[_Fact]:
    if bars is None:
        return []
    return [_Fact(reason, bar=(bars, at)) for at, reason in enumerate(bars.reasons)]


def _running(problem: PlacementProblem) -> list[_Fact]:
    """The gang's own members that run: they never move, unless their gang is started anew."""
    nodes = np.unique(problem.fixed[problem.fixed >= 0]).tolist()
    if not nodes:
        return []
    number = int(np.count_nonzero(problem.fixed >= 0))
    where = listed([problem.cluster.names[node] for node in nodes])
    stay = "runs and stays" if number == 1 else "run and stay"
    fact = f"{counted(number, 'member')} of gang {problem.gang} {stay} on {where}"
    return [_Fact(Blocking("pod", problem.gang, fact), own=True)]


def _occupied(one: Occupant) -> _Fact:
    nodes = len({node for node, _ in one.use})
    fact = f"{one.kind} {one.name} runs {counted(len(one.use), 'pod')} on {counted(nodes, 'node')}"
    return _Fact(Blocking("pod", one.name, fact), occupant=one)


def _lifted(problem: PlacementProblem, gone: Sequence[_Fact]) -> PlacementProblem:
    """The problem with some facts not so."""
    if any(fact.own for fact in gone):
        problem = restarted(problem)
    changed = without([fact.occupant for fact in gone if fact.occupant is not None])(problem)
    lifted = [fact.bar for fact in gone if fact.bar is not None]
    if lifted:
        changed = unbarred(lifted[0][0], [at for _, at in lifted])(changed)
    changed = usable([fact.node for fact in gone if fact.node is not None])(changed)
    for fact in gone:
        if fact.required is not None:
            changed = relaxed(*fact.required, None)(changed)
        if fact.apart is not None:
            changed = together(fact.apart)(changed)
    return changed


def _out_of_use(problem: PlacementProblem, node: int, why: str) -> _Fact:
    name = problem.cluster.names[node]
    return _Fact(Blocking("node", name, f"node {name} is {why}"), node=node)


def _required(at: int, rule: ScopeRule, level: str) -> _Fact:
    role = f" of group {rule.role}" if rule.role else ""
    subject = f"group {rule.role}" if role and rule.scope == "group" else f"{_SUBJECT[rule.scope]}{role}"
    fact = f"{subject} must stay inside one {level}"
    name = f"{rule.scope}={level}{role}"
    return _Fact(Blocking("constraint", name, fact), required=(at, level))


def _apart(at: int, rule: ApartRule) -> _Fact:
    fact = f"{_SUBJECT[rule.scope]} must have its {rule.level} to itself"
    return _Fact(Blocking("constraint", f"{rule.scope} alone in {rule.level}", fact), apart=at)


_SUBJECT = {
    "gang": "the gang",
    "part": "every part",
    "group": "every group",
    "ep": "every expert-parallel group",
    "pp": "every pipeline",
    "tp": "every tensor-parallel group",
}


def _irreducible(problem: PlacementProblem, facts: Sequence[_Fact], asker: Asker) -> tuple[Blocking, ...]:
    """Facts that block together and of which none can be spared."""
    lifted = _lifted(problem, facts)
    if not asker.fits(lifted):
        return short_of(lifted, asker)
    passing = [fact for fact in facts if fact.passes]
    counted = _counted(problem, facts, passing, asker)
    if counted is not None:
        return tuple(fact.blocking for fact in counted)

    def blocked(present: Sequence[_Fact]) -> bool:
        kept = set(map(id, present))
        return not asker.fits(_lifted(problem, [fact for fact in facts if id(fact) not in kept]))

    return tuple(fact.blocking for fact in _needed([], list(facts), blocked, asker, known=False))


def _counted(
    problem: PlacementProblem, facts: Sequence[_Fact], passing: Sequence[_Fact], asker: Asker
) -> list[_Fact] | None:
    """The same for a gang in tree form, one fact after the other from the last: what can be away while the
    gang still does not fit is no reason. None when the problem is no tree."""
    if tree_form(_lifted(problem, passing)) is None:
        return None
    gone: list[_Fact] = []
    for fact in reversed(facts):
        if not fact.passes and not asker.fits(_lifted(problem, [*gone, fact])):
            gone.append(fact)
    counts = tally(
        _lifted(problem, gone),
        [fact.occupant for fact in passing if fact.occupant is not None],
        [fact.node for fact in passing if fact.node is not None],
    )
    if counts is None:
        return None
    needed = {id(fact) for fact in facts if not fact.passes} - set(map(id, gone))
    for fact in reversed(passing):
        _take_away(counts, fact)
        if counts.fits:
            _put_back(counts, fact)
            needed.add(id(fact))
    return [fact for fact in facts if id(fact) in needed]


def _take_away(counts: Tally, fact: _Fact) -> None:
    if fact.occupant is not None:
        counts.leave(fact.occupant)
    elif fact.node is not None:
        counts.open(fact.node)


def _put_back(counts: Tally, fact: _Fact) -> None:
    if fact.occupant is not None:
        counts.come_back(fact.occupant)
    elif fact.node is not None:
        counts.close(fact.node)


def _needed(
    background: list[_Fact],
    candidates: list[_Fact],
    blocked: Callable[[Sequence[_Fact]], bool],
    asker: Asker,
    *,
    known: bool,
) -> list[_Fact]:
    """The part of the candidates that is needed to block, given the background."""
    if known and blocked(background):
        return []
    if len(candidates) == 1 or asker.left <= 0:
        return candidates
    half = len(candidates) // 2
    first, second = candidates[:half], candidates[half:]
    from_second = _needed([*background, *first], second, blocked, asker, known=bool(first))
    from_first = _needed([*background, *from_second], first, blocked, asker, known=bool(from_second))
    return [*from_first, *from_second]


def _evictions(problem: PlacementProblem, occupants: Sequence[Occupant], limits: Limits) -> tuple[Fix, ...]:
    """The fewest victims, as a fix; nothing when not even the eviction of all would help."""
    from scheduler.placement.victims import fewest_victims  # noqa: PLC0415  (loads CP-SAT)

    found = fewest_victims(problem, occupants, Asker(limits))
    if found is None:
        return ()
    names = [one.name for one in found.occupants]
    pods = sum(len(one.use) for one in found.occupants)
    detail = {"victims": names, "pods": pods, "least": found.least, "proof": found.proof}
    proven = "proven fewest" if found.proof == "optimal" else f"at least {found.least}"
    count = f"{len(names)} victim{'s' if len(names) > 1 else ''}"
    change = f"evict {listed(names)} ({count}, {proven}; {pods} pod{'s' if pods > 1 else ''})"
    return (Fix(change, "evict", detail, verified=True),)
