"""What tenants receive beside what is theirs: max-min fair shares of the usable GPUs, over time."""

from __future__ import annotations

from collections.abc import Sequence
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


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """float64[tenants] at one time: GPUs that each has, and its fair share of them."""

    received: Any
    entitled: Any


@dataclass(slots=True)
class Tenants:
    """GPUs that each tenant has running and asks for (running or waiting).

    `quotas`: weights; a tenant without one weighs 1.
    """

    quotas: dict[str, float] = field(default_factory=dict)
    _at: dict[str, int] = field(default_factory=dict)
    _weight: list[float] = field(default_factory=list)
    _running: list[int] = field(default_factory=list)
    _asked: list[int] = field(default_factory=list)

    def asks(self, tenant: str, gpus: int) -> None:
        """A job has come (with a minus: it has ended for good)."""
        at = self._at.get(tenant)
        if at is None:
            at = self._at[tenant] = len(self._at)
            self._weight.append(self.quotas.get(tenant, 1.0))
            self._running.append(0)
            self._asked.append(0)
        self._asked[at] += gpus

    def runs(self, tenant: str, gpus: int) -> None:
        """A job has started (with a minus: it has stopped)."""
        self._running[self._at[tenant]] += gpus

    def look(self, capacity: int) -> Held:
        """How it stands now, with so many usable GPUs."""
        asked, weight = np.array(self._asked, dtype=np.float64), np.array(self._weight)
        return Held(np.array(self._running, dtype=np.float64), fair(asked, weight, capacity))

    def summary(self, samples: Sequence[Held], *, every_s: float) -> dict[str, Any]:
        """What stood at samples at even distances, as GPU hours; nothing with fewer than two tenants."""
        if len(self._at) < 2:
            return {}
        received, entitled = np.zeros(len(self._at)), np.zeros(len(self._at))
        for one in samples:
            received[: len(one.received)] += one.received
            entitled[: len(one.entitled)] += one.entitled
        known = entitled > 0
        ratios = received[known] / entitled[known]
        hours = every_s / 3600
        each = {
            name: {
                "received_gpu_h": rounded(received[at] * hours),
                "entitled_gpu_h": rounded(entitled[at] * hours),
            }
            for name, at in sorted(self._at.items())
        }
        return {
            "tenants": len(self._at),
            "jain": rounded(jain(ratios)),
            "most_under_served": rounded(max(0.0, 1 - float(ratios.min(initial=1.0)))),
            "each": each,
        }
