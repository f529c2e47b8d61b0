"""Where a gang of several pods sits: domains touched, crossings, price. The same seats are looked at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.simulate.communication import Listener, Talk
from benchmarks.simulate.site import Key, Site, key_of
from benchmarks.simulate.traces.job import Job
from benchmarks.simulate.words import ranges
from scheduler.placement.problem import Int32

_MOST_PODS = 1 << 20


@dataclass(frozen=True, slots=True)
class Seat:
    """`spans`: per level the domains it touches; `crossings`: pairs of neighbouring ranks in different
    leaves, None without leaves; `nodes`: as `ranges` writes them; `talk`: of several pods."""

    spans: tuple[int, ...]
    crossings: int | None
    nodes: str
    talk: Talk | None


class Seats:
    """Remembers the seats of equal gangs on equal nodes: those of a full cluster come again and again."""

    def __init__(self, site: Site, listener: Listener) -> None:
        self._site, self._listener = site, listener
        self._known: dict[tuple[Key, bytes], Seat] = {}
        self._pods = 0

    def of(self, job: Job, nodes: Int32) -> Seat:
        """The seat of a gang."""
        key = (key_of(job), nodes.tobytes())
        found = self._known.get(key)
        if found is None:
            if self._pods > _MOST_PODS:
                self._known.clear()
                self._pods = 0
            found = self._known[key] = self._look(job, nodes)
            self._pods += len(nodes) + 64
        return found

    def _look(self, job: Job, nodes: Int32) -> Seat:
        domains = {level: of[nodes] for level, of in self._site.domain_of.items()}
        spans = tuple(int(np.unique(domains[level]).size) for level in self._site.levels)
        leaf = domains.get("leaf")
        crossings = None if leaf is None else int((leaf[1:] != leaf[:-1]).sum())
        return Seat(spans, crossings, ranges(nodes), self._listener.hear(job, nodes))
