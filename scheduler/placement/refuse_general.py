"""Why a gang without tree form does not fit: the first block that no domain could hold, else the whole."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from scheduler.model import Code
from scheduler.placement.anew import unfixed
from scheduler.placement.apart import ApartRule
from scheduler.placement.counts import Counts
from scheduler.placement.groups import groups_fit
from scheduler.placement.problem import (
    Blocking,
    Bool,
    Int32,
    Int64,
    Limits,
    PlacementProblem,
    Rejection,
    ScopeRule,
    slots,
)
from scheduler.placement.refuse import SCOPE_WORDS, lacking, lost_nodes, no_node
from scheduler.placement.search import Search
from scheduler.placement.shortage import too_large
from scheduler.placement.units import reduce
from scheduler.texts import counted


def refuse_general(problem: PlacementProblem, limits: Limits) -> Rejection:
    """The rejection of a gang that is proven not to fit now. It is possible when it would fit empty nodes,
    with those of its members that run placed anew."""
    if not all(shape.ever.any() for shape in problem.shapes):
        return no_node(problem)
    large = too_large(problem)
    if large is not None:
        return large
    possible = _possible(unfixed(problem), limits)
    if possible is False:
        problem = unfixed(problem)
    for at in reversed(range(len(problem.rules))):
        found = _too_small(problem, problem.rules[at], possible=possible is not False)
        if found is not None:
            return found
    few = _too_few(problem, possible=possible is not False)
    if few is not None or possible is not False:
        return few or _whole(problem, possible=True)
    bound = any(rule.required for rule in problem.rules) or bool(problem.apart)
    loose = bound and _possible(replace(problem, rules=(), apart=()), limits) is True
    return _not_together(problem) if loose else _whole(problem, possible=False)


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
            own = np.flatnonzero(rule.block_of == block)
            what = f"group {rule.names[block]}" if rule.names else SCOPE_WORDS[rule.scope]
            new = own[problem.fixed[own] < 0]
            room = _room(problem, new, level, ever=not possible)
            best, needed = int(room.max(initial=0)), len(new)
            message = (
                f"{what} needs {counted(needed, 'pod')} in one {level}; the best {level} has room for {best}"
            )
            running = np.unique(problem.cluster.domain_of(level)[problem.fixed[own[problem.fixed[own] >= 0]]])
            if running.size:
                best = int(room[running[0]]) if running.size == 1 else 0
                message = _beside(problem, (what, level), running, needed, best)
            if best < needed:
                when = "now" if possible else "even when empty"
                code = Code.NO_DOMAIN_FITS if possible else Code.TOO_LARGE_FOR_LEVEL
                fact = Blocking("constraint", f"{rule.scope}={level}", f"{what} must stay inside one {level}")
                return Rejection(
                    code,
                    message if running.size > 1 else f"{message} {when}",
                    possible,
                    level=level,
                    needed=needed,
                    best=best,
                    blocking=(fact, *lost_nodes(problem, possible=possible)),
                )
    return None


def _beside(problem: PlacementProblem, words: tuple[str, str], running: Int32, needed: int, best: int) -> str:
    """How members that run bind the others of their block; `words`: the block, and the level."""
    what, level = words
    names = [problem.cluster.domain_name(level, domain) for domain in running.tolist()]
    if len(names) > 1:
        return (
            f"{what} must stay in one {level}, but members of it already run in {len(names)}: "
            f"{', '.join(names[:3])}{', ...' if len(names) > 3 else ''}; running members never move"
        )
    more = f"needs {counted(needed, 'pod')} more there"
    return f"{what} runs in {level} {names[0]} and {more}; it has room for {best}"


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


def _not_together(problem: PlacementProblem) -> Rejection:
    """All pods have room on empty nodes, every block of theirs has a domain, and yet not all at once."""
    every = {scope: re.sub("^an? ", "every ", words) for scope, words in SCOPE_WORDS.items()}
    wishes = [f"{every[one.scope]} in one {level}" for one in problem.rules for level in one.required]
    wishes += [f"{every[one.scope]} alone in its {one.level}" for one in problem.apart]
    message = (
        f"the gang's {counted(problem.pods, 'pod')} fit these nodes when empty, but not with "
        f"{' and '.join(dict.fromkeys(wishes))}"
    )
    levels = [level for rule in problem.rules for level in rule.required]
    levels += [rule.level for rule in problem.apart]
    facts = tuple(Blocking("constraint", wish, wish) for wish in dict.fromkeys(wishes))
    return Rejection(
        Code.TOO_LARGE_FOR_LEVEL,
        message,
        possible=False,
        level=levels[0],
        needed=problem.pods,
        best=0,
        blocking=facts,
    )


def _room(
    problem: PlacementProblem, pods: np.ndarray[tuple[int], np.dtype[np.int64]], level: str, *, ever: bool
) -> Int64:
    """int64[domains]: the most of these pods that each could take, every shape judged on its own."""
    domains = problem.cluster.domain_of(level)
    count = int(domains.max(initial=0)) + 1
    total = np.zeros(count, dtype=np.int64)
    for shape in np.unique(problem.shape_of[pods]).tolist():
        wanted = int(np.count_nonzero(problem.shape_of[pods] == shape))
        room = np.bincount(domains, weights=slots(problem, shape, ever=ever), minlength=count)
        total += np.minimum(room.astype(np.int64), wanted)
    return total


def _whole(problem: PlacementProblem, *, possible: bool) -> Rejection:
    pods = np.flatnonzero(problem.fixed < 0)
    everywhere = replace(problem, rules=())
    best = min(_best_anywhere(everywhere, pods, ever=not possible), len(pods))
    when = "now" if possible else "even on empty nodes"
    code, scattered = lacking(problem, possible=possible)
    new = "more " if len(pods) < problem.pods else ""
    message = f"the gang's {counted(len(pods), f'{new}pod')} cannot be placed together {when}"
    if best < len(pods):
        message += f"; there is room for {best} of them"
    else:
        message += ": each has room, but not all at once"
        if any(rule.required for rule in problem.rules) or problem.apart:
            message += " within what the gang requires"
    message += scattered
    resource = problem.cluster.resources[problem.primary]
    fact = Blocking(
        "resource", resource, f"{counted(len(pods), 'pod')} needed, room for {best} without constraints"
    )
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
