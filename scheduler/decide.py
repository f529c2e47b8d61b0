"""The decision on the gangs that wait: together, and safe against bugs of ours."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from scheduler.engine.plans import Request
from scheduler.model import Code
from scheduler.placement.batch import BatchAnswer, place_batch
from scheduler.placement.place import place
from scheduler.placement.problem import Assignment, Limits, Rejection

log = logging.getLogger(__name__)

BATCH, BATCH_ROUNDS = 8, 2
"""How many waiting gangs are decided together, and in how many rounds at most."""


def decide(requests: Sequence[Request], limits: Limits) -> BatchAnswer:
    """Who waits together is placed together, in the order of the queue.

    What breaks a batch must not break every gang in it: then only the first is decided, on its own.
    """
    if len(requests) > 1:
        try:
            problems = [request.problem for request in requests]
            found = place_batch(problems, limits=limits, in_order=True, rounds=BATCH_ROUNDS)
        except Exception:
            log.exception("a batch of %d gangs failed, by a bug of ours", len(requests))
        else:
            log.info("batch of %d gangs: %s", len(requests), found.proof)
            return found
    return BatchAnswer((_alone(requests[0], limits),), (0,), ())


def _alone(request: Request, limits: Limits) -> Assignment | Rejection:
    """The decision; a gang that breaks the solver is refused, and the others go on."""
    try:
        return place(request.problem, limits=limits)
    except Exception as error:
        log.exception("gang %s: not placed, by a bug of ours", request.gang.key)
        message = f"an error of ours, please report it: {type(error).__name__}: {error}"
        return Rejection(Code.FAILED, message, possible=True, proof="timed_out", needed=request.problem.pods)
