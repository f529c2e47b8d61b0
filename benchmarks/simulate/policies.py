"""Who decides in a simulation: the engine under one of its policies, or a heuristic to compare with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.simulate.rivals import RIVALS
from benchmarks.simulate.traces.job import invalid
from scheduler.placement.place import place
from scheduler.placement.policy import PRESETS
from scheduler.placement.problem import Assignment, Int32, Limits, PlacementProblem, slots

LOCKSTEP = "lockstep"
NAMES = (LOCKSTEP, *PRESETS, *RIVALS)


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """The node of every rank (None: no room found), and how far it is proven: `optimal`, `gap` or
    `timed_out`; `proven` or `timed_out` of a refusal; `heuristic` where nothing is."""

    nodes: Int32 | None
    proof: str


Decide = Callable[[PlacementProblem], Answer]


def decider(name: str, *, limits: Limits) -> Decide:
    """The decider of a name; raises InvalidInput for a name that is none."""
    if name == LOCKSTEP or name in PRESETS:
        return lambda problem: _no_room(problem) or _by_engine(problem, limits)
    rival = RIVALS.get(name)
    if rival is None:
        raise invalid("--policy", "name", name, f"one of {', '.join(NAMES)}")
    return lambda problem: _no_room(problem) or Answer(rival(problem), "heuristic")


def objective_of(name: str) -> str:
    """The objective policy that gangs ask for under a decider."""
    return name if name in PRESETS else ""


def _no_room(problem: PlacementProblem) -> Answer | None:
    """The refusal that needs no decider: all nodes together have room for fewer pods. Saves the engine
    its explanation, which nobody reads here."""
    return Answer(None, "proven") if int(slots(problem, 0).sum()) < problem.pods else None


def _by_engine(problem: PlacementProblem, limits: Limits) -> Answer:
    answer = place(problem, limits=limits)
    if isinstance(answer, Assignment):
        return Answer(answer.nodes, answer.proof)
    return Answer(None, answer.proof)
