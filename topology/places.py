"""Where a node lies: its label values, the domains they name, its vertices in the graph."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import NamedTuple

from topology.naming import NameKey, natural_key
from topology.spec import NODE, NVLINK, FabricNode, FabricSpec, LevelSpec

Vertex = tuple[str, tuple[str, ...]] | tuple[str, str]
"""A domain as (level, path) or a leaf as ("node", name)."""

UNKNOWN = "?"


class Domain(NamedTuple):
    """A domain by what identifies it; `ident` keeps apart what displays alike."""

    name: str
    private: bool
    ident: tuple[str, ...]

    @property
    def order(self) -> tuple[NameKey, bool, tuple[str, ...]]:
        """Natural order of the display name; total."""
        return natural_key(self.name), self.private, self.ident


class Place(NamedTuple):
    """The label values of one node; "" where the label is missing or empty.

    `path` has one value per level, `groups` one per partition of the specification.
    """

    path: tuple[str, ...]
    groups: tuple[str, ...]
    nvlink_gpus: bool


def place_of(node: FabricNode, spec: FabricSpec) -> Place:
    """Read a node's labels; its GPUs matter only where they make up for a missing NVLink label."""
    path = tuple(_value(node.labels, level) for level in spec.levels)
    groups = tuple(_value(node.labels, level) for level in spec.partitions)
    named = zip((*spec.levels, *spec.partitions), (*path, *groups), strict=True)
    linked = any(value for level, value in named if level.name == NVLINK)
    return Place(path, groups, node.nvlink_gpus or linked)


def _value(labels: Mapping[str, str], level: LevelSpec) -> str:
    return sys.intern(labels.get(level.label, ""))


def level_domain(name: str, place: Place, depth: int, *, level: str) -> Domain:
    """The domain of node `name` at the level at `depth` of the path.

    Where the label is missing the domain is private. A node whose finer level
    is known shares it with that finer domain, so that levels always nest;
    otherwise it is alone.
    """
    if place.path[depth]:
        return Domain(_joined(place.path[: depth + 1]), False, place.path[: depth + 1])
    finer = next((at for at in range(depth + 1, len(place.path)) if place.path[at]), None)
    if finer is None:
        return _alone(name, named=level == NVLINK and place.nvlink_gpus)
    path = place.path[: finer + 1]
    return Domain(f"<{_joined(path)}>", True, path)


def group_domain(name: str, place: Place, position: int, *, level: str) -> Domain:
    """The domain of node `name` in the partition at `position`."""
    value = place.groups[position]
    if value:
        return Domain(value, False, (value,))
    return _alone(name, named=level == NVLINK and place.nvlink_gpus)


def _alone(name: str, *, named: bool) -> Domain:
    """A domain of one node; named after it where that is normal (NVLink inside one machine)."""
    return Domain(name if named else f"<{name}>", not named, ("", name))


def _joined(path: tuple[str, ...]) -> str:
    return path[0] if len(path) == 1 else "/".join(value or UNKNOWN for value in path)


def level_vertices(place: Place, spec: FabricSpec) -> list[tuple[str, tuple[str, ...]]]:
    """The vertices of the known levels of a place, coarse to fine."""
    return [
        (level.name, place.path[: depth + 1]) for depth, level in enumerate(spec.levels) if place.path[depth]
    ]


def group_vertices(place: Place, spec: FabricSpec) -> list[tuple[str, tuple[str, ...]]]:
    """The vertices of the partitions whose label the node carries."""
    return [
        (level.name, (value,)) for level, value in zip(spec.partitions, place.groups, strict=True) if value
    ]


def node_vertex(name: str) -> tuple[str, str]:
    """The leaf of a node."""
    return NODE, name


def vertex_name(path: tuple[str, ...]) -> str:
    """The display name of a domain vertex."""
    return _joined(path)
