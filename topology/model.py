"""The fabric: a graph that people read and query, and arrays that the solver reads."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from heapq import nsmallest

import networkx as nx

from topology.columns import Column
from topology.gaps import Gaps
from topology.naming import NameKey, natural_key
from topology.places import (
    Lay,
    Lays,
    node_vertex,
    vertex_name,
)
from topology.spec import (
    ADMINISTRATIVE,
    HOSTNAME,
    NODE,
    NVLINK,
    FabricArrays,
    FabricNode,
    FabricSpec,
    FabricWarning,
    InvalidTopology,
    LevelSpec,
    Partition,
)

__all__ = [
    "Fabric",
    "FabricArrays",
    "FabricNode",
    "FabricSpec",
    "FabricWarning",
    "InvalidTopology",
    "LevelSpec",
    "Partition",
]

_NAMED_IN_WARNINGS = 5


class Fabric:
    """The nodes of a cluster in their domains.

    `graph` holds a vertex (level, path) per domain and ("node", name) per node,
    with attributes `kind` ("domain", "partition" or "node"), `level` and
    `name`. Edges go from the coarse to the fine; those of a partition to its
    nodes have kind "member". A node hangs under its finest known level.
    `generation` rises with every change of place.
    """

    def __init__(self, spec: FabricSpec, nodes: Iterable[FabricNode] = ()) -> None:
        self.spec = spec
        self.graph = nx.DiGraph()
        self.generation = 0
        self._ordered = spec.ordered()
        self._position = {level.name: at for at, level in enumerate(spec.partitions)}
        self._lays = Lays(spec)
        self._gaps = Gaps(spec)
        self._told: dict[str, Lay] = {}  # by the labels alone
        self._places: dict[str, Lay] = {}  # with what is concluded of missing ones
        self._paths: dict[str, dict[str, str]] = {}  # of nodes that were asked about
        self._lacking: dict[str, set[str]] = {level.name: set() for level in self._ordered}
        self._changed: set[str] = set()
        self._order: list[NameKey] = []  # sorted, and the names of it
        self._names: list[str] = []
        self._columns: list[Column] = []
        self._arrays: FabricArrays | None = None
        for node in nodes:
            self.upsert(node)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def upsert(self, node: FabricNode) -> bool:
        """Add a node or take over its labels; True when its place changed."""
        lay = self._lays.of(node)
        before = self._told.get(node.name)
        if before is not None and (lay is before or lay.place == before.place):
            return False
        others = set(self._forget(node.name)) if before is not None else set()
        others.update(self._gaps.add(node.name, lay, self._told))
        self._told[node.name] = lay
        self._settle(node.name)
        for name in others - {node.name}:
            self._settle(name)
        return True

    def remove(self, name: str) -> bool:
        """Forget a node and the domains that only it kept; False when it was not there."""
        if name not in self._places:
            return False
        for other in set(self._forget(name)) - {name}:
            self._settle(other)
        self._touch(name)
        return True

    def arrays(self) -> FabricArrays:
        """The fabric as arrays; the same object until a place changes.

        The first call and a call after many changes sort all nodes; after a few
        changes each one costs some numpy passes.
        """
        if self._arrays is None or self._changed:
            if len(self._changed) > 32 + len(self._places) // 32 or not self._columns:
                self._rebuild()
            else:
                for name in sorted(self._changed):
                    self._apply(name)
            self._changed.clear()
            partitions = tuple(column.partition() for column in self._columns)
            self._arrays = FabricArrays(self.generation, tuple(self._names), partitions)
        return self._arrays

    def warnings(self) -> tuple[FabricWarning, ...]:
        """What an operator should look at, coarse to fine."""
        found: list[FabricWarning] = []
        for level in self._ordered:
            if level.name != NVLINK and self._lacking[level.name]:
                found.append(self._missing(level))
            if level.source == ADMINISTRATIVE and level.name in self._position:
                found.extend(self._widened(level))
        return tuple(found)

    def level_names(self) -> tuple[str, ...]:
        """Names of all levels and partitions, coarse to fine, and "node" at the end."""
        return (*(level.name for level in self._ordered), NODE)

    def resolve_level(self, word: str) -> str | None:
        """The level that a name or a node label key means; None for an unknown word."""
        if word in (NODE, HOSTNAME):
            return NODE
        by_name = (level.name for level in self._ordered if level.name == word)
        by_label = (level.name for level in self._ordered if level.label == word)
        return next(by_name, None) or next(by_label, None)

    def path(self, node_name: str) -> dict[str, str]:
        """Display name of the node's domain per level, coarse to fine; KeyError when it is not there."""
        known = self._paths.get(node_name)
        if known is None:
            lay = self._places[node_name]
            levels = enumerate(self._ordered)
            known = {level.name: self._lays.domain(node_name, lay, at).name for at, level in levels}
            self._paths[node_name] = known
        return dict(known)

    def _forget(self, name: str) -> Iterable[str]:
        """Take a node out; the nodes whose place is now concluded otherwise."""
        self._detach(name, self._places[name])
        return self._gaps.remove(name, self._told.pop(name))

    def _settle(self, name: str) -> None:
        """Put a node where its labels, and those of its neighbours, say that it lies."""
        lay = self._told[name]
        path = self._gaps.path(name, lay)
        lay = lay if path is None else self._lays.filled(lay, path)
        before = self._places.get(name)
        if before is not None:
            if before.place == lay.place:
                return
            self._detach(name, before)
        self._attach(name, lay)
        self._touch(name)

    def _touch(self, name: str) -> None:
        self._paths.pop(name, None)
        self._changed.add(name)
        self.generation += 1

    def _attach(self, name: str, lay: Lay) -> None:
        self._places[name] = lay
        for level in lay.lacking:
            self._lacking[level].add(name)
        leaf = node_vertex(name)
        self.graph.add_node(leaf, kind="node", level=NODE, name=name)
        above = None
        for vertex in lay.vertices:
            if vertex not in self.graph:
                self.graph.add_node(vertex, kind="domain", level=vertex[0], name=vertex_name(vertex[1]))
                if above is not None:
                    self.graph.add_edge(above, vertex, kind="contains")
            above = vertex
        if above is not None:
            self.graph.add_edge(above, leaf, kind="contains")
        for vertex in lay.members:
            if vertex not in self.graph:
                self.graph.add_node(vertex, kind="partition", level=vertex[0], name=vertex_name(vertex[1]))
            self.graph.add_edge(vertex, leaf, kind="member")

    def _detach(self, name: str, lay: Lay) -> None:
        del self._places[name]
        for level in lay.lacking:
            self._lacking[level].discard(name)
        self.graph.remove_node(node_vertex(name))
        for vertex in (*reversed(lay.vertices), *lay.members):
            if not self.graph.succ[vertex]:
                self.graph.remove_node(vertex)

    def _rebuild(self) -> None:
        """Arrays of all nodes from nothing."""
        self._order = sorted(natural_key(name) for name in self._places)
        self._names = [name for _, name in self._order]
        self._columns = [
            Column(level, [self._lays.domain(name, self._places[name], at) for name in self._names])
            for at, level in enumerate(self._ordered)
        ]

    def _apply(self, name: str) -> None:
        """Bring one node's change into the arrays."""
        key = natural_key(name)
        at = bisect_left(self._order, key)
        known = at < len(self._order) and self._order[at] == key
        lay = self._places.get(name)
        if lay is None:
            if known:
                del self._order[at], self._names[at]
                for column in self._columns:
                    column.delete(at)
            return
        for number, column in enumerate(self._columns):
            domain = self._lays.domain(name, lay, number)
            if known:
                column.move(at, domain)
            else:
                column.insert(at, domain)
        if not known:
            self._order.insert(at, key)
            self._names.insert(at, name)

    def _missing(self, level: LevelSpec) -> FabricWarning:
        lacking = self._lacking[level.name]
        first = tuple(nsmallest(_NAMED_IN_WARNINGS, lacking, key=natural_key))
        more = f" and {len(lacking) - len(first)} more" if len(lacking) > len(first) else ""
        message = (
            f"{len(lacking)} of {len(self._places)} nodes lack label {level.label} ({level.name}): "
            f"{', '.join(first)}{more}; {self._concluded(level, lacking)}"
        )
        return FabricWarning("MissingLabel", level.name, len(lacking), first, message)

    def _concluded(self, level: LevelSpec, lacking: set[str]) -> str:
        """What is made of nodes without a label."""
        alone = f"no other node shares their {level.name}"
        at = self._ordered.index(level)
        known = sum(not self._lays.domain(name, self._places[name], at).private for name in lacking)
        if not known:
            return alone
        with_others = f"taken to be in the {level.name} of the other nodes of their finer domain"
        return with_others if known == len(lacking) else f"{known} {with_others}; of the rest, {alone}"

    def _widened(self, level: LevelSpec) -> Iterable[FabricWarning]:
        """A zone or region left out of the paths for its single value, which now has several."""
        part = self.arrays().partition(level.name)
        values = 0 if part is None else len(part.names) - int(part.private.sum())
        if values > 1:
            message = (
                f"label {level.label} had one value when levels were detected and now has {values}; "
                f"detect again, so that equal names in different places stay apart"
            )
            yield FabricWarning("DetectAgain", level.name, values, (), message)
