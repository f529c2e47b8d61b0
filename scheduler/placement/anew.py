"""A gang as if none of its members ran: what it could have had, or would have if it were started again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from scheduler.placement.problem import PlacementProblem


def unfixed(problem: PlacementProblem) -> PlacementProblem:
    """The problem with the members that run to be placed, too; their room stays taken."""
    if (problem.fixed < 0).all():
        return problem
    return replace(problem, fixed=np.full(problem.pods, -1, dtype=np.int32))


def restarted(problem: PlacementProblem) -> PlacementProblem:
    """A change: the gang's own members that run are stopped, and placed again with the others."""
    running = np.flatnonzero(problem.fixed >= 0)
    free = problem.cluster.free.copy()
    for pod in running.tolist():
        free[:, int(problem.fixed[pod])] += problem.shapes[int(problem.shape_of[pod])].requests
    return unfixed(replace(problem, cluster=replace(problem.cluster, free=free)))
