"""One partition kept as arrays while nodes come, move and go."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from topology.naming import NameKey
from topology.places import Domain
from topology.spec import LevelSpec, Partition

Order = tuple[NameKey, bool, tuple[str, ...]]


class Column:
    """The domains of one level over the nodes in order.

    Domain ids follow the natural order of the domains, so the arrays depend on
    the present nodes alone and not on how they came to be. A change costs a
    few numpy passes over the nodes; a published array is never written again.
    """

    def __init__(self, level: LevelSpec, domains: Sequence[Domain]) -> None:
        self._level = level
        found = {domain: domain.order for domain in set(domains)}
        present = sorted(found, key=found.__getitem__)
        self._order: list[Order] = [found[domain] for domain in present]
        self._names = [domain.name for domain in present]
        self._private: NDArray[np.bool_] = np.array([domain.private for domain in present], dtype=np.bool_)
        ids = {domain: at for at, domain in enumerate(present)}
        self._domain_of = np.fromiter(map(ids.__getitem__, domains), np.int32, len(domains))
        self._sizes = np.bincount(self._domain_of, minlength=len(present))
        self._published: Partition | None = None

    def partition(self) -> Partition:
        """The present state, immutable; the same object until something changes."""
        if self._published is None:
            self._domain_of.setflags(write=False)
            self._private.setflags(write=False)
            self._published = Partition(
                self._level.name, self._level.label, self._domain_of, tuple(self._names), self._private
            )
        return self._published

    def move(self, node: int, domain: Domain) -> None:
        """Put a node into another domain."""
        order = domain.order
        old = int(self._domain_of[node])
        if self._order[old] == order:
            return
        self._writable()
        new = self._enter(domain, order)
        old = int(self._domain_of[node])
        self._domain_of[node] = new
        self._leave(old)

    def insert(self, node: int, domain: Domain) -> None:
        """Add a node at this position of the order."""
        self._published = None
        new = self._enter(domain, domain.order, copy=True)
        self._domain_of = np.insert(self._domain_of, node, new).astype(np.int32, copy=False)

    def delete(self, node: int) -> None:
        """Take the node at this position away."""
        self._published = None
        old = int(self._domain_of[node])
        self._domain_of = np.delete(self._domain_of, node)
        self._leave(old)

    def _writable(self) -> None:
        """Copy what has been published before it is written."""
        if self._published is not None:
            self._domain_of = self._domain_of.copy()
            self._published = None

    def _enter(self, domain: Domain, order: Order, *, copy: bool = False) -> int:
        """The id of a domain, made where needed, with one more node in it."""
        at = bisect_left(self._order, order)
        if at == len(self._order) or self._order[at] != order:
            if copy:
                self._domain_of = self._domain_of.copy()
            self._order.insert(at, order)
            self._names.insert(at, domain.name)
            self._private = np.insert(self._private, at, domain.private)
            self._sizes = np.insert(self._sizes, at, 0)
            self._domain_of += self._domain_of >= at
        self._sizes[at] += 1
        return at

    def _leave(self, at: int) -> None:
        """Take one node out of a domain, which goes when it is empty."""
        self._sizes[at] -= 1
        if self._sizes[at]:
            return
        del self._order[at], self._names[at]
        self._private = np.delete(self._private, at)
        self._sizes = np.delete(self._sizes, at)
        self._domain_of -= self._domain_of > at
