"""From what reflectors read to facts for the engine."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Generic, Protocol, TypeVar

from scheduler.classes import BUILT_IN, PriorityClass, class_of
from scheduler.engine.facts import (
    ClassesSeen,
    Fact,
    GroupGone,
    GroupSeen,
    NodeGone,
    NodesSeen,
    PodGone,
    PodSeen,
    PodUnreadable,
    WorkloadGone,
    WorkloadSeen,
)
from scheduler.kube.objects import Item, Other, WatchEvent
from scheduler.model import GangKey, InvalidField, InvalidInput, Node, NodeName, Pod, PodGroup, PodKey
from scheduler.owners import of_kind
from scheduler.workloads.kinds import Kind
from scheduler.workloads.known import Workload, WorkloadKey

_STEP = 50
"""Facts that are told before others may run: some milliseconds."""

MOST_WORKLOADS = 50_000
"""Objects of one kind whose word is kept."""

log = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)


class Receiver(Protocol):
    """Who is told of facts, of the end of a batch, and of objects that cannot be read."""

    def observe(self, fact: Fact) -> None: ...

    def wake(self) -> None: ...

    def unreadable(self, fault: InvalidField) -> None: ...


class _Feed(ABC, Generic[K]):
    """Common to all kinds: who is there, so that a new list tells who is gone."""

    def __init__(self, receiver: Receiver, *, key_of: Callable[[Item], K], gone: Callable[[K], Fact]) -> None:
        self._receiver, self._key_of, self._gone = receiver, key_of, gone
        self._present: set[K] = set()

    def in_steps(self, items: tuple[Item, ...]) -> Iterator[None]:
        """All objects there are; what was there before and is not among them is gone."""
        keys = {self._key_of(item) for item in items}
        for key in sorted(self._present - keys, key=str):
            self._receiver.observe(self._gone(key))
        self._present = keys
        for at, fact in enumerate(self._facts(items), start=1):
            self._receiver.observe(fact)
            if at % _STEP == 0:
                yield

    def replace(self, items: tuple[Item, ...]) -> None:
        """The same at once."""
        for _ in self.in_steps(items):
            pass

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

    @abstractmethod
    def _key(self, named: tuple[str, str]) -> K:
        """The key of an object by its namespace and name."""

    @abstractmethod
    def _facts(self, items: tuple[Item, ...]) -> Iterable[Fact]:
        """What objects that were seen tell."""

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


class WorkloadFeed(_Feed[WorkloadKey]):
    """Objects of one kind that own pods: read once per generation, at most `most` of them."""

    def __init__(self, receiver: Receiver, kind: Kind, *, most: int = MOST_WORKLOADS) -> None:
        super().__init__(receiver, key_of=self._key_of, gone=WorkloadGone)
        self._kind, self._most = kind, most
        self._generation: dict[WorkloadKey, tuple[str, int]] = {}
        self._left_out = 0

    def _key_of(self, item: Item) -> WorkloadKey:
        assert isinstance(item, Other)
        return self._key(item.key)

    def _key(self, named: tuple[str, str]) -> WorkloadKey:
        return WorkloadKey(self._kind.name, named[0] or "default", named[1])

    def in_steps(self, items: tuple[Item, ...]) -> Iterator[None]:
        yield from super().in_steps(items)
        self._generation = {k: v for k, v in self._generation.items() if k in self._present}

    def event(self, event: WatchEvent) -> None:
        if event.type == "DELETED":
            self._generation.pop(self._key(event.key), None)
        super().event(event)

    def _facts(self, items: tuple[Item, ...]) -> Iterable[Fact]:
        for item in items:
            assert isinstance(item, Other)
            try:
                found = self._read(item)
            except InvalidInput as error:
                for fault in error.faults:
                    self._receiver.unreadable(fault)
                continue
            if found is not None:
                yield WorkloadSeen(found)

    def _read(self, item: Other) -> Workload | None:
        """What an object says, None when that cannot have changed or there are too many; raises InvalidInput.

        The API server raises a generation with every change of a spec, and with no other.
        """
        key, metadata = self._key(item.key), item.document["metadata"]
        generation = (str(metadata.get("uid")), metadata.get("generation") or 0)
        if generation[1] and self._generation.get(key) == generation:
            return None
        if key not in self._generation and len(self._generation) >= self._most:
            self._left_out += 1
            if self._left_out == 1:
                log.warning(
                    "more than %d objects of kind %s: the rest is not read", self._most, self._kind.kind
                )
            return None
        self._generation[key] = generation
        return of_kind(self._kind, item.document)


class ClassFeed:
    """Priority classes: few, and told as a whole with every change."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._classes: dict[str, PriorityClass] = {}

    def in_steps(self, items: tuple[Item, ...]) -> Iterator[None]:
        """All classes there are, in one step."""
        self._classes = {found.name: found for item in items if (found := _class(item)) is not None}
        self._tell()
        yield

    def event(self, event: WatchEvent) -> None:
        found = None if event.type == "DELETED" or event.item is None else _class(event.item)
        self._classes.pop(event.key[1], None)
        if found is not None:
            self._classes[found.name] = found
        self._tell()

    def _tell(self) -> None:
        self._receiver.observe(ClassesSeen({**BUILT_IN, **self._classes}))

    def flush(self) -> None:
        """Nobody waits for a priority class."""

    def fault(self, fault: InvalidField) -> None:
        self._receiver.unreadable(fault)


def _class(item: Item) -> PriorityClass | None:
    assert isinstance(item, Other)
    return class_of(item.document)


def _node(item: Item) -> Node:
    assert isinstance(item, Node)
    return item


def _pod(item: Item) -> Pod:
    assert isinstance(item, Pod)
    return item


def _group_key(item: Item) -> GangKey:
    assert isinstance(item, PodGroup)
    return GangKey(item.namespace, item.name)
