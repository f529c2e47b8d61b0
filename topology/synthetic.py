"""Clusters that do not exist: plain node descriptions with the labels that real ones carry.

The same arguments give the same nodes, in natural order of their names.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from topology.sources.nvlink import CLIQUE
from topology.spec import HOSTNAME, FabricNode, InvalidTopology

LEAF = "fabric.topograph.run/tier-0"
SPINE = "fabric.topograph.run/tier-1"
CORE = "fabric.topograph.run/tier-2"
RACK = "cloud.provider.com/topology-rack"
PRODUCT = "nvidia.com/gpu.product"
GPU_COUNT = "nvidia.com/gpu.count"

_GIB = 1 << 30
_CLUSTER_UUID = "3f6c1a52-8d1e-4b6f-9a70-5e21c4d9b803"


@dataclass(frozen=True, slots=True)
class SyntheticNode:
    """One node: its labels and what it can hold."""

    name: str
    labels: Mapping[str, str]
    gpus: int
    cpu_millis: int
    memory_bytes: int
    pods: int
    product: str

    def fabric_node(self) -> FabricNode:
        """What the fabric needs of it."""
        return FabricNode(self.name, self.labels, nvlink_gpus=self.gpus > 0)


@dataclass(frozen=True, slots=True)
class Machine:
    """A kind of machine."""

    product: str
    gpus: int
    cpu_millis: int
    memory_bytes: int
    pods: int = 110


GB200 = Machine("NVIDIA-GB200", 4, 144_000, 960 * _GIB)
H100 = Machine("NVIDIA-H100-80GB-HBM3", 8, 192_000, 2048 * _GIB)


def nvl72(racks: int, *, racks_per_spine: int = 8, nodes_per_rack: int = 18) -> tuple[SyntheticNode, ...]:
    """Racks of 18 nodes with 4 GPUs, each rack one NVLink domain behind one leaf."""
    return tuple(
        _nvl_node(rack, tray, spine=f"spine-{rack // racks_per_spine + 1}", leaf=f"leaf-{rack + 1}")
        for rack in range(racks)
        for tray in range(nodes_per_rack)
    )


def hgx(
    spines: int, leaves_per_spine: int, nodes_per_leaf: int, *, nodes_per_rack: int = 4
) -> tuple[SyntheticNode, ...]:
    """Machines of 8 GPUs, NVLink inside the machine only, in racks below their leaf."""
    return tuple(
        _hgx_node(
            f"hgx-{spine + 1}-{leaf + 1}-{at + 1:02}",
            spine=f"spine-{spine + 1}",
            leaf=f"leaf-{spine + 1}-{leaf + 1}",
            rack=f"rack-{spine + 1}-{leaf + 1}-{at // nodes_per_rack + 1}",
        )
        for spine in range(spines)
        for leaf in range(leaves_per_spine)
        for at in range(nodes_per_leaf)
    )


def mixed() -> tuple[SyntheticNode, ...]:
    """Two NVL72 racks and four HGX racks under two spines; 52 nodes and 272 GPUs."""
    linked = [
        _nvl_node(rack, tray, spine=f"spine-{rack + 1}", leaf=f"leaf-{3 * rack + 1}")
        for rack in range(2)
        for tray in range(18)
    ]
    boxes = [
        _hgx_node(
            f"hgx-{rack + 1}-{at + 1}",
            spine=f"spine-{rack // 2 + 1}",
            leaf=f"leaf-{rack + rack // 2 + 2}",
            rack=f"hgx-rack-{rack + 1}",
        )
        for rack in range(4)
        for at in range(4)
    ]
    return (*boxes, *linked)


def uneven(seed: int, *, spines: int = 3, missing_share: float = 0.02) -> tuple[SyntheticNode, ...]:
    """Leaves of 2 to 8 machines of 8 GPUs, 2 to 6 leaves a spine; some nodes lack a fabric label."""
    draw = random.Random(seed)
    nodes = [
        _hgx_node(
            f"n-{spine + 1}-{leaf + 1}-{at + 1}",
            spine=f"spine-{spine + 1}",
            leaf=f"leaf-{spine + 1}-{leaf + 1}",
            rack=f"rack-{spine + 1}-{leaf + 1}",
        )
        for spine in range(spines)
        for leaf in range(draw.randint(2, 6))
        for at in range(draw.randint(2, 8))
    ]
    return tuple(_lose_a_label(node, draw, share=missing_share) for node in nodes)


def from_rows(rows: Iterable[Mapping[str, str]], *, machine: Machine = H100) -> tuple[SyntheticNode, ...]:
    """Nodes of a table with the columns host, leaf, pod and core; pods of switches become spines.

    A column may go on behind its name ("leaf_asw"). Raises InvalidTopology for
    a row that lacks one.
    """
    return tuple(_table_node(row, machine) for row in rows)


def _table_node(row: Mapping[str, str], machine: Machine) -> SyntheticNode:
    host, leaf, pod, core = (_cell(row, column) for column in ("host", "leaf", "pod", "core"))
    return _node(host, machine, {LEAF: leaf, SPINE: pod, CORE: core})


def _cell(row: Mapping[str, str], column: str) -> str:
    if column in row:
        return row[column]
    for key in sorted(row):
        if key.startswith(column + "_"):
            return row[key]
    raise InvalidTopology(f"a row of the table has no column {column!r}, only {', '.join(sorted(row))}")


def _nvl_node(rack: int, tray: int, *, spine: str, leaf: str) -> SyntheticNode:
    labels = {SPINE: spine, LEAF: leaf, RACK: f"nvl-rack-{rack + 1}", CLIQUE: f"{_CLUSTER_UUID}.{rack + 1}"}
    return _node(f"nvl-{rack + 1}-{tray + 1:02}", GB200, labels)


def _hgx_node(name: str, *, spine: str, leaf: str, rack: str) -> SyntheticNode:
    return _node(name, H100, {SPINE: spine, LEAF: leaf, RACK: rack})


def _node(name: str, machine: Machine, labels: Mapping[str, str]) -> SyntheticNode:
    found = {PRODUCT: machine.product, GPU_COUNT: str(machine.gpus)}
    return SyntheticNode(
        name,
        {HOSTNAME: name, **labels, **found},
        machine.gpus,
        machine.cpu_millis,
        machine.memory_bytes,
        machine.pods,
        machine.product,
    )


def _lose_a_label(node: SyntheticNode, draw: random.Random, *, share: float) -> SyntheticNode:
    lost = draw.choice((SPINE, LEAF, RACK))
    if draw.random() >= share:
        return node
    return replace(node, labels={key: value for key, value in node.labels.items() if key != lost})
