"""What tenants receive beside what is theirs: max-min fair shares of the usable GPUs, over time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.simulate.stats import rounded


def fair(demand: Any, weight: Any, capacity: float) -> Any:
    """float64[tenants]: the max-min fair share of each, by weight and never more than it asks for."""
    share = np.zeros(len(demand))
    order = np.argsort(demand / weight, kind="stable")
    left, heavy = capacity, float(weight.sum())
    for at in order.tolist():
        share[at] = min(float(demand[at]), left * float(weight[at]) / heavy)
        left -= share[at]
        heavy -= float(weight[at])
    return share


def jain(ratios: Any) -> float:
    """Jain's index of what each has of what is its own: 1 when all have the same part, 1/n at worst."""
    total = float((ratios * ratios).sum()) * len(ratios)
    return float(ratios.sum()) ** 2 / total if total else 1.0


@dataclass(slots=True)
class Tenants:
    """GPUs that run and that are asked for, and the integrals of what is received and entitled.

    `quotas`: weights; a tenant without one weighs 1 (where there are none at all: all the same).
    """

    quotas: dict[str, float] = field(default_factory=dict)
    _at: dict[str, int] = field(default_factory=dict)
    _weight: Any = field(default_factory=lambda: np.zeros(0))
    _running: Any = field(default_factory=lambda: np.zeros(0))
    _asked: Any = field(default_factory=lambda: np.zeros(0))
    _received: Any = field(default_factory=lambda: np.zeros(0))
    _entitled: Any = field(default_factory=lambda: np.zeros(0))
    _share: Any = None
    _capacity: float = -1.0

    def asks(self, tenant: str, gpus: int) -> None:
        """A job has come (with a minus: it has ended for good)."""
        at = self._place(tenant)
        self._asked[at] += gpus
        self._share = None

    def runs(self, tenant: str, gpus: int) -> None:
        """A job has started (with a minus: it has stopped)."""
        at = self._place(tenant)
        self._running[at] += gpus

    def advance(self, passed_s: float, capacity: int) -> None:
        """Time passes in which nothing changes."""
        if len(self._at) < 2:
            return
        if self._share is None or capacity != self._capacity:
            all_asked = float(self._asked.sum())
            self._share = (
                self._asked.copy() if all_asked <= capacity else fair(self._asked, self._weight, capacity)
            )
            self._capacity = capacity
        self._received += self._running * passed_s
        self._entitled += self._share * passed_s

    def summary(self) -> dict[str, Any]:
        """Nothing with fewer than two tenants."""
        if len(self._at) < 2:
            return {}
        known = self._entitled > 0
        ratios = np.where(known, self._received / np.where(known, self._entitled, 1), 0)[known]
        each = {
            name: {
                "received_gpu_h": rounded(self._received[at] / 3600),
                "entitled_gpu_h": rounded(self._entitled[at] / 3600),
            }
            for name, at in sorted(self._at.items())
        }
        return {
            "tenants": len(self._at),
            "jain": rounded(jain(ratios)),
            "most_under_served": rounded(max(0.0, 1 - float(ratios.min(initial=1.0)))),
            "each": each,
        }

    def _place(self, tenant: str) -> int:
        found = self._at.get(tenant)
        if found is None:
            found = self._at[tenant] = len(self._at)
            weight = self.quotas.get(tenant, 1.0)
            self._weight = np.append(self._weight, weight)
            for name in ("_running", "_asked", "_received", "_entitled"):
                setattr(self, name, np.append(getattr(self, name), 0.0))
            self._share = None
        return found
