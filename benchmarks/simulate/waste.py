"""Healthy GPUs that failures leave unusable for tensor parallelism of a size (InfiniteHBD's waste)."""

from __future__ import annotations

import numpy as np

from benchmarks.simulate.site import Site
from benchmarks.simulate.stats import share

SIZES = (8, 16, 32, 64)
"""GPUs that must be inside one high-bandwidth domain: an NVLink domain, or a machine."""


class Waste:
    """Time means of waste per size. Counted anew only where nodes have failed or come back."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._all = int(site.all_gpus().sum())
        self._seen = -1
        self._now: dict[int, int] = {}
        self._gpu_s: dict[int, float] = {}
        self._passed_s = 0.0

    def advance(self, passed_s: float) -> None:
        """Time in which nothing changes."""
        if self._seen != self._site.changes:
            self._seen = self._site.changes
            self._now = self._look()
        self._passed_s += passed_s
        for size, gpus in self._now.items():
            if gpus:
                self._gpu_s[size] = self._gpu_s.get(size, 0.0) + gpus * passed_s

    def summary(self) -> dict[str, float]:
        """Per size the mean over time of unusable healthy GPUs over all GPUs."""
        return {
            str(size): share(self._gpu_s.get(size, 0.0), self._all * self._passed_s) for size in self._now
        }

    def _look(self) -> dict[int, int]:
        healthy = self._site.gpu_rows()[1]
        domain = self._site.domain_of.get("nvlink")
        held = healthy if domain is None else np.bincount(domain, weights=healthy).astype(np.int64)
        whole = self._site.all_gpus()
        widest = whole if domain is None else np.bincount(domain, weights=whole).astype(np.int64)
        return {size: int((held % size).sum()) for size in SIZES if size <= int(widest.max(initial=0))}
