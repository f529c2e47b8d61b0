"""From what each gang of a batch takes in each domain to a node for every pod."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scheduler.placement.contests import Kind
from scheduler.placement.lay import lay
from scheduler.placement.problem import Int32, Int64


@dataclass(frozen=True, slots=True, eq=False)
class Shares:
    """`slots`: per gang and domain of some level what it takes there, in multiples of `block` that stay on
    one node; `domain_of`: int32[nodes] at that level; `free`: int64[nodes], slots; `times`: per gang the
    slots of one pod; `values`, `bounds`: (unplaced, terms...) and what is proven of them."""

    slots: dict[int, dict[int, int]]
    domain_of: Int32
    free: Int64
    block: int
    times: dict[int, int]
    values: tuple[int, ...]
    bounds: tuple[int, ...]


def seated(shares: Shares, every: Sequence[Kind]) -> dict[int, Int32]:
    """Per gang int32[pods], its nodes: in every domain the gangs one after the other along the nodes, the
    largest share first. `every`: the kinds that the gangs are of."""
    kinds = {gang: kind for kind in every for gang in kind.gangs}
    free = shares.free // shares.block * shares.block
    counts = {gang: np.zeros(len(free), dtype=np.int64) for gang in shares.slots}
    by_domain: dict[int, list[tuple[int, int]]] = {}
    for gang, own in sorted(shares.slots.items()):
        for domain, slots in own.items():
            by_domain.setdefault(domain, []).append((-slots, gang))
    room = np.flatnonzero(free)
    order = room[np.argsort(shares.domain_of[room], kind="stable")]
    ids, starts = np.unique(shares.domain_of[order], return_index=True)
    ends = np.append(starts, len(order))[1:]
    nodes_of = {one: order[at:end] for one, at, end in zip(ids.tolist(), starts, ends, strict=True)}
    for domain, waiting in sorted(by_domain.items()):
        _seat(nodes_of[domain], free[nodes_of[domain]], sorted(waiting), counts)
    found = {}
    for gang, taken in counts.items():
        form = kinds[gang].form
        assert form is not None
        found[gang] = lay(kinds[gang].problem, form, taken // shares.times[gang])
    return found


def _seat(nodes: Int64, slots: Int64, waiting: list[tuple[int, int]], counts: dict[int, Int64]) -> None:
    for wanted, gang in waiting:
        given = np.diff(np.minimum(np.cumsum(slots), -wanted), prepend=0)
        counts[gang][nodes] += given
        slots = slots - given
