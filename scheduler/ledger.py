"""The ledger: what every node has, what runs there, and what is promised.

Arrays are int64[resources, nodes] with nodes in natural order of their names.
`free = total - used - held`. A hold belongs to one gang and one plan; it ends when
its pods are seen bound (they become used), when it is released, or when its lease ends.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from scheduler.eligibility import ineligible
from scheduler.model import GangKey, Node, NodeName, Pod, PodShape
from scheduler.placement.problem import Bool, Int64
from topology.naming import natural_key

PORT = "hostport/"


@dataclass(frozen=True, slots=True)
class Hold:
    """A promise of room: its owner, the plan it serves, and when its lease ends (monotonic seconds).

    `pods` maps the uid of each member that is not bound yet to its node and shape.
    """

    owner: GangKey
    plan: str
    expires_s: float
    pods: dict[str, tuple[NodeName, PodShape]] = field(default_factory=dict)


class Ledger:
    """Free capacity, kept by deltas; the sums can be recomputed at any time (`audit`)."""

    def __init__(self) -> None:
        self.nodes: dict[NodeName, Node] = {}
        self.holds: dict[GangKey, Hold] = {}
        self.generation = 0
        self._order: list[tuple[object, str]] = []
        self._resources: list[str] = ["cpu", "memory", "pods"]
        self._column = {name: i for i, name in enumerate(self._resources)}
        self._total = np.zeros((3, 0), dtype=np.int64)
        self._used = np.zeros((3, 0), dtype=np.int64)
        self._held = np.zeros((3, 0), dtype=np.int64)
        self._usable = np.zeros(0, dtype=np.bool_)
        self._running: dict[str, tuple[NodeName, PodShape]] = {}
        self._masks: dict[PodShape, tuple[Bool, Bool]] = {}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for _, name in self._order)

    @property
    def resources(self) -> tuple[str, ...]:
        return tuple(self._resources)

    @property
    def total(self) -> Int64:
        return self._total

    @property
    def usable(self) -> Bool:
        return self._usable

    def free(self) -> Int64:
        """A new int64[resources, nodes]: what is neither used nor held (negative when over-committed)."""
        return self._total - self._used - self._held

    def index(self, name: NodeName) -> int:
        """Position of a node; KeyError when there is none of that name."""
        at = bisect_left(self._order, natural_key(name))
        if at == len(self._order) or self._order[at][1] != name:
            raise KeyError(name)
        return at

    def upsert_node(self, node: Node) -> None:
        """Add a node or take over its new capacity, taints, labels and condition."""
        old = self.nodes.get(node.name)
        if old == node:
            return
        self.generation += 1
        self.nodes[node.name] = node
        if old is None:
            self._insert(node.name)
        at = self.index(node.name)
        for resource in node.allocatable:
            self._row(resource)
        self._total[:, at] = [
            node.allocatable.get(name, 1 if name.startswith(PORT) else 0) for name in self._resources
        ]
        self._usable[at] = node.ready and not node.unschedulable
        for shape, (now, ever) in self._masks.items():
            now[at] = ineligible(shape, node) is None
            ever[at] = ineligible(shape, node, transient=False) is None

    def remove_node(self, name: NodeName) -> None:
        """Forget a node; pods on it keep their record, so that it may come back."""
        if self.nodes.pop(name, None) is None:
            return
        self.generation += 1
        at = self.index(name)
        del self._order[at]
        self._total, self._used, self._held = (
            np.delete(rows, at, axis=1) for rows in (self._total, self._used, self._held)
        )
        self._usable = np.delete(self._usable, at)
        self._masks.clear()

    def observe_pod(self, pod: Pod) -> bool:
        """Account for a pod as the watch shows it; True when some capacity came free."""
        if pod.node is None:
            return False
        if pod.finished:
            return self.forget_pod(pod.uid)
        self._settle(pod.uid)
        before = self._running.get(pod.uid)
        if before == (pod.node, pod.shape):
            return False
        if before is not None:
            self._add(self._used, *before, sign=-1)
        self._running[pod.uid] = (pod.node, pod.shape)
        self._add(self._used, pod.node, pod.shape, sign=1)
        self.generation += 1
        return False

    def forget_pod(self, uid: str) -> bool:
        """A pod is gone or finished; True when it had held capacity."""
        settled = self._settle(uid)
        before = self._running.pop(uid, None)
        if before is None:
            return settled
        self._add(self._used, *before, sign=-1)
        self.generation += 1
        return True

    def hold(self, hold: Hold) -> None:
        """Reserve a whole gang in one step, in place of any earlier hold of the same owner."""
        self.release(hold.owner)
        self.holds[hold.owner] = hold
        for node, shape in hold.pods.values():
            self._add(self._held, node, shape, sign=1)
        self.generation += 1

    def renew(self, owner: GangKey, expires_s: float) -> None:
        """Extend a lease on evidence that the gang still moves."""
        old = self.holds.get(owner)
        if old is not None and old.expires_s < expires_s:
            self.holds[owner] = Hold(old.owner, old.plan, expires_s, old.pods)

    def release(self, owner: GangKey) -> bool:
        """Give back what a gang still holds; True when there was something."""
        hold = self.holds.pop(owner, None)
        if hold is None:
            return False
        for node, shape in hold.pods.values():
            self._add(self._held, node, shape, sign=-1)
        self.generation += 1
        return True

    def expired(self, now_s: float) -> tuple[GangKey, ...]:
        """Owners whose lease has ended."""
        return tuple(sorted(owner for owner, hold in self.holds.items() if hold.expires_s <= now_s))

    def held_by_others(self, owner: GangKey) -> Int64:
        """Room as the owner sees it: everything free, its own hold included."""
        free = self.free()
        hold = self.holds.get(owner)
        for node, shape in hold.pods.values() if hold else ():
            if node in self.nodes:
                free[:, self.index(node)] += self._vector(shape)
        return free

    def masks(self, shape: PodShape) -> tuple[Bool, Bool]:
        """bool[nodes]: where a shape may run now, and where it could once nodes are ready and uncordoned."""
        if shape not in self._masks:
            ordered = [self.nodes[NodeName(name)] for _, name in self._order]
            now = np.array([ineligible(shape, node) is None for node in ordered], dtype=np.bool_)
            ever = np.array(
                [ineligible(shape, node, transient=False) is None for node in ordered], dtype=np.bool_
            )
            if len(self._masks) > 64:
                self._masks.clear()
            self._masks[shape] = (now, ever)
        return self._masks[shape]

    def reasons(self, shape: PodShape) -> tuple[tuple[str, int], ...]:
        """Why nodes are excluded for a shape, and how many, most frequent first."""
        found = Counter(why for node in self.nodes.values() if (why := ineligible(shape, node)) is not None)
        return tuple(sorted(found.items(), key=lambda item: (-item[1], item[0])))

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
        """`used` and `held` as kept by deltas."""
        return self._used, self._held

    def _settle(self, uid: str) -> bool:
        """A held pod is bound or gone: its share of the hold ends."""
        for owner, hold in self.holds.items():
            if uid in hold.pods:
                node, shape = hold.pods.pop(uid)
                self._add(self._held, node, shape, sign=-1)
                if not hold.pods:
                    del self.holds[owner]
                self.generation += 1
                return True
        return False

    def _insert(self, name: NodeName) -> None:
        key = natural_key(name)
        at = bisect_left(self._order, key)
        self._order.insert(at, key)
        self._total, self._used, self._held = (
            np.insert(rows, at, 0, axis=1) for rows in (self._total, self._used, self._held)
        )
        self._usable = np.insert(self._usable, at, False)
        self._masks.clear()
        for node, shape in self._running.values():
            if node == name:
                self._add(self._used, node, shape, sign=1)
        for hold in self.holds.values():
            for node, shape in hold.pods.values():
                if node == name:
                    self._add(self._held, node, shape, sign=1)

    def _row(self, resource: str) -> int:
        if resource not in self._column:
            self._column[resource] = len(self._resources)
            self._resources.append(resource)
            fill = 1 if resource.startswith(PORT) else 0
            row = np.full((1, len(self._order)), fill, dtype=np.int64)
            self._total = np.vstack([self._total, row])
            self._used = np.vstack([self._used, np.zeros_like(row)])
            self._held = np.vstack([self._held, np.zeros_like(row)])
        return self._column[resource]

    def _vector(self, shape: PodShape) -> Int64:
        vector = np.zeros(len(self._resources), dtype=np.int64)
        for name, amount in shape.requests:
            if name in self._column:
                vector[self._column[name]] = amount
        return vector

    def _add(self, rows: Int64, node: NodeName, shape: PodShape, *, sign: int) -> None:
        if node not in self.nodes:
            return
        at = self.index(node)
        for name, amount in shape.requests:
            if name in self._column:
                rows[self._column[name], at] += sign * amount
