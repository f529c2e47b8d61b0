"""From the pods that each gang of a batch has in each domain to a node for every pod."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scheduler.placement.contests import Kind, views_of
from scheduler.placement.lay import lay
from scheduler.placement.problem import Int32, Int64


@dataclass(frozen=True, slots=True, eq=False)
class Shares:
    """`pods`: per gang and domain of some level the pods, in multiples of `block` that stay on one node;
    `domain_of`: int32[nodes] at that level; `values`, `bounds`: (unplaced, terms...) and what is proven
    of them."""

    pods: dict[int, dict[int, int]]
    domain_of: Int32
    block: int
    values: tuple[int, ...]
    bounds: tuple[int, ...]


def seated(shares: Shares, every: Sequence[Kind]) -> dict[int, Int32]:
    """Per gang int32[pods], its nodes: in every domain the gangs one after the other along the nodes, the
    largest share first. `every`: the kinds that the gangs are of, all of one shape."""
    view = views_of(every)[0]
    kinds = {gang: kind for kind in every for gang in kind.gangs}
    counts = {gang: np.zeros(len(view.slots), dtype=np.int64) for gang in shares.pods}
    by_domain: dict[int, list[tuple[int, int]]] = {}
    for gang, own in sorted(shares.pods.items()):
        for domain, pods in own.items():
            by_domain.setdefault(domain, []).append((-pods, gang))
    for domain, waiting in sorted(by_domain.items()):
        nodes = np.flatnonzero((shares.domain_of == domain) & (view.slots > 0))
        _seat(nodes, view.slots[nodes] // shares.block * shares.block, sorted(waiting), counts)
    found = {}
    for gang, own_counts in counts.items():
        form = kinds[gang].form
        assert form is not None
        found[gang] = lay(kinds[gang].problem, form, own_counts)
    return found


def _seat(nodes: Int64, slots: Int64, waiting: list[tuple[int, int]], counts: dict[int, Int64]) -> None:
    for pods, gang in waiting:
        given = np.diff(np.minimum(np.cumsum(slots), -pods), prepend=0)
        counts[gang][nodes] += given
        slots = slots - given
