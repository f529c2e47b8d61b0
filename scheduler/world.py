"""The cluster as decisions see it: the ledger and the fabric over the same nodes, and views of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from scheduler.devices import is_gpu
from scheduler.ledger import Ledger
from scheduler.model import GangKey, Node, NodeName, PodShape
from scheduler.placement.formulate import View
from scheduler.placement.policy import BUILT_IN, Policy
from scheduler.placement.problem import Bool
from topology.detect import detect_seen
from topology.model import Fabric, FabricNode, FabricSpec
from topology.sources.devices import shares
from topology.sources.seen import Seen


class World:
    """Ledger and fabric, kept to the same set of nodes.

    `configured`: the fabric's levels as the configuration states them; None to
    detect them from the labels that nodes carry, again whenever labels change.
    """

    def __init__(
        self, configured: FabricSpec | None = None, policies: Mapping[str, Policy] = BUILT_IN
    ) -> None:
        self.ledger = Ledger()
        self._policies = policies
        self._configured = configured
        self._seen = Seen()
        self._fabric = Fabric(configured or detect_seen(self._seen))
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

    def upsert_nodes(self, nodes: Iterable[Node]) -> bool:
        """Add nodes or take over what changed; True when any capacity, label or condition did."""
        self._build()
        nodes = list(nodes)
        before = self.ledger.generation
        for node in nodes:
            old = self.ledger.nodes.get(node.name)
            if old is None or old.labels != node.labels:
                self._look_at(old, node)
                self._fabric.upsert(_fabric_node(node))
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
        other._shared = set(self._shared)
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
            self._fabric = Fabric(self._fabric.spec, map(_fabric_node, self.ledger.nodes.values()))

    def _look_at(self, old: Node | None, new: Node | None) -> None:
        """Take over what the labels of one node tell, beside its place."""
        for node in (old, new):
            if node is not None:
                (self._shared.add if node is new and shares(node.labels) else self._shared.discard)(node.name)
        if self._configured is not None:
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
        spec, known = detect_seen(self._seen), self._fabric.spec
        if (spec.levels, spec.partitions) == (known.levels, known.partitions):
            self._fabric.spec = spec
        else:
            self._fabric = Fabric(spec, map(_fabric_node, self.ledger.nodes.values()))


def _fabric_node(node: Node) -> FabricNode:
    gpus = any(amount > 0 for name, amount in node.allocatable.items() if is_gpu(name))
    return FabricNode(node.name, node.labels, nvlink_gpus=gpus)
