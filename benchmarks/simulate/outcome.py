"""What became of one job, and the words for sizes and nodes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.simulate.communication import Talk
from scheduler.placement.problem import Int32

CLASSES = (("0", 0), ("1", 1), ("2-8", 8), ("9-64", 64), ("65-256", 256), (">256", 1 << 62))
"""Size classes by GPUs: name and the most GPUs in it."""


@dataclass(slots=True)
class Outcome:
    """What became of one job; times in seconds of the simulation, None while they are not known.

    `spans`: per level the domains it touches; `least`: the fewest it could. `crossings`: pairs of
    neighbouring ranks in different leaves. All of the last start, which was at `placed_s`.
    """

    id: str
    submit_s: float
    run_s: float
    pods: int
    gpus: int
    tenant: str
    start_s: float | None = None
    end_s: float | None = None
    restarts: int = 0
    lost_s: float = 0.0
    proof: str = ""
    spans: tuple[int, ...] = ()
    least: tuple[int, ...] = ()
    crossings: int | None = None
    nodes: str = ""
    priority: int = 0
    placed_s: float | None = None
    talk: Talk | None = None

    @property
    def wait_s(self) -> float | None:
        return None if self.start_s is None else self.start_s - self.submit_s


def ranges(nodes: Int32) -> str:
    """The nodes of a gang in one word: `3-6,9x4` is four nodes with a pod each, and four pods on node 9."""
    at, counts = np.unique(nodes, return_counts=True)
    parts: list[tuple[int, int, int]] = []
    for node, count in zip(at.tolist(), counts.tolist(), strict=True):
        if parts and parts[-1][1] == node - 1 and parts[-1][2] == count:
            parts[-1] = (parts[-1][0], node, count)
        else:
            parts.append((node, node, count))
    return ",".join(
        (f"{low}" if low == high else f"{low}-{high}") + (f"x{count}" if count > 1 else "")
        for low, high, count in parts
    )


def class_of(gpus: int) -> str:
    """The size class of a job by its GPUs."""
    return next(name for name, most in CLASSES if gpus <= most)


def nodes_of(word: str) -> dict[int, int]:
    """Pods per node, from what `ranges` wrote."""
    found: dict[int, int] = {}
    for part in word.split(",") if word else ():
        where, _, count = part.partition("x")
        low, _, high = where.partition("-")
        found |= dict.fromkeys(range(int(low), int(high or low) + 1), int(count or 1))
    return found
