"""The state of the cluster over time, sampled at even distances that widen as the run grows."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from benchmarks.simulate.deep import Deep, Mix, look
from benchmarks.simulate.site import Site
from benchmarks.simulate.tenants import Held, Tenants
from scheduler.placement.problem import Int32, Int64

MOST = 1024
"""Samples kept; past that every second one goes and the distance doubles. Memory is flat, and
the same run gives the same samples."""

DEEP_EVERY = 8
"""Of so many samples one is followed by a look at what the free GPUs are good for."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The cluster at one time. `gfr`: share of GPU nodes with both an allocated and a free GPU;
    `fragmented`: per level 1 - (free GPUs in wholly free domains / free GPUs); `largest`: per
    level the most pods of a whole node that one domain could take; `queued`:
    jobs that wait; `held`: what tenants have."""

    busy_gpus: int
    open_gpus: int
    free_gpus: int
    gfr: float
    fragmented: dict[str, float]
    largest: dict[str, int]
    queued: int
    held: Held


@dataclass(slots=True)
class Samples:
    """Samples at 0, `every_s`, 2 `every_s`, ...; `deep` at every eighth of these times."""

    site: Site
    tenants: Tenants
    mix: Mix = field(default_factory=Mix)
    every_s: float = 1.0
    taken: list[Sample] = field(default_factory=list)
    deep: list[Deep] = field(default_factory=list)

    def until(self, now_s: float, *, queued: int) -> None:
        """The state held from the last call up to, and not including, `now_s`."""
        while now_s > self.every_s * MOST:
            self.taken, self.deep = self.taken[::2], self.deep[::2]
            self.every_s *= 2
        missing = int(-(-now_s // self.every_s)) - len(self.taken)
        if missing > 0:
            self.taken += [self._sample(queued)] * missing
            deep = -(-len(self.taken) // DEEP_EVERY) - len(self.deep)
            if deep > 0:
                self.deep += [look(self.site, self.mix)] * deep

    def counted(self, since_s: float) -> tuple[list[Sample], list[Deep]]:
        """Samples at and after a time."""
        first = int(-(-since_s // self.every_s))
        return self.taken[first:], self.deep[-(-first // DEEP_EVERY) :]

    def _sample(self, queued: int) -> Sample:
        free, total = self.site.gpu_rows()
        free = np.maximum(free, 0)
        here = total > 0
        part = here & (free > 0) & (free < total)
        size = int(total.max(initial=0))
        slots = free // size if size else free
        all_free = int(free.sum())
        return Sample(
            busy_gpus=self.site.busy_gpus,
            open_gpus=self.site.open_gpus,
            free_gpus=all_free,
            gfr=float(part.sum() / max(here.sum(), 1)),
            fragmented={level: _fragmented(of, free, total) for level, of in self.site.domain_of.items()},
            largest={
                level: int(np.bincount(of, weights=slots).max()) for level, of in self.site.domain_of.items()
            },
            queued=queued,
            held=self.tenants.look(self.site.open_gpus),
        )


def _fragmented(domain_of: Int32, free: Int64, total: Int64) -> float:
    """1 - (free GPUs in wholly free domains / free GPUs); 0 when nothing is free."""
    free_in, total_in = np.bincount(domain_of, weights=free), np.bincount(domain_of, weights=total)
    all_free = float(free_in.sum())
    if all_free == 0:
        return 0.0
    return float(1 - free_in[(free_in == total_in)].sum() / all_free)
