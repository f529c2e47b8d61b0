"""The cluster as decisions see it: the ledger and the fabric over the same nodes, and views of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from scheduler.classes import BUILT_IN as CLASSES
from scheduler.classes import Classes
from scheduler.devices import is_gpu
from scheduler.ledger import Ledger
from scheduler.model import GangKey, Node, NodeName, PodShape
from scheduler.placement.formulate import View
from scheduler.placement.policy import BUILT_IN, Policy
from scheduler.placement.problem import Bool
from topology.combined import Combined
from topology.detect import detect_seen
from topology.model import Fabric, FabricNode, FabricSpec
from topology.reading import Finding, Reading
from topology.sources.devices import shares
from topology.sources.seen import Seen


class Sources(Protocol):
    """The sources of the fabric that a configuration lists; `objects` are those of the cluster among them."""

    objects: Sequence[object]

    def __call__(self, nodes: Mapping[str, Mapping[str, str]]) -> Combined:
        """What all of them say of nodes with these labels."""


class World:
    """Ledger and fabric, kept to the same set of nodes.

    `configured`: the fabric's levels as the configuration states them; None to
    detect them from the labels that nodes carry, again whenever labels change.
    `family`: whose switch labels to take then. `sources`: read the fabric from
    these instead, of which the labels may be one; again when anything changes.
    `classes`: the cluster's priority classes, for pods that are only asked about.
    """

    def __init__(
        self,
        configured: FabricSpec | None = None,
        policies: Mapping[str, Policy] = BUILT_IN,
        *,
        family: str | None = None,
        sources: Sources | None = None,
    ) -> None:
        self.ledger = Ledger()
        self.classes: Classes = CLASSES
        self._policies = policies
        self._configured = configured
        self._family, self._sources = family, sources
        self._combined: Combined | None = None
        self._seen = Seen()
        self._fabric = Fabric(configured or detect_seen(self._seen, family=family))
        self._shared: set[NodeName] = set()
        self._labels_changed = False
        self._unbuilt = False

    @property
    def fabric(self) -> Fabric:
        """The fabric of the present nodes."""
        self._build()
        if self._labels_changed:
            self._detect_again()
        return self._fabric

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is odd about the sources of the fabric, and where they contradict each other."""
        return self.reading.findings if self.reading is not None else ()

    @property
    def reading(self) -> Reading | None:
        """What the configured sources say together; None where labels are all there is."""
        _ = self.fabric
        return self._combined.reading if self._combined is not None else None

    def sources_changed(self, objects: Sequence[object]) -> None:
        """The objects among the sources of the fabric are these now."""
        if self._sources is not None:
            self._sources.objects = objects
            self._labels_changed = True
            self.ledger.generation += 1  # who was refused on the old fabric is worth another try

    def upsert_nodes(self, nodes: Iterable[Node]) -> bool:
        """Add nodes or take over what changed; True when any capacity, label or condition did."""
        self._build()
        nodes = list(nodes)
        before = self.ledger.generation
        for node in nodes:
            old = self.ledger.nodes.get(node.name)
            if old is None or old.labels != node.labels:
                self._look_at(old, node)
                self._place(node)
        self.ledger.upsert_nodes(nodes)
        return self.ledger.generation != before

    def remove_node(self, name: NodeName) -> bool:
        """Forget a node; False when it was not there."""
        self._build()
        old = self.ledger.nodes.get(name)
        if not self.ledger.remove_node(name):
            return False
        self._look_at(old, None)
        self._fabric.remove(name)
        return True

    def clone(self) -> World:
        """An independent copy, to try things on; it may be used on another thread.

        Its fabric, which takes longest, is built there at first use.
        """
        other = World(self.fabric.spec, self._policies)
        other.ledger = self.ledger.clone()
        other.classes = self.classes
        other._shared = set(self._shared)
        other._combined = self._combined
        other._unbuilt = True
        return other

    @property
    def shared(self) -> frozenset[NodeName]:
        """Nodes that give each GPU to several pods."""
        return frozenset(self._shared)

    def view(self, owner: GangKey | None = None) -> View:
        """An immutable snapshot; the owner sees its own hold as free."""
        ledger, fabric = self.ledger, self.fabric
        free = ledger.free() if owner is None else ledger.free_for(owner)

        def masks(shape: PodShape) -> tuple[Bool, Bool]:
            found = ledger.masks(shape)
            return found.now.copy(), found.ever.copy()

        return View(
            names=ledger.names,
            resources=ledger.resources,
            free=free,
            total=ledger.total.copy(),
            usable=ledger.usable.copy(),
            partitions=fabric.arrays().partitions,
            resolve=fabric.resolve_level,
            masks=masks,
            reasons=lambda shape: ledger.masks(shape).reasons(),
            index=ledger.index,
            policies=self._policies,
            shared=self.shared,
        )

    def _build(self) -> None:
        """Make up for a fabric that a clone was not given."""
        if self._unbuilt:
            self._unbuilt = False
            self._fabric = self._whole(self._fabric.spec)

    def _whole(self, spec: FabricSpec) -> Fabric:
        """A fabric of all nodes from nothing."""
        nodes = [_fabric_node(node) for node in self.ledger.nodes.values()]
        return Fabric(spec, nodes) if self._combined is None else self._combined.fabric(nodes)

    def _place(self, node: Node) -> None:
        """Put one node into the fabric; what sources say of it, they say again with all others."""
        if self._combined is None:
            self._fabric.upsert(_fabric_node(node))
        else:
            labels = self._combined.labels.get(node.name, node.labels)
            self._fabric.upsert(replace(_fabric_node(node), labels=labels))

    def _look_at(self, old: Node | None, new: Node | None) -> None:
        """Take over what the labels of one node tell, beside its place."""
        for node in (old, new):
            if node is not None:
                (self._shared.add if node is new and shares(node.labels) else self._shared.discard)(node.name)
        if self._sources is not None:
            self._labels_changed = True
        if self._configured is not None or self._sources is not None:
            return
        if old is not None and new is not None:
            self._labels_changed |= self._seen.change(old.labels, new.labels)
        elif new is not None:
            self._seen.add(new.labels)
            self._labels_changed = True
        elif old is not None:
            self._seen.remove(old.labels)
            self._labels_changed = True

    def _detect_again(self) -> None:
        """Other levels mean another fabric; where only the counts in the evidence differ, it is kept."""
        self._labels_changed = False
        if self._sources is not None:
            self._combined = self._sources(
                {str(node.name): node.labels for node in self.ledger.nodes.values()}
            )
            self._fabric = self._whole(self._combined.spec)
            return
        spec, known = detect_seen(self._seen, family=self._family), self._fabric.spec
        if (spec.levels, spec.partitions) == (known.levels, known.partitions):
            self._fabric.spec = spec
        else:
            self._fabric = self._whole(spec)


def _fabric_node(node: Node) -> FabricNode:
    gpus = any(amount > 0 for name, amount in node.allocatable.items() if is_gpu(name))
    return FabricNode(node.name, node.labels, nvlink_gpus=gpus)
