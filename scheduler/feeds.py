"""From what reflectors read to facts for the engine."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Iterable
from typing import Generic, Protocol, TypeVar

from scheduler.engine.facts import (
    Fact,
    GroupGone,
    GroupSeen,
    NodeGone,
    NodesSeen,
    PodGone,
    PodSeen,
    PodUnreadable,
)
from scheduler.kube.objects import Item, WatchEvent
from scheduler.model import GangKey, InvalidField, Node, NodeName, Pod, PodGroup, PodKey

log = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)


class Receiver(Protocol):
    """Who is told of facts, of the end of a batch, and of objects that cannot be read."""

    def observe(self, fact: Fact) -> None: ...

    def wake(self) -> None: ...

    def unreadable(self, fault: InvalidField) -> None: ...


class _Feed(Generic[K]):
    """Common to all kinds: who is there, so that a new list tells who is gone."""

    def __init__(self, receiver: Receiver, *, key_of: Callable[[Item], K], gone: Callable[[K], Fact]) -> None:
        self._receiver, self._key_of, self._gone = receiver, key_of, gone
        self._present: set[K] = set()

    def replace(self, items: tuple[Item, ...]) -> None:
        keys = {self._key_of(item) for item in items}
        for key in sorted(self._present - keys, key=str):
            self._receiver.observe(self._gone(key))
        self._present = keys
        for fact in self._facts(items):
            self._receiver.observe(fact)

    def event(self, event: WatchEvent) -> None:
        key = self._key(event.key)
        if event.type == "DELETED":
            self._present.discard(key)
            self._receiver.observe(self._gone(key))
        elif event.item is not None:
            self._present.add(key)
            for fact in self._facts((event.item,)):
                self._receiver.observe(fact)
        elif event.fault is not None:
            self._unreadable(key, event.fault)

    def flush(self) -> None:
        self._receiver.wake()

    def fault(self, fault: InvalidField) -> None:
        self._receiver.unreadable(fault)

    def _key(self, named: tuple[str, str]) -> K:
        raise NotImplementedError

    def _facts(self, items: tuple[Item, ...]) -> Iterable[Fact]:
        raise NotImplementedError

    def _unreadable(self, key: K, fault: InvalidField) -> None:
        """An object that was readable before keeps its earlier form."""


class NodeFeed(_Feed[NodeName]):
    """Nodes; one that has lost its capacity counts as gone."""

    def __init__(self, receiver: Receiver) -> None:
        super().__init__(receiver, key_of=lambda item: _node(item).name, gone=NodeGone)

    def _key(self, named: tuple[str, str]) -> NodeName:
        return NodeName(named[1])

    def _facts(self, items: tuple[Item, ...]) -> Iterable[Fact]:
        yield NodesSeen(tuple(_node(item) for item in items))

    def _unreadable(self, key: NodeName, fault: InvalidField) -> None:
        self._present.discard(key)
        self._receiver.observe(NodeGone(key))


class PodFeed(_Feed[PodKey]):
    """Pods."""

    def __init__(self, receiver: Receiver) -> None:
        super().__init__(receiver, key_of=lambda item: _pod(item).key, gone=PodGone)

    def _key(self, named: tuple[str, str]) -> PodKey:
        return PodKey(*named)

    def _facts(self, items: tuple[Item, ...]) -> Iterable[Fact]:
        return (PodSeen(_pod(item)) for item in items)

    def _unreadable(self, key: PodKey, fault: InvalidField) -> None:
        self._receiver.observe(PodUnreadable(key, (fault,)))


class GroupFeed(_Feed[GangKey]):
    """Upstream pod groups."""

    def __init__(self, receiver: Receiver) -> None:
        super().__init__(receiver, key_of=_group_key, gone=lambda key: GroupGone(key.namespace, key.name))

    def _key(self, named: tuple[str, str]) -> GangKey:
        return GangKey(*named)

    def _facts(self, items: tuple[Item, ...]) -> Iterable[Fact]:
        return (GroupSeen(item) for item in items if isinstance(item, PodGroup))


def _node(item: Item) -> Node:
    assert isinstance(item, Node)
    return item


def _pod(item: Item) -> Pod:
    assert isinstance(item, Pod)
    return item


def _group_key(item: Item) -> GangKey:
    assert isinstance(item, PodGroup)
    return GangKey(item.namespace, item.name)
