"""Why a gang without tree form does not fit: the first block that no domain could hold, else the whole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from scheduler.model import Code
from scheduler.placement.apart import ApartRule
from scheduler.placement.counts import Counts
from scheduler.placement.groups import groups_fit
from scheduler.placement.problem import (
    Blocking,
    Bool,
    Int64,
    Limits,
    PlacementProblem,
    Rejection,
    ScopeRule,
    slots,
)
from scheduler.placement.refuse import SCOPE_WORDS, lacking, lost_nodes, no_node
from scheduler.placement.search import Search
from scheduler.placement.units import reduce


def refuse_general(problem: PlacementProblem, limits: Limits) -> Rejection:
    """The rejection of a gang that is proven not to fit now."""
    if not all(shape.ever.any() for shape in problem.shapes):
        return no_node(problem)
    possible = _possible(problem, limits)
    for at in reversed(range(len(problem.rules))):
        found = _too_small(problem, problem.rules[at], possible=possible is not False)
        if found is not None:
            return found
    return _too_few(problem, possible=possible is not False) or _whole(
        problem, possible=possible is not False
    )


def _possible(problem: PlacementProblem, limits: Limits) -> bool | None:
    """Whether the gang would fit with nothing else running; None when time ran out first."""
    known = groups_fit(problem, ever=True)
    if known is not None:
        return known
    counts = Counts(problem, reduce(problem, ever=True), ever=True)
    if counts.hopeless:
        return False
    search = Search(counts.model, limits.deterministic_s / 2)
    if search.feasible({}):
        return True
    return None if search.unknown else False


def _too_small(problem: PlacementProblem, rule: ScopeRule, *, possible: bool) -> Rejection | None:
    """The block of a rule for which no domain of its level has room, counted shape by shape."""
    blocks = np.unique(rule.block_of)
    for level in rule.required:
        for block in blocks[blocks >= 0].tolist():
            pods = np.flatnonzero((rule.block_of == block) & (problem.fixed < 0))
            needed, best = len(pods), _best(problem, pods, level, ever=not possible)
            if best < needed:
                what = SCOPE_WORDS[rule.scope]
                when = "now" if possible else "even when empty"
                code = Code.NO_DOMAIN_FITS if possible else Code.TOO_LARGE_FOR_LEVEL
                message = (
                    f"{what} needs {needed} pods in one {level}; the best {level} has room for {best} {when}"
                )
                fact = Blocking("constraint", f"{rule.scope}={level}", f"{what} must stay inside one {level}")
                return Rejection(
                    code,
                    message,
                    possible,
                    level=level,
                    needed=needed,
                    best=best,
                    blocking=(fact, *lost_nodes(problem, possible=possible)),
                )
    return None


def _too_few(problem: PlacementProblem, *, possible: bool) -> Rejection | None:
    """The parties that want domains for themselves, where fewer domains have room for any of them."""
    for rule in problem.apart:
        lone = np.flatnonzero(rule.lone)
        holds = np.zeros(int(problem.cluster.domain_of(rule.level).max(initial=-1)) + 1, dtype=np.bool_)
        for party in lone.tolist():
            holds |= _could_hold_some(
                problem, np.flatnonzero(rule.party_of == party), rule, ever=not possible
            )
        best = int(holds.sum())
        if best < lone.size:
            what, when = SCOPE_WORDS[rule.scope].removeprefix("a "), "now" if possible else "even when empty"
            message = (
                f"{lone.size} {what}s need a {rule.level} each to themselves; "
                f"{best} {rule.level}s have room for one {when}"
            )
            fact = Blocking(
                "constraint",
                f"{rule.scope} alone in {rule.level}",
                f"every {what} must have its {rule.level} to itself",
            )
            return Rejection(
                Code.NO_DOMAIN_FITS if possible else Code.CLUSTER_TOO_SMALL,
                message,
                possible,
                level=rule.level,
                needed=int(lone.size),
                best=best,
                blocking=(fact, *lost_nodes(problem, possible=possible)),
            )
    return None


def _could_hold_some(problem: PlacementProblem, pods: Int64, rule: ApartRule, *, ever: bool) -> Bool:
    """bool[domains]: with room for the whole party where it stays in one domain of the rule's level, else
    for some pod of it; with a member that runs there, too."""
    domains = problem.cluster.domain_of(rule.level)
    count = int(domains.max(initial=-1)) + 1
    new = pods[problem.fixed[pods] < 0]
    whole = any(
        rule.level in one.required and one.block_of[pods[0]] >= 0 and np.unique(one.block_of[pods]).size == 1
        for one in problem.rules
    )
    found = np.full(count, whole or not new.size, dtype=np.bool_)
    for shape in np.unique(problem.shape_of[new]).tolist():
        wanted = int(np.count_nonzero(problem.shape_of[new] == shape)) if whole else 1
        enough = np.bincount(domains, weights=slots(problem, shape, ever=ever), minlength=count) >= wanted
        found = found & enough if whole else found | enough
    found[domains[problem.fixed[pods[problem.fixed[pods] >= 0]]]] = True
    return found


def _best(
    problem: PlacementProblem, pods: np.ndarray[tuple[int], np.dtype[np.int64]], level: str, *, ever: bool
) -> int:
    """The most of these pods that a domain could take, each shape judged on its own."""
    domains = problem.cluster.domain_of(level)
    count = int(domains.max(initial=0)) + 1
    total = np.zeros(count, dtype=np.int64)
    for shape in np.unique(problem.shape_of[pods]).tolist():
        wanted = int(np.count_nonzero(problem.shape_of[pods] == shape))
        room = np.bincount(domains, weights=slots(problem, shape, ever=ever), minlength=count)
        total += np.minimum(room.astype(np.int64), wanted)
    return int(total.max(initial=0))


def _whole(problem: PlacementProblem, *, possible: bool) -> Rejection:
    pods = np.flatnonzero(problem.fixed < 0)
    everywhere = replace(problem, rules=())
    best = min(_best_anywhere(everywhere, pods, ever=not possible), len(pods))
    when = "now" if possible else "even on empty nodes"
    code, scattered = lacking(problem, possible=possible)
    message = f"the gang's {len(pods)} pods do not fit together {when}"
    if best < len(pods):
        message += f"; there is room for {best} of them"
    else:
        message += ": each alone has room, but not all under the gang's constraints"
    message += scattered
    resource = problem.cluster.resources[problem.primary]
    fact = Blocking("resource", resource, f"{len(pods)} pods needed, room for {best} without constraints")
    return Rejection(
        code,
        message,
        possible,
        level="cluster",
        needed=len(pods),
        best=best,
        blocking=(fact, *lost_nodes(problem, possible=possible)),
    )


def _best_anywhere(
    problem: PlacementProblem, pods: np.ndarray[tuple[int], np.dtype[np.int64]], *, ever: bool
) -> int:
    total = 0
    for shape in np.unique(problem.shape_of[pods]).tolist():
        wanted = int(np.count_nonzero(problem.shape_of[pods] == shape))
        total += min(int(slots(problem, shape, ever=ever).sum()), wanted)
    return total
