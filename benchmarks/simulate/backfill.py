"""The reservation of the job at the head of the queue, which backfilled jobs must not delay."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.simulate.policies import Answer
from benchmarks.simulate.site import Site
from benchmarks.simulate.traces.job import Job
from scheduler.placement.problem import Int32, Int64, PlacementProblem

Ask = Callable[[Callable[[], PlacementProblem]], Answer]


@dataclass(slots=True)
class Reservation:
    """When the head can start at the latest, and what is free beside it then (int64[resources, nodes])."""

    at_s: float
    room: Int64

    def beside(self, free: Int64) -> Int64:
        """What a job may use that runs on beyond the reserved time."""
        return np.minimum(free, self.room)

    def take(self, job: Job, site: Site) -> None:
        """A job that runs on beyond the reserved time has started."""
        self.room = self.room - site.use_of(job, site.running()[job.id][1])


def reserve(head: Job, site: Site, ends: Sequence[tuple[float, Job, Int32]], ask: Ask) -> Reservation:
    """The first end of a running gang after which the head has a place, as the decider sees it.

    A head that has none even then (nodes are out) reserves nothing.
    """
    free, gpus = site.free(), site.free_gpus
    for at, (end_s, job, nodes) in enumerate(ends):
        free = free + site.use_of(job, nodes)
        gpus += job.gpus
        if gpus < head.gpus or (at + 1 < len(ends) and ends[at + 1][0] == end_s):
            continue
        answer = ask(lambda room=free: site.problem(head, free=room))  # type: ignore[misc]  # bound now
        if answer.nodes is not None:
            return Reservation(end_s, free - site.use_of(head, answer.nodes))
    return Reservation(float("inf"), free)
