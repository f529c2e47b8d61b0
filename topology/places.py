"""Where a node lies: its label values, the domains they name, its vertices in the graph."""

from __future__ import annotations

import sys
from typing import NamedTuple

from topology.naming import NameKey, natural_key
from topology.spec import NODE, NVLINK, FabricNode, FabricSpec

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


class Lay(NamedTuple):
    """A place with what follows from it alone, the same for all nodes there.

    `vertices` of its known levels, coarse to fine, and `members`, those of its partitions; `lacking`: the
    names of levels and partitions without a label; `domains`: the domain per level of the specification's
    order, None where it is the node's own.
    """

    place: Place
    vertices: tuple[tuple[str, tuple[str, ...]], ...]
    members: tuple[tuple[str, tuple[str, ...]], ...]
    lacking: tuple[str, ...]
    domains: tuple[Domain | None, ...]


class Lays:
    """The places of one specification, each worked out once: the nodes of a rack mostly have the same."""

    def __init__(self, spec: FabricSpec) -> None:
        self._spec, self._ordered = spec, spec.ordered()
        every = (*spec.levels, *spec.partitions)
        self._keys = tuple(level.label for level in every)
        self._link = tuple(at for at, level in enumerate(every) if level.name == NVLINK)
        self._found: dict[tuple[object, ...], Lay] = {}

    def of(self, node: FabricNode) -> Lay:
        """Where a node lies by its labels; its GPUs matter only where they make up for a missing NVLink
        label."""
        values = tuple(map(node.labels.get, self._keys))
        lay = self._found.get((values, node.nvlink_gpus))
        if lay is None:
            if len(self._found) > MOST_LAYS:
                self._found.clear()
            lay = self._found[values, node.nvlink_gpus] = self._made(values, node.nvlink_gpus)
        return lay

    def filled(self, lay: Lay, path: tuple[str, ...]) -> Lay:
        """A lay whose levels down to the deepest that is known are those of `path`."""
        place = lay.place
        values = (*path, *place.path[len(path) :], *place.groups)
        key = (values, place.nvlink_gpus, lay.lacking)
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = self._made(values, place.nvlink_gpus)._replace(lacking=lay.lacking)
        return found

    def domain(self, name: str, lay: Lay, at: int) -> Domain:
        """The domain of a node at a level, by its number in the specification's order."""
        found = lay.domains[at]
        return self._domain(name, lay.place, at) if found is None else found

    def _made(self, values: tuple[str | None, ...], gpus: bool) -> Lay:
        texts = tuple(sys.intern(value or "") for value in values)
        split = len(self._spec.levels)
        linked = gpus or any(texts[at] for at in self._link)
        place = Place(texts[:split], texts[split:], linked)
        every = (*self._spec.levels, *self._spec.partitions)
        domains = (self._domain("", place, at) for at in range(len(self._ordered)))
        return Lay(
            place,
            tuple(level_vertices(place, self._spec)),
            tuple(group_vertices(place, self._spec)),
            tuple(level.name for level, text in zip(every, texts, strict=True) if not text),
            tuple(None if _is_own(domain) else domain for domain in domains),
        )

    def _domain(self, name: str, place: Place, at: int) -> Domain:
        level = self._ordered[at]
        if level in self._spec.levels:
            return level_domain(name, place, self._spec.levels.index(level), level=level.name)
        return group_domain(name, place, self._spec.partitions.index(level), level=level.name)


MOST_LAYS = 200_000
"""Places that are kept; a fabric that changes for ever must not grow for ever."""


def _is_own(domain: Domain) -> bool:
    """Whether a domain is of one node alone."""
    return domain.ident[0] == "" and len(domain.ident) == 2 and domain.ident[1] == ""


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
