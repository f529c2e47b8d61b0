"""Gangs that want a domain for themselves: where others may not go, and where they may not.

The controllers say so by pod anti-affinity, which kube-scheduler enforces pod by pod; a plan must
agree with it, or its members are refused the nodes that they were planned on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from scheduler.engine.roster import GangRecord
from scheduler.ledger import Ledger
from scheduler.model import GangKey, NodeName, PodShape
from scheduler.placement.formulate import View
from scheduler.placement.problem import Bool
from scheduler.workloads.exclusive import Circle, circles_of
from scheduler.world import World

ANOTHERS = "a group that wants this domain for itself, or one that this gang wants no company of, is here"

_Bar = tuple[str, str]
"""A node label and its value: a domain."""


class Apart:
    """Which gangs want domains for themselves; nothing is looked at while none does."""

    def __init__(self, gangs: Mapping[GangKey, GangRecord]) -> None:
        self._gangs = gangs
        self._wanting: dict[GangKey, None] = {}

    def note(self, record: GangRecord) -> None:
        """A gang has changed, or has no members any more."""
        if any(circle.level for circle in _circles(record)):
            self._wanting[record.key] = None
        else:
            self._wanting.pop(record.key, None)

    def view(self, world: World, record: GangRecord) -> View:
        """The cluster as this gang may use it. Cost: all pods of its kind when it wants a domain for
        itself, else those of the gangs that do."""
        view = world.view(record.key)
        bars = set(self._bars(record, world.ledger)) if self._wanting else set()
        return _without(view, bars, world.ledger) if bars else view

    def _bars(self, record: GangRecord, ledger: Ledger) -> Iterator[_Bar]:
        own = set(_circles(record))
        alone = any(circle.level for circle in own)
        for key in self._gangs if alone else self._wanting:
            other = self._gangs[key]
            if other is record or not own:
                continue
            levels = {level for theirs in set(_circles(other)) for level in _between(own, theirs)}
            for node in _nodes_of(other, ledger) if levels else ():
                labels = ledger.nodes[node].labels
                yield from ((level, labels[level]) for level in levels if level in labels)


def _circles(record: GangRecord) -> Iterator[Circle]:
    for pod in record.pods.values():
        yield from circles_of(pod)


def _between(own: Iterable[Circle], theirs: Circle) -> Iterator[str]:
    """The levels at which one of ours and one of theirs cannot share a domain."""
    for mine in own:
        if mine.kind == theirs.kind and mine.name != theirs.name:
            yield from filter(None, (mine.level, theirs.level))


def _nodes_of(record: GangRecord, ledger: Ledger) -> set[NodeName]:
    """Where a gang runs and where room is held for it."""
    hold = ledger.holds.get(record.key)
    held = {node for node, _ in hold.pods.values()} if hold else set()
    bound = {pod.node for pod in record.pods.values() if pod.node is not None}
    return {node for node in held | bound if node in ledger.nodes}


def _without(view: View, bars: set[_Bar], ledger: Ledger) -> View:
    """A view without the barred domains."""
    labels = [ledger.nodes[NodeName(name)].labels for name in view.names]
    free = np.array(
        [all(one.get(level) != domain for level, domain in bars) for one in labels], dtype=np.bool_
    )

    def masks(shape: PodShape) -> tuple[Bool, Bool]:
        now, ever = view.masks(shape)
        return now & free, ever

    barred = int((~free).sum())
    return replace(view, masks=masks, reasons=lambda shape: (*view.reasons(shape), (ANOTHERS, barred)))
