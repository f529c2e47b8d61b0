"""Where pods of a shape may run, kept per shape and brought up to date node by node."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from scheduler.eligibility import ineligible
from scheduler.model import Node, PodShape
from scheduler.placement.problem import Bool

_SHAPES_KEPT = 64


@dataclass(slots=True, eq=False)
class Masks:
    """Where a shape may run: bool[nodes] now, bool[nodes] ever, and per node the reason why not now."""

    now: Bool
    ever: Bool
    why: list[str | None]

    def reasons(self) -> tuple[tuple[str, int], ...]:
        """Why nodes are excluded, and how many, most frequent first."""
        found = Counter(why for at in np.flatnonzero(~self.now) if (why := self.why[at]) is not None)
        return tuple(sorted(found.items(), key=lambda item: (-item[1], item[0])))


class MaskCache:
    """The masks of the shapes that were asked about lately."""

    def __init__(self) -> None:
        self._kept: dict[PodShape, Masks] = {}

    def of(self, shape: PodShape, ordered: Callable[[], Sequence[Node]]) -> Masks:
        """The masks of a shape over the nodes in their order, which is asked for only when needed."""
        found = self._kept.get(shape)
        if found is None:
            nodes = ordered()
            why = [ineligible(shape, node) for node in nodes]
            now = np.array([reason is None for reason in why], dtype=np.bool_)
            ever = np.array([ineligible(shape, n, transient=False) is None for n in nodes], dtype=np.bool_)
            if len(self._kept) >= _SHAPES_KEPT:
                self._kept.clear()
            found = self._kept[shape] = Masks(now, ever, why)
        return found

    def update(self, node: Node, at: int) -> None:
        """The node at this position has changed."""
        for shape, masks in self._kept.items():
            masks.why[at] = ineligible(shape, node)
            masks.now[at] = masks.why[at] is None
            masks.ever[at] = ineligible(shape, node, transient=False) is None

    def clear(self) -> None:
        """The order of the nodes has changed."""
        self._kept.clear()
