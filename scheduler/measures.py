"""How well the free room of a fabric serves gangs, and how far a gang's traffic has to go: for metrics.

Pure readings of arrays that nobody changes any more, so they may be taken beside the event loop.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from scheduler.devices import is_gpu
from scheduler.model import Node, NodeName
from scheduler.placement.problem import Assignment, Bool, Int32, Int64, PlacementProblem
from scheduler.world import World
from topology.reading import NOTE
from topology.sources.devices import PRODUCT
from topology.spec import NODE, NVLINK, Partition

CLUSTER = "cluster"
"""The level at which everything is one domain."""

SIZES = tuple(2**at for at in range(11))
"""Gangs whose slots are counted, in GPUs: 1 to 1,024."""

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, eq=False)
class Room:
    """The free GPUs of a moment: int64[nodes], with the nodes' domains and products."""

    names: tuple[str, ...]
    free: Int64
    total: Int64
    usable: Bool
    partitions: tuple[Partition, ...]
    nodes: Mapping[NodeName, Node]
    unlabelled: tuple[tuple[str, int], ...] = ()
    odd: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Measured:
    """What was found. `slots` by level and GPUs; `largest` in GPUs by level and product; `fragmentation`,
    0 to 1, and `unlabelled` nodes by level; `odd` nodes by the code of what is odd."""

    slots: Mapping[tuple[str, int], int] = field(default_factory=dict)
    largest: Mapping[tuple[str, str], int] = field(default_factory=dict)
    fragmentation: Mapping[str, float] = field(default_factory=dict)
    unlabelled: Mapping[str, int] = field(default_factory=dict)
    odd: Mapping[str, int] = field(default_factory=dict)


def room_of(world: World) -> Room:
    """The room of this moment; cost: some copies of arrays."""
    fabric, ledger = world.fabric, world.ledger
    rows = [at for at, name in enumerate(ledger.resources) if is_gpu(name)]
    warnings = fabric.warnings()
    return Room(
        ledger.names,
        ledger.free()[rows].sum(axis=0).clip(min=0),
        ledger.total[rows].sum(axis=0),
        ledger.usable.copy(),
        fabric.arrays().partitions,
        dict(ledger.nodes),
        tuple((one.level, one.count) for one in warnings if one.nodes),
        tuple((one.code, len(one.names)) for one in world.findings if one.severity != NOTE),
    )


def measured(room: Room) -> Measured:
    """All measures; cost: levels x products x sizes passes over the nodes."""
    odd: dict[str, int] = {}
    for code, count in room.odd:
        odd[code] = odd.get(code, 0) + count
    slots: dict[tuple[str, int], int] = {}
    largest: dict[tuple[str, str], int] = {}
    fragmentation: dict[str, float] = {}
    kinds = list(_kinds(room))
    for level, domain_of, count in _levels(room):
        fragmentation[level] = _fragmentation(room, domain_of, count)
        for size in SIZES:
            slots[level, size] = sum(_slots(room, k, domain_of, count, size) for k in kinds)
        for kind in kinds:
            found = _largest(room, kind, domain_of, count)
            largest[level, kind.product] = max(found, largest.get((level, kind.product), 0))
    levels = {part.name: 0 for part in room.partitions if part.name != NVLINK}
    return Measured(slots, largest, fragmentation, {**levels, **dict(room.unlabelled)}, odd)


@dataclass(frozen=True, slots=True, eq=False)
class _Kind:
    """Nodes of one product and one number of GPUs: bool[nodes]."""

    product: str
    gpus: int
    nodes: Bool


def _kinds(room: Room) -> Iterator[_Kind]:
    products = np.array([_product(room.nodes.get(NodeName(name))) for name in room.names], dtype=object)
    for product, gpus in sorted({*zip(products.tolist(), room.total.tolist(), strict=True)}):
        if gpus > 0:
            yield _Kind(product, gpus, room.usable & (products == product) & (room.total == gpus))


def _product(node: Node | None) -> str:
    return (node.labels.get(PRODUCT) if node is not None else "") or UNKNOWN


def _levels(room: Room) -> Iterator[tuple[str, Int32, int]]:
    """Every level with the domain of each node and the number of domains, coarse to fine."""
    nodes = len(room.names)
    yield CLUSTER, np.zeros(nodes, dtype=np.int32), 1
    for part in room.partitions:
        yield part.name, part.domain_of, len(part.names)
    yield NODE, np.arange(nodes, dtype=np.int32), nodes


def _slots(room: Room, kind: _Kind, domain_of: Int32, count: int, size: int) -> int:
    """How many gangs of `size` GPUs fit side by side, each in one domain: in a part of a node while a
    node is enough, else in wholly free nodes."""
    if size <= kind.gpus:
        return int((room.free[kind.nodes] // size).sum())
    return int((_whole(room, kind, domain_of, count) // -(-size // kind.gpus)).sum())


def _largest(room: Room, kind: _Kind, domain_of: Int32, count: int) -> int:
    """GPUs of the largest gang in one domain: on wholly free nodes, else on a part of the freest one."""
    whole = int(_whole(room, kind, domain_of, count).max(initial=0)) * kind.gpus
    return whole or int(room.free[kind.nodes].max(initial=0))


def _whole(room: Room, kind: _Kind, domain_of: Int32, count: int) -> Int64:
    """int64[domains]: wholly free nodes of the kind."""
    free = kind.nodes & (room.free == kind.gpus)
    return np.bincount(domain_of[free], minlength=count).astype(np.int64)


def _fragmentation(room: Room, domain_of: Int32, count: int) -> float:
    """The share of the free GPUs that lies in domains of which something is used."""
    counted = room.usable & (room.total > 0)
    free = np.bincount(domain_of[counted], weights=room.free[counted], minlength=count)
    total = np.bincount(domain_of[counted], weights=room.total[counted], minlength=count)
    everything = float(free.sum())
    return float(free[free < total].sum()) / everything if everything else 0.0


def communication_ratio(problem: PlacementProblem, answer: Assignment) -> float:
    """How often neighbours in rank (the last and the first too) are in different domains, over all levels,
    relative to the fewest times that the proven least number of domains allows; 1 where it is the least."""
    least = {level: fewest for level, _, fewest in answer.levels}
    crossed = sum(_crossings(problem.cluster.domain_of(level)[answer.nodes]) for level in least)
    ideal = sum(fewest if fewest > 1 else 0 for fewest in least.values())
    return crossed / ideal if ideal else 1.0 + crossed


def _crossings(domains: Int32) -> int:
    return int((domains != np.roll(domains, 1)).sum())
