"""The decision on the gangs that wait: together, and safe against bugs of ours."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from scheduler.engine.plans import Request
from scheduler.model import Code
from scheduler.placement.batch import BatchAnswer, place_batch
from scheduler.placement.place import place
from scheduler.placement.problem import Assignment, Limits, PlacementProblem, Rejection

log = logging.getLogger(__name__)

BATCH, BATCH_ROUNDS = 8, 2
"""How many waiting gangs are decided together, and in how many rounds at most."""


def decide(requests: Sequence[Request], limits: Limits) -> BatchAnswer:
    """Who waits together is placed together, in the order of the queue."""
    return decided([request.problem for request in requests], limits)


def decided(problems: Sequence[PlacementProblem], limits: Limits) -> BatchAnswer:
    """The same of bare problems, which alone determine the answer.

    What breaks a batch must not break every gang in it: then only the first is decided, on its own.
    """
    if len(problems) > 1:
        try:
            found = place_batch(problems, limits=limits, in_order=True, rounds=BATCH_ROUNDS)
        except Exception:
            log.exception("a batch of %d gangs failed, by a bug of ours", len(problems))
        else:
            log.info("batch of %d gangs: %s", len(problems), found.proof)
            return found
    return BatchAnswer((_alone(problems[0], limits),), (0,), ())


def _alone(problem: PlacementProblem, limits: Limits) -> Assignment | Rejection:
    """The decision; a gang that breaks the solver is refused, and the others go on."""
    try:
        return place(problem, limits=limits)
    except Exception as error:
        log.exception("gang %s: not placed, by a bug of ours", problem.gang)
        message = f"an error of ours, please report it: {type(error).__name__}: {error}"
        return Rejection(Code.FAILED, message, possible=True, proof="timed_out", needed=problem.pods)
