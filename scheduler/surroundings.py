"""Who runs where, for explanations: what stands around a problem that does not fit."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from scheduler.model import NodeName, PodShape
from scheduler.placement.changes import Occupant, Surroundings
from scheduler.placement.problem import Int64, PlacementProblem
from scheduler.world import World

Owners = Mapping[str, tuple[str, str]]
"""Kind ("gang" or "pod") and name of whoever a running pod belongs to, by uid."""


def surroundings(world: World, owners: Owners, problem: PlacementProblem, shape: PodShape) -> Surroundings:
    """Everything that runs or is held, by owner, and the nodes that are out of use for now.

    What is held for a gang counts as that gang. Pods of unknown owner are left out: nothing could be
    said of them.
    """
    ledger, use = world.ledger, _Uses(problem)
    for uid, (node, running) in ledger.running().items():
        if uid in owners and node in ledger.nodes:
            use.add(owners[uid], ledger.index(node), running)
    for owner, hold in ledger.holds.items():
        if str(owner) != problem.gang:
            for node, held in hold.pods.values():
                if node in ledger.nodes:
                    use.add(("gang", str(owner)), ledger.index(NodeName(node)), held)
    ever = problem.shapes[int(problem.shape_of[0])].ever
    unusable = tuple(
        (at, why) for at, why in enumerate(ledger.masks(shape).why) if why is not None and bool(ever[at])
    )
    return Surroundings(use.occupants(), unusable)


class _Uses:
    """Gathers what each owner takes, in the resources of one problem."""

    def __init__(self, problem: PlacementProblem) -> None:
        self._row = {name: at for at, name in enumerate(problem.cluster.resources)}
        self._use: dict[tuple[str, str], list[tuple[int, Int64]]] = {}
        self._vectors: dict[PodShape, Int64] = {}

    def add(self, owner: tuple[str, str], node: int, shape: PodShape) -> None:
        vector = self._vectors.get(shape)
        if vector is None:
            vector = self._vectors[shape] = np.zeros(len(self._row), dtype=np.int64)
            for name, amount in shape.demand:
                if name in self._row:
                    vector[self._row[name]] = amount
        self._use.setdefault(owner, []).append((node, vector))

    def occupants(self) -> tuple[Occupant, ...]:
        return tuple(Occupant(kind, name, tuple(use)) for (kind, name), use in sorted(self._use.items()))
