"""Who runs where, for explanations: what stands around a problem that does not fit."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from scheduler.eligibility import barriers
from scheduler.model import Gang, NodeName, PodShape
from scheduler.placement.changes import Bars, Occupant, Surroundings
from scheduler.placement.problem import Blocking, Int64, PlacementProblem
from scheduler.world import World

Owners = Mapping[str, tuple[str, str]]
"""Kind ("gang" or "pod") and name of whoever a running pod belongs to, by uid."""


MOST_BARS = 60
"""Reasons that keep pods off nodes and are looked at one by one; a gang has a few."""


def surroundings(world: World, owners: Owners, problem: PlacementProblem, gang: Gang) -> Surroundings:
    """Everything that runs or is held, by owner, the nodes that are out of use for now, and what keeps the
    gang's pods off nodes.

    What is held for a gang counts as that gang. Pods of unknown owner are left out: nothing could be
    said of them; and so are the gang's own members, which the problem knows as fixed.
    """
    ledger, use = world.ledger, _Uses(problem)
    own = ("gang", problem.gang)
    for uid, (node, running) in ledger.running().items():
        if uid in owners and node in ledger.nodes and owners[uid] != own:
            use.add(owners[uid], ledger.index(node), running)
    for owner, hold in ledger.holds.items():
        if str(owner) != problem.gang:
            for node, held in hold.pods.values():
                if node in ledger.nodes:
                    use.add(("gang", str(owner)), ledger.index(NodeName(node)), held)
    shape = gang.members[0].shape
    ever = problem.shapes[int(problem.shape_of[0])].ever
    unusable = tuple(
        (at, why) for at, why in enumerate(ledger.masks(shape).why) if why is not None and bool(ever[at])
    )
    return Surroundings(use.occupants(), unusable, _bars(world, problem, gang))


def _bars(world: World, problem: PlacementProblem, gang: Gang) -> Bars | None:
    """Taints, selectors and affinity, of the nodes where some shape could never run; None without any.
    Nodes that share their GPUs are left out: what shuts them to some gangs is neither."""
    nodes = [world.ledger.nodes[NodeName(name)] for name in problem.cluster.names]
    on = np.zeros((len(problem.shapes), len(nodes)), dtype=np.int64)
    bit: dict[tuple[str, str], int] = {}
    where: dict[tuple[str, str], set[int]] = {}
    shapes = dict.fromkeys(member.shape for member in gang.members)  # in the problem's order
    for row, (shape, demand) in enumerate(zip(shapes, problem.shapes, strict=True)):
        for at in np.flatnonzero(~demand.ever).tolist():
            if nodes[at].name in world.shared:
                continue
            for reason in barriers(shape, nodes[at]):
                where.setdefault(reason, set()).add(at)
                on[row, at] |= 1 << bit.setdefault(reason, min(len(bit), MOST_BARS))
    kept = [reason for reason, own in bit.items() if own < MOST_BARS]
    return Bars(tuple(_barred(reason, len(where[reason])) for reason in kept), on) if kept else None


def _barred(reason: tuple[str, str], nodes: int) -> Blocking:
    kind, words = reason
    many = f"{nodes} node{'s' if nodes > 1 else ''}"
    if kind == "taint":
        return Blocking("taint", words, f"taint {words} on {many} is not tolerated")
    return Blocking("selector", words, f"the pods ask for {words}, which rules out {many}")


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
