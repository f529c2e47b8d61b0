"""Who decides in a simulation: the engine under one of its policies, or a heuristic to compare with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b

from benchmarks.simulate.rivals import RIVALS, at_random
from benchmarks.simulate.traces.job import invalid
from scheduler.placement.place import place
from scheduler.placement.policy import PRESETS
from scheduler.placement.problem import Assignment, Int32, Limits, PlacementProblem, slots

LOCKSTEP = "lockstep"
RANDOM = "random"
NAMES = (LOCKSTEP, *PRESETS, *RIVALS, RANDOM)


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """The node of every rank (None: no room found), and how far it is proven: `optimal`, `gap` or
    `timed_out`; `proven` or `timed_out` of a refusal; `heuristic` where nothing is."""

    nodes: Int32 | None
    proof: str


Decide = Callable[[PlacementProblem], Answer]


def decider(name: str, *, limits: Limits, seed: int = 0) -> Decide:
    """The decider of a name; raises InvalidInput for a name that is none. `seed`: of `random`."""
    if name == LOCKSTEP or name in PRESETS:
        return lambda problem: _no_room(problem) or _by_engine(problem, limits)
    rival = partial(at_random, seed=seed) if name == RANDOM else RIVALS.get(name)
    if rival is None:
        raise invalid("--policy", "name", name, f"one of {', '.join(NAMES)}")
    return lambda problem: _no_room(problem) or Answer(rival(problem), "heuristic")


def remembered(decide: Decide, *, most: int = 1 << 16, most_pods: int = 1 << 22) -> Decide:
    """A decider that answers the same problem on the same free capacity from memory.

    Exact: problems formulated once share their shapes, so those and what is free are the whole
    problem. A full cluster comes back to the same states again and again. At most `most`
    answers, or answers for `most_pods` pods, are kept; then it begins anew.
    """
    pods = 0
    kept: dict[tuple[int, bytes], tuple[object, Answer]] = {}

    def answer(problem: PlacementProblem) -> Answer:
        nonlocal pods
        free = blake2b(problem.cluster.free.data, digest_size=16).digest()
        key = (id(problem.shapes), free)
        known = kept.get(key)
        if known is not None:
            return known[1]
        found = decide(problem)
        pods += problem.pods
        if len(kept) >= most or pods > most_pods:
            kept.clear()
            pods = 0
        kept[key] = (problem.shapes, found)  # holding the shapes keeps their id theirs
        return found

    return answer


def objective_of(name: str) -> str:
    """The objective policy that gangs ask for under a decider."""
    return name if name in PRESETS else ""


def _no_room(problem: PlacementProblem) -> Answer | None:
    """The refusal that needs no decider: all nodes together have room for fewer pods. Saves the engine
    its explanation, which nobody reads here."""
    if problem.pods == 1:  # looked at in no time, but for a refusal's reasons
        asked = problem.shapes[0].requests[problem.primary]
        return None if problem.cluster.free[problem.primary].max() >= asked else Answer(None, "proven")
    return Answer(None, "proven") if int(slots(problem, 0).sum()) < problem.pods else None


def _by_engine(problem: PlacementProblem, limits: Limits) -> Answer:
    answer = place(problem, limits=limits)
    if isinstance(answer, Assignment):
        return Answer(answer.nodes, answer.proof)
    return Answer(None, answer.proof)
