"""More clusters that do not exist, by the shape of their fabric, and ways to damage any of them.

Nodes are those of `topology.synthetic`; the same arguments give the same nodes.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from topology.sources.generic import EXAMPLES
from topology.sources.nvlink import CLIQUE
from topology.spec import HOSTNAME
from topology.synthetic import (
    CORE,
    GB200,
    GPU_COUNT,
    H100,
    LEAF,
    PRODUCT,
    RACK,
    SPINE,
    Machine,
    SyntheticNode,
)

BLOCK = EXAMPLES.places[0].keys[0]

_UUID = "7d1b0c44-52aa-4c0e-8f0d-1f2e3d4c5b6a"


def superpod(units: int, *, nodes_per_unit: int = 32, nodes_per_rack: int = 4) -> tuple[SyntheticNode, ...]:
    """An HGX SuperPOD: scalable units of 32 nodes with 8 GPUs, each one leaf group, under common spines."""
    return tuple(
        _node(
            f"su{unit + 1:02}-{at + 1:02}",
            H100,
            {
                SPINE: f"spine-{unit // 4 + 1}",
                LEAF: f"su{unit + 1:02}",
                RACK: f"su{unit + 1:02}-rack-{at // nodes_per_rack + 1}",
            },
        )
        for unit in range(units)
        for at in range(nodes_per_unit)
    )


def gb200_rows(rows: int, *, racks_per_row: int = 8) -> tuple[SyntheticNode, ...]:
    """Rows of GB200 NVL72 racks: 18 nodes with 4 GPUs each, a rack one clique, a row one block."""
    racks = [(row, rack) for row in range(rows) for rack in range(racks_per_row)]
    return tuple(
        _node(
            f"gb-{row + 1}-{rack + 1}-{tray + 1:02}",
            GB200,
            {
                BLOCK: f"row-{row + 1}",
                RACK: f"row-{row + 1}-rack-{rack + 1}",
                CLIQUE: f"{_UUID}.{row * racks_per_row + rack + 1}",
            },
        )
        for row, rack in racks
        for tray in range(18)
    )


def rail_optimised(groups: int, *, hosts: int = 16, groups_per_spine: int = 8) -> tuple[SyntheticNode, ...]:
    """Hosts with a rail to each leaf of their group: the group is the leaf, whatever the number of rails.

    Racks hold eight hosts and every second one reaches into the next group, as racks do that
    were filled before the cables were laid.
    """
    count = groups * hosts
    return tuple(
        _node(
            f"rail-{at // hosts + 1:03}-{at % hosts + 1:02}",
            H100,
            {
                SPINE: f"spine-{at // hosts // groups_per_spine + 1}",
                LEAF: f"group-{at // hosts + 1:03}",
                RACK: f"r{(at + 4) // 8 + 1:04}",
            },
        )
        for at in range(count)
    )


def fat_tree(ports: int) -> tuple[SyntheticNode, ...]:
    """A k-ary fat tree of switches with `ports` ports: as many pods, half as many leaves each, and hosts."""
    half = ports // 2
    return tuple(
        _node(
            f"ft-{pod + 1}-{leaf + 1}-{at + 1:02}",
            H100,
            {CORE: "core", SPINE: f"pod-{pod + 1}", LEAF: f"edge-{pod + 1}-{leaf + 1}"},
        )
        for pod in range(ports)
        for leaf in range(half)
        for at in range(half)
    )


def dragonfly(groups: int, *, routers: int = 4, hosts: int = 4) -> tuple[SyntheticNode, ...]:
    """Groups of routers that are all cabled to one another: a group is the spine, a router the leaf."""
    return tuple(
        _node(
            f"df-{group + 1}-{router + 1}-{at + 1}",
            H100,
            {SPINE: f"group-{group + 1}", LEAF: f"router-{group + 1}-{router + 1}"},
        )
        for group in range(groups)
        for router in range(routers)
        for at in range(hosts)
    )


def damaged(
    nodes: Sequence[SyntheticNode], seed: int, *, lost: float = 0.02, swapped: float = 0.02
) -> tuple[tuple[SyntheticNode, ...], frozenset[str]]:
    """The nodes with some labels lost and some taken from another node, and the names of those nodes.

    `lost` and `swapped` are shares of the nodes.
    """
    draw = random.Random(seed)
    kinds = draw.choices(("lost", "swapped", ""), (lost, swapped, max(1 - lost - swapped, 0)), k=len(nodes))
    made, odd = [], set()
    for node, kind in zip(nodes, kinds, strict=True):
        other = draw.choice(nodes)
        one = _damage(node, other, kind, draw)
        made.append(one)
        if one.labels != node.labels:
            odd.add(node.name)
    return tuple(made), frozenset(odd)


def _damage(node: SyntheticNode, other: SyntheticNode, kind: str, draw: random.Random) -> SyntheticNode:
    if not kind:
        return node
    key = draw.choice(tuple(_places(node.labels)))
    labels = dict(node.labels)
    if kind == "lost":
        del labels[key]
    else:
        labels[key] = other.labels.get(key, labels[key])
    return replace(node, labels=labels)


def _places(labels: Mapping[str, str]) -> Iterator[str]:
    return (key for key in labels if key not in (HOSTNAME, PRODUCT, GPU_COUNT))


def _node(name: str, machine: Machine, labels: Mapping[str, str]) -> SyntheticNode:
    own = {HOSTNAME: name, **labels, PRODUCT: machine.product, GPU_COUNT: str(machine.gpus)}
    return SyntheticNode(
        name, own, machine.gpus, machine.cpu_millis, machine.memory_bytes, machine.pods, machine.product
    )
