"""How many nodes to add, and where, so that a gang fits: empty ones, each like one that is there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from scheduler.placement.changes import Asker
from scheduler.placement.problem import NODE, Fix, PlacementProblem, slots
from scheduler.texts import counted
from topology.model import Partition

MOST_PLACES = 4
"""Domains of a level beside whose nodes new ones are tried."""


def nodes_to_add(problem: PlacementProblem, asker: Asker) -> Fix | None:
    """The fewest empty nodes beside one of those that are there, like it in everything: of the domains of
    every required level those with most room are tried, and those where members run."""
    best: tuple[int, int] | None = None
    for node in _models(problem):
        most = problem.pods if best is None else best[0] - 1
        if most < 1 or asker.left <= 0 or not asker.fits(_grown(problem, node, most)):
            continue
        low, high = 1, most
        while low < high and asker.left > 0:
            middle = (low + high) // 2
            if asker.fits(_grown(problem, node, middle)):
                high = middle
            else:
                low = middle + 1
        best = high, node
    if best is None:
        return None
    count, node = best
    like = problem.cluster.names[node]
    domains = {
        p.name: p.names[p.domain_of[node]] for p in problem.cluster.partitions if not _is_own(p, like, node)
    }
    where = ", ".join(f"{level} {name}" for level, name in domains.items())
    change = f"add {counted(count, 'node')} like {like} beside it ({where})"
    return Fix(change, "add-nodes", {"nodes": count, "like": like, "domains": domains}, verified=True)


def _models(problem: PlacementProblem) -> list[int]:
    """Nodes to take as a pattern: in some domains of every required level, of unequal room each and the
    roomiest first, the node that holds most of the gang's first shape."""
    room = slots(problem, int(problem.shape_of[0]))
    whole = slots(problem, int(problem.shape_of[0]), ever=True)
    found: list[int] = []
    if not whole.any():
        return found
    levels = dict.fromkeys(level for rule in problem.rules for level in rule.required if level != NODE)
    for level in levels or [p.name for p in problem.cluster.partitions[:1]]:
        domains = problem.cluster.domain_of(level)
        inside = np.bincount(domains, weights=np.where(whole > 0, room, 0))
        useful = np.bincount(domains, weights=whole) > 0
        order = np.argsort(-inside, kind="stable")
        order = order[useful[order]]
        _, first = np.unique(-inside[order], return_index=True)
        running = np.unique(domains[problem.fixed[problem.fixed >= 0]]).tolist()
        for domain in dict.fromkeys([*running[:1], *order[np.sort(first)][:MOST_PLACES].tolist()]):
            nodes = np.flatnonzero((domains == domain) & (whole > 0))
            found += nodes[np.argmax(whole[nodes])].reshape(-1).tolist() if nodes.size else []
    return list(dict.fromkeys(found))


def _grown(problem: PlacementProblem, node: int, count: int) -> PlacementProblem:
    """The problem with so many empty copies of a node, in the same domains; where the node is a domain
    of its own (NVLink inside one machine), so is every copy."""
    cluster, copies = problem.cluster, [node] * count
    partitions = tuple(_with_copies(p, cluster.names[node], node, count) for p in cluster.partitions)
    grown = replace(
        cluster,
        names=(*cluster.names, *(f"{cluster.names[node]}+{at}" for at in range(count))),
        free=np.concatenate([cluster.free, cluster.total[:, copies]], axis=1),
        total=np.concatenate([cluster.total, cluster.total[:, copies]], axis=1),
        usable=np.concatenate([cluster.usable, np.ones(count, dtype=np.bool_)]),
        partitions=partitions,
    )
    shapes = tuple(
        replace(
            shape,
            eligible=np.concatenate([shape.eligible, shape.ever[copies]]),
            ever=np.concatenate([shape.ever, shape.ever[copies]]),
        )
        for shape in problem.shapes
    )
    return replace(problem, cluster=grown, shapes=shapes)


def _with_copies(partition: Partition, name: str, node: int, count: int) -> Partition:
    """A level of the fabric with so many copies of a node at its end."""
    own = int(partition.domain_of[node])
    if not _is_own(partition, name, node):
        return replace(partition, domain_of=np.append(partition.domain_of, np.repeat(np.int32(own), count)))
    first = len(partition.names)
    return replace(
        partition,
        domain_of=np.append(partition.domain_of, np.arange(first, first + count, dtype=np.int32)),
        names=(*partition.names, *(f"{name}+{at}" for at in range(count))),
        private=np.append(partition.private, np.repeat(partition.private[own], count)),
    )


def _is_own(partition: Partition, name: str, node: int) -> bool:
    """Whether a domain is just this node, and has its name or none: a copy beside it would be another."""
    own = int(partition.domain_of[node])
    alone = int(np.count_nonzero(partition.domain_of == own)) == 1
    return alone and (bool(partition.private[own]) or partition.names[own] == name)
