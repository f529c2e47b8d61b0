"""What the free GPUs are good for: slots per size and level, and fragmentation against the mix of gangs.

Dearer than the other samples, so taken less often.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from benchmarks.simulate.site import Key, Site, key_of
from benchmarks.simulate.traces.job import Job
from scheduler.placement.problem import Int64, slots

SIZES = (1, 8, 16, 32, 64, 128, 256, 512, 1024)
"""GPUs of a slot."""

TYPICAL_SHARE = 0.95
MOST_KINDS = 40


@dataclass(frozen=True, slots=True)
class Deep:
    """`slots`: per level ("cluster": one domain) how many gangs of each of `SIZES`, in pods of whole
    nodes, could start inside one domain each; `fgd` and `gang`: F and F_gang, as shares of G."""

    slots: dict[str, tuple[int, ...]]
    fgd: float
    fgd_idle: float
    gang: float


@dataclass(slots=True)
class Mix:
    """The kinds of gangs that have come, by how often."""

    counts: Counter[Key] = field(default_factory=Counter)
    jobs: dict[Key, Job] = field(default_factory=dict)

    def add(self, job: Job) -> None:
        """One more has come."""
        key = key_of(job)
        self.counts[key] += 1
        self.jobs.setdefault(key, job)

    def typical(self) -> list[tuple[Job, float]]:
        """The most frequent kinds that make up 95 % (at most 40), with weights that add up to 1."""
        total, seen = self.counts.total(), 0
        kept: list[tuple[Job, int]] = []
        for key, count in sorted(self.counts.items(), key=lambda item: (-item[1], item[0])):
            if seen >= TYPICAL_SHARE * total or len(kept) == MOST_KINDS:
                break
            kept.append((self.jobs[key], count))
            seen += count
        return [(job, count / seen) for job, count in kept]


def look(site: Site, mix: Mix) -> Deep:
    """The state now."""
    free, total = site.gpu_rows()
    free = np.maximum(free, 0)
    capacity, idle = int(total.sum()), int(free.sum())
    fgd = gang = 0.0
    for job, weight in mix.typical():
        problem = site.problem(job)
        room = slots(problem, 0)
        fgd += weight * (idle if not job.gpus_per_pod else int(free[room == 0].sum()))
        gang += weight * (idle - _fillable(site, job, problem_room=_unbounded(site, job, free, room)))
    return Deep(_slots(site, free, total), _of(fgd, capacity), _of(fgd, idle), _of(gang, capacity))


def _of(part: float, whole: int) -> float:
    return part / whole if whole else 0.0


def _unbounded(site: Site, job: Job, free: Int64, room: Int64) -> Int64:
    """Pods per node; the engine counts at most the gang's size, which is no bound for many gangs."""
    if not job.gpus_per_pod:
        return room
    rows = site.free()
    asked = site.use_of(job, np.arange(len(free), dtype=np.int32))
    with np.errstate(divide="ignore"):
        fits = np.where(asked > 0, rows // np.maximum(asked, 1), np.iinfo(np.int64).max).min(axis=0)
    return np.where(room > 0, fits, 0)


def _fillable(site: Site, job: Job, *, problem_room: Int64) -> int:
    """P(m, t): GPUs that copies of a gang could fill, each inside one domain of the level it needs."""
    level = site.needed_level(job)
    held = problem_room.sum()[None] if level is None else np.bincount(site.domain_of[level], problem_room)
    return int((held.astype(np.int64) // job.pods).sum()) * job.gpus


def _slots(site: Site, free: Int64, total: Int64) -> dict[str, tuple[int, ...]]:
    machine = max(int(total.max(initial=0)), 1)
    found: dict[str, list[int]] = {level: [] for level in ("cluster", *site.levels)}
    for size in SIZES:
        pods, each = -(-size // machine), min(size, machine)
        room = free // each
        found["cluster"].append(int(room.sum()) // pods)
        for level in site.levels:
            held = np.bincount(site.domain_of[level], room).astype(np.int64)
            found[level].append(int((held // pods).sum()))
    return {level: tuple(counts) for level, counts in found.items()}
