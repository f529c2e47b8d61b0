"""More clusters to simulate on: fat trees of any depth, rail-optimised units, and topology files of any "
"format."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from math import prod

from benchmarks.simulate.traces.job import invalid
from scheduler.fabrics import read_files
from topology.reading import ERROR, label_key, labels_of, tier_name
from topology.spec import HOSTNAME, InvalidTopology
from topology.synthetic import GPU_COUNT, H100, PRODUCT, SyntheticNode, hgx

MOST_NODES = 200_000
RAIL_UNIT = 32
"""Machines of a scalable unit, whose eight rails lead to eight leaf switches: one leaf group."""


def fat_tree(*shape: int) -> tuple[SyntheticNode, ...]:
    """Switches per tier, coarse to fine, then machines of 8 GPUs per leaf: 2x4x8 is 2 spines of 4 leaves "
    "of 8."""
    if prod(shape) > MOST_NODES:
        raise invalid("--cluster", "nodes", prod(shape), f"at most {MOST_NODES}")
    keys = [label_key(tier_name(tier)) for tier in reversed(range(len(shape) - 1))]
    nodes = []
    for place in product(*(range(1, count + 1) for count in shape)):
        names = ["-".join(map(str, place[: depth + 1])) for depth in range(len(keys))]
        nodes.append(_machine(f"n-{'-'.join(map(str, place))}", dict(zip(keys, names, strict=True))))
    return tuple(nodes)


def rail(pods: int, units: int) -> tuple[SyntheticNode, ...]:
    """A rail-optimised cluster: pods of scalable units of 32 HGX machines, a unit behind one leaf group."""
    return hgx(pods, units, RAIL_UNIT)


def from_topology(path: str) -> tuple[SyntheticNode, ...]:
    """Machines of 8 GPUs where a topology file, of any format that `topology import` reads, says nodes are.

    Raises InvalidInput for a file that cannot be read or contradicts itself.
    """
    try:
        reading, _ = read_files([path])
        nodes = tuple(_machine(name, labels) for name, labels in labels_of(reading))
    except InvalidTopology as error:
        raise invalid(path, "topology", path, f"a topology file ({error})") from error
    wrong = next((one for one in reading.findings if one.severity == ERROR), None)
    if wrong is not None:
        raise invalid(wrong.where, wrong.code, ", ".join(wrong.names[:5]), wrong.message)
    return nodes


def _machine(name: str, labels: Mapping[str, str]) -> SyntheticNode:
    found = {HOSTNAME: name, **labels, PRODUCT: H100.product, GPU_COUNT: str(H100.gpus)}
    return SyntheticNode(name, found, H100.gpus, H100.cpu_millis, H100.memory_bytes, H100.pods, H100.product)
