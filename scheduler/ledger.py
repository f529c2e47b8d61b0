"""The ledger: what every node has, what runs there, and what is promised.

Arrays are int64[resources, nodes] with nodes in natural order of their names.
`free = total - used - held`. A hold belongs to one gang and one plan; it ends when
its pods are seen bound (they become used), when it is released, or when its lease ends.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from scheduler.devices import is_gpu
from scheduler.holds import Hold, Holders
from scheduler.masks import MaskCache, Masks
from scheduler.model import HOST_PORT, GangKey, Node, NodeName, Pod, PodShape
from scheduler.placement.problem import Bool, Int64
from topology.naming import NameKey, natural_key

_BASE = ("cpu", "memory", "pods")


class Ledger:
    """Free capacity, kept by deltas; the sums can be recomputed at any time (`audit`).

    `generation` rises with every change of capacity, eligibility or use.
    """

    def __init__(self) -> None:
        self.nodes: dict[NodeName, Node] = {}
        self.holds: dict[GangKey, Hold] = {}
        self.generation = 0
        self._holders = Holders()
        self._running: dict[str, tuple[NodeName, PodShape]] = {}
        self._resources: list[str] = list(_BASE)
        self._masks = MaskCache()
        self._order: list[NameKey] = []
        self._names: tuple[str, ...] | None = None
        self._index: dict[NodeName, int] | None = None
        self._row_of: dict[str, int] = {}
        self._usable: Bool
        self._total: Int64
        self._used: Int64
        self._held: Int64
        self._rebuild()

    @property
    def names(self) -> tuple[str, ...]:
        """Node names in natural order, as the columns of the arrays."""
        if self._names is None:
            self._names = tuple(name for _, name in self._order)
        return self._names

    @property
    def resources(self) -> tuple[str, ...]:
        """Resource names, as the rows of the arrays."""
        return tuple(self._resources)

    @property
    def total(self) -> Int64:
        """Allocatable; the live array, not to be kept."""
        return self._total

    @property
    def usable(self) -> Bool:
        """bool[nodes]: ready and not cordoned; the live array, not to be kept."""
        return self._usable

    def free(self) -> Int64:
        """A new int64[resources, nodes]: what is neither used nor held (negative when over-committed)."""
        return self._total - self._used - self._held

    def free_for(self, owner: GangKey) -> Int64:
        """Room as an owner sees it: everything free, its own hold included."""
        free = self.free()
        hold = self.holds.get(owner)
        for node, shape in hold.pods.values() if hold else ():
            if node in self.nodes:
                self._add(free, node, shape, sign=1)
        return free

    def index(self, name: NodeName) -> int:
        """Column of a node; KeyError when there is none of that name."""
        if self._index is None:
            self._index = {NodeName(name): at for at, (_, name) in enumerate(self._order)}
        return self._index[name]

    def clone(self) -> Ledger:
        """An independent copy, to try things on."""
        other = Ledger()
        other.nodes = dict(self.nodes)
        other.holds = {owner: replace(hold, pods=dict(hold.pods)) for owner, hold in self.holds.items()}
        other._holders = self._holders.clone()
        other._running = dict(self._running)
        other._resources, other._row_of = list(self._resources), dict(self._row_of)
        other._order, other._names, other._index = list(self._order), self._names, self._index
        other._total, other._usable = self._total.copy(), self._usable.copy()
        other._used, other._held = self._used.copy(), self._held.copy()
        return other

    def upsert_nodes(self, nodes: Iterable[Node]) -> None:
        """Many nodes at once, in one pass over everything when most are new."""
        nodes = list(nodes)
        fresh = sum(node.name not in self.nodes for node in nodes)
        if fresh <= 32 + len(self.nodes) // 32:
            for node in nodes:
                self.upsert_node(node)
            return
        self.nodes.update((node.name, node) for node in nodes)
        self.generation += 1
        self._rebuild()
        self.index(nodes[0].name)  # now, and not while a single node changes

    def upsert_node(self, node: Node) -> bool:
        """Add a node or take over what changed of it; True when that was something."""
        old = self.nodes.get(node.name)
        if old == node:
            return False
        self.generation += 1
        self.nodes[node.name] = node
        if old is None:
            self._insert(node.name)
        self._take_over(node, self.index(node.name))
        self._masks.update(node, self.index(node.name))
        return True

    def remove_node(self, name: NodeName) -> bool:
        """Forget a node; pods on it keep their record, so that it may come back."""
        if name not in self.nodes:
            return False
        at = self.index(name)
        del self.nodes[name], self._order[at]
        self.generation += 1
        self._total, self._used, self._held = (
            np.delete(rows, at, axis=1) for rows in (self._total, self._used, self._held)
        )
        self._usable = np.delete(self._usable, at)
        self._forget_order()
        return True

    def observe_pod(self, pod: Pod) -> bool:
        """Account for a pod as the watch shows it; True when some capacity came free."""
        if pod.node is None:
            return False
        if pod.finished:
            return self.forget_pod(pod.uid)
        self._settle(pod.uid)
        before, after = self._running.get(pod.uid), (pod.node, pod.shape)
        if before == after:
            return False
        self._ensure_ports(pod.shape)
        if before is not None:
            self._add(self._used, *before, sign=-1)
        self._running[pod.uid] = after
        self._add(self._used, *after, sign=1)
        self.generation += 1
        return before is not None

    def forget_pod(self, uid: str) -> bool:
        """A pod is gone or finished; True when it had held capacity."""
        settled = self._settle(uid)
        before = self._running.pop(uid, None)
        if before is None:
            return settled
        self._add(self._used, *before, sign=-1)
        self.generation += 1
        return True

    def running(self) -> Mapping[str, tuple[NodeName, PodShape]]:
        """Node and shape of every pod that takes capacity, by uid; not to be kept."""
        return self._running

    def node_of(self, uid: str) -> NodeName | None:
        """Where a pod runs, as far as the ledger knows."""
        running = self._running.get(uid)
        return running[0] if running else None

    def hold(self, hold: Hold) -> None:
        """Reserve a whole gang in one step, in place of any earlier hold of the same owner."""
        self.release(hold.owner)
        for _, shape in hold.pods.values():
            self._ensure_ports(shape)
        self.holds[hold.owner] = hold
        for node, shape in hold.pods.values():
            self._promise(hold.owner, node, shape)
        self.generation += 1

    def holders(self, node: NodeName) -> Iterable[GangKey]:
        """Owners of what is held on a node, also on one that is gone."""
        return self._holders.on(node)

    def held_on(self, node: NodeName) -> Iterator[tuple[GangKey, str, PodShape]]:
        """Owner, uid and shape of every pod that something is held for on a node."""
        for owner in self.holders(node):
            for uid, (there, shape) in self.holds[owner].pods.items():
                if there == node:
                    yield owner, uid, shape

    def renew(self, owner: GangKey, expires_s: float) -> None:
        """Extend a lease on evidence that the gang still moves."""
        old = self.holds.get(owner)
        if old is not None and old.expires_s < expires_s:
            self.holds[owner] = replace(old, expires_s=expires_s)

    def release(self, owner: GangKey, *, keep: Collection[str] = ()) -> bool:
        """Give back what a gang still holds, but for some of its pods; True when there was something."""
        hold = self.holds.get(owner)
        given = [uid for uid in hold.pods if uid not in keep] if hold else []
        if hold is None or (hold.pods and not given):
            return False
        for uid in given:
            self._withdraw(hold, uid)
        if not hold.pods:
            del self.holds[owner]
        self.generation += 1
        return True

    def give_back(self, uid: str) -> bool:
        """End the share of one pod in its gang's hold; True when there was one."""
        return self._settle(uid)

    def expired(self, now_s: float) -> tuple[GangKey, ...]:
        """Owners whose lease has ended."""
        return tuple(sorted(owner for owner, hold in self.holds.items() if hold.expires_s <= now_s))

    def fits(self, node: NodeName, shape: PodShape) -> bool:
        """Whether a node has room for one more pod beside what runs and what is held."""
        return node in self.nodes and self._room(node, shape, held=True)

    def only_held(self, nodes: Iterable[NodeName], shape: PodShape) -> list[NodeName]:
        """Those of the nodes on which a pod would take what is held for a gang."""
        if not self.holds:
            return []
        return [
            node
            for node in nodes
            if any(self.holds[owner].firm for owner in self.holders(node))
            and node in self.nodes
            and not self._room(node, shape, held=True)
        ]

    def fullness(self, nodes: Iterable[str]) -> list[int]:
        """0 (empty) to 10 (full) per node, by its devices, else by its CPU; what is held counts as used."""
        rows = [at for name, at in self._row_of.items() if is_gpu(name)] or [self._row_of["cpu"]]
        total = self._total[rows].sum(axis=0)
        taken = (self._used[rows] + self._held[rows]).sum(axis=0)
        score = np.clip(10 * taken // np.maximum(total, 1), 0, 10)
        return [int(score[self.index(NodeName(n))]) if NodeName(n) in self.nodes else 0 for n in nodes]

    def overdrawn(self, node: NodeName) -> bool:
        """True when a node has less than what runs there and is held there."""
        if node not in self.nodes:
            return True
        at = self.index(node)
        spare = self._total[:, at] - self._used[:, at] - self._held[:, at]
        return bool(((spare < 0) & (self._held[:, at] > 0)).any())

    def promised_twice(self) -> list[NodeName]:
        """Nodes on which something is held and that have less than what runs there and is held there."""
        over = (self._used + self._held > self._total) & (self._held > 0)
        return [NodeName(name) for at, name in enumerate(self.names) if over[:, at].any()]

    def masks(self, shape: PodShape) -> Masks:
        """Where a shape may run: now, ever, and why not; live arrays, not to be kept."""
        return self._masks.of(shape, lambda: [self.nodes[NodeName(name)] for name in self.names])

    def audit(self) -> tuple[Int64, Int64]:
        """`used` and `held` recomputed from the records, for tests and for doubt."""
        used, held = np.zeros_like(self._used), np.zeros_like(self._held)
        for node, shape in self._running.values():
            self._add(used, node, shape, sign=1)
        for hold in self.holds.values():
            for node, shape in hold.pods.values():
                self._add(held, node, shape, sign=1)
        return used, held

    def sums(self) -> tuple[Int64, Int64]:
        """`used` and `held` as kept by deltas; the live arrays."""
        return self._used, self._held

    def _room(self, node: NodeName, shape: PodShape, *, held: bool) -> bool:
        at = self.index(node)
        taken = self._used[:, at] + self._held[:, at] if held else self._used[:, at]
        spare = self._total[:, at] - taken
        return all(
            spare[self._row_of[name]] >= amount if name in self._row_of else name.startswith(HOST_PORT)
            for name, amount in shape.demand
        )

    def _settle(self, uid: str) -> bool:
        """A held pod is bound or gone: its share of the hold ends."""
        for owner, hold in self.holds.items():
            if uid in hold.pods:
                self._withdraw(hold, uid)
                if not hold.pods:
                    del self.holds[owner]
                self.generation += 1
                return True
        return False

    def _promise(self, owner: GangKey, node: NodeName, shape: PodShape) -> None:
        self._add(self._held, node, shape, sign=1)
        self._holders.add(node, owner)

    def _withdraw(self, hold: Hold, uid: str) -> None:
        node, shape = hold.pods.pop(uid)
        self._add(self._held, node, shape, sign=-1)
        self._holders.remove(node, hold.owner)

    def _rebuild(self) -> None:
        """Everything from the records."""
        self._order = sorted(natural_key(name) for name in self.nodes)
        self._row_of = {name: at for at, name in enumerate(self._resources)}
        self._forget_order()
        shape = (len(self._resources), len(self._order))
        self._total, self._used, self._held = (np.zeros(shape, dtype=np.int64) for _ in range(3))
        self._usable = np.zeros(len(self._order), dtype=np.bool_)
        for at, name in enumerate(self.names):
            self._take_over(self.nodes[NodeName(name)], at)
        self._used, self._held = self.audit()

    def _forget_order(self) -> None:
        self._names = self._index = None
        self._masks.clear()

    def _take_over(self, node: Node, at: int) -> None:
        for resource in node.allocatable:
            self._ensure_row(resource)
        self._total[:, at] = [
            node.allocatable.get(name, int(name.startswith(HOST_PORT))) for name in self._resources
        ]
        self._usable[at] = node.ready and not node.unschedulable

    def _insert(self, name: NodeName) -> None:
        key = natural_key(name)
        at = bisect_left(self._order, key)
        self._order.insert(at, key)
        self._total, self._used, self._held = (
            np.insert(rows, at, 0, axis=1) for rows in (self._total, self._used, self._held)
        )
        self._usable = np.insert(self._usable, at, False)
        self._forget_order()
        for node, shape in self._running.values():
            if node == name:
                self._add(self._used, node, shape, sign=1)
        for _, _, shape in self.held_on(name):
            self._add(self._held, name, shape, sign=1)

    def _ensure_ports(self, shape: PodShape) -> None:
        for port in shape.host_ports:
            self._ensure_row(HOST_PORT + port)

    def _ensure_row(self, resource: str) -> None:
        if resource in self._row_of:
            return
        self._row_of[resource] = len(self._resources)
        self._resources.append(resource)
        row = np.full((1, len(self._order)), int(resource.startswith(HOST_PORT)), dtype=np.int64)
        self._total = np.vstack([self._total, row])
        self._used = np.vstack([self._used, np.zeros_like(row)])
        self._held = np.vstack([self._held, np.zeros_like(row)])
        self._used, self._held = self.audit()

    def _add(self, rows: Int64, node: NodeName, shape: PodShape, *, sign: int) -> None:
        if node not in self.nodes:
            return
        at = self.index(node)
        for name, amount in shape.demand:
            row = self._row_of.get(name)
            if row is not None:
                rows[row, at] += sign * amount
