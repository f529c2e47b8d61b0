"""The values of the fabric: nodes, levels, partitions as arrays, warnings."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from topology.naming import natural_key

NODE = "node"
NVLINK = "nvlink"
ADMINISTRATIVE = "kubernetes"
"""Source of the region and zone levels."""
HOSTNAME = "kubernetes.io/hostname"

USUAL_DEPTH = ("region", "zone", "core", "spine", "block", "leaf", "rack", NVLINK, "nvlink-sub")
"""Well-known level names, coarse to fine."""


class InvalidTopology(ValueError):
    """A topology that contradicts itself, such as one level named twice."""


@dataclass(frozen=True, slots=True)
class FabricNode:
    """What the fabric needs of a node.

    `nvlink_gpus` is False when the node has no GPU: its own NVLink domain is then private.
    """

    name: str
    labels: Mapping[str, str]
    nvlink_gpus: bool = True


@dataclass(frozen=True, slots=True)
class LevelSpec:
    """One level: its canonical or configured name, the node label key that gives it, and who declared it."""

    name: str
    label: str
    source: str


@dataclass(frozen=True, slots=True)
class FabricSpec:
    """Which labels make the fabric.

    `levels` run coarse to fine and nest: a domain is its whole path.
    `partitions` are hierarchies of their own, one label each, without a path.
    `evidence` tells in sentences how this was decided.
    """

    levels: tuple[LevelSpec, ...]
    partitions: tuple[LevelSpec, ...]
    evidence: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = [level.name for level in (*self.levels, *self.partitions)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InvalidTopology(f"level {twice[0]!r} is listed twice")
        if NODE in names:
            raise InvalidTopology(f"{NODE!r} is the name of the finest level and cannot be given to another")

    def ordered(self) -> tuple[LevelSpec, ...]:
        """Levels and partitions in one order, coarse to fine; partitions stand at their usual depth."""
        merged = list(self.levels)
        for spec in sorted(self.partitions, key=lambda spec: usual_depth(spec.name)):
            merged.insert(_slot(merged, spec), spec)
        return tuple(merged)


def usual_depth(name: str) -> tuple[float, str]:
    """Where a level usually lies, coarse to fine; unknown names lie just above the NVLink domain."""
    if name in USUAL_DEPTH:
        return float(USUAL_DEPTH.index(name)), name
    tier = name.removeprefix("tier-")
    if tier != name and tier.isdecimal():  # a switch tier above the core: higher is coarser
        return USUAL_DEPTH.index("core") - int(tier) / (1 + int(tier)), name
    return USUAL_DEPTH.index(NVLINK) - 0.5, name


def _slot(merged: list[LevelSpec], spec: LevelSpec) -> int:
    """The first place with only finer levels behind it."""
    depth = usual_depth(spec.name)[0]
    for position in range(len(merged), 0, -1):
        other = merged[position - 1].name
        if other == spec.name or usual_depth(other)[0] <= depth:
            return position
    return 0


@dataclass(frozen=True, slots=True, eq=False)
class Partition:
    """One way to divide all nodes into domains; arrays are read-only.

    `domain_of`: int32[nodes], the domain id of every node, in the fabric's node order.
    `names`: display name per domain id, in natural order. A path is joined by
    "/", with "?" for a level that is not known.
    `private`: bool[domains], True where a domain only stands for a missing
    label; its name is in angle brackets.
    """

    name: str
    label: str
    domain_of: NDArray[np.int32]
    names: tuple[str, ...]
    private: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class FabricArrays:
    """The fabric as arrays: node names in natural order, and the partitions coarse to fine."""

    generation: int
    names: tuple[str, ...]
    partitions: tuple[Partition, ...]

    def index(self, name: str) -> int:
        """The position of a node; KeyError when the fabric has no such node."""
        at = bisect_left(self.names, natural_key(name), key=natural_key)
        if at == len(self.names) or self.names[at] != name:
            raise KeyError(name)
        return at

    def partition(self, level: str) -> Partition | None:
        """The partition of a level by its name."""
        return next((part for part in self.partitions if part.name == level), None)


@dataclass(frozen=True, slots=True)
class FabricWarning:
    """Something odd about the nodes, counted; `nodes` holds the first few names."""

    code: str
    level: str
    count: int
    nodes: tuple[str, ...]
    message: str
