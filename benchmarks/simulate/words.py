"""The nodes of a gang in one word, and back."""

from __future__ import annotations

import numpy as np

from scheduler.placement.problem import Int32


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


def nodes_of(word: str) -> dict[int, int]:
    """Pods per node, from what `ranges` wrote."""
    found: dict[int, int] = {}
    for part in word.split(",") if word else ():
        where, _, count = part.partition("x")
        low, _, high = where.partition("-")
        found |= dict.fromkeys(range(int(low), int(high or low) + 1), int(count or 1))
    return found
