"""Clusters to simulate on: snapshots, tables of hosts, and synthetic ones from a short specification."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.simulate.fabrics import fat_tree, from_topology, rail
from benchmarks.simulate.traces.job import GPU, PRODUCT, invalid
from benchmarks.simulate.traces.table import lines, rows
from deploy.local.objects import node_object
from scheduler import manifests
from scheduler.kube.objects import from_dict
from scheduler.model import Node, NodeName, Pod, PodKey, PodShape
from topology.synthetic import SyntheticNode, from_rows, hgx, mixed, nvl72, uneven

_MIB = 1 << 20

WANTED = (
    "nvl72:RACKS[xRACKS_PER_SPINE], hgx:SPINESxLEAVESxNODES, superpod:UNITS, rail:PODSxUNITS, "
    "fattree:[CORESx]SPINESxLEAVESxNODES, uneven:SEED, mixed, topology:FILE, a table of hosts (.csv), "
    "or a snapshot as kubectl prints it (.json, .yaml)"
)


@dataclass(frozen=True, slots=True)
class ClusterSource:
    """The nodes of a cluster, and pods that run there for the whole simulation."""

    name: str
    nodes: tuple[Node, ...]
    background: tuple[Pod, ...] = ()


def cluster(text: str, *, preload: float = 0.0, seed: int = 0) -> ClusterSource:
    """The cluster that a specification or a file describes.

    `preload`: share of the GPUs (0 to 1) that is taken by pods of one GPU on nodes drawn by
    `seed`, for good. Raises InvalidInput for an unknown specification, a bad file, or a share
    that is none.
    """
    if not 0 <= preload < 1:
        raise invalid("--preload", "share", preload, "at least 0 and below 1")
    named = not text.startswith("topology:") and (Path(text).suffix or Path(text).exists())
    found = _from_file(text) if named else _synthetic(text)
    if not found.nodes:
        raise invalid(text, "nodes", 0, "at least one node")
    return ClusterSource(found.name, found.nodes, (*found.background, *_preload(found, preload, seed)))


def _synthetic(text: str) -> ClusterSource:
    kind, _, sizes = text.partition(":")
    if kind == "topology" and sizes:
        return ClusterSource(Path(sizes).name, tuple(_node(one) for one in from_topology(sizes)))
    numbers = tuple(int(part) if part.isdecimal() else -1 for part in sizes.split("x")) if sizes else ()
    makers: dict[tuple[str, int], Callable[..., tuple[SyntheticNode, ...]]] = {
        ("nvl72", 1): nvl72,
        ("nvl72", 2): lambda racks, spine: nvl72(racks, racks_per_spine=spine),
        ("hgx", 3): hgx,
        ("uneven", 1): uneven,
        ("mixed", 0): mixed,
        ("superpod", 1): lambda units: rail(1, units),
        ("rail", 2): rail,
        **{("fattree", depth): fat_tree for depth in range(2, 7)},
    }
    maker = makers.get((kind, len(numbers)))
    smallest = 0 if kind == "uneven" else 1
    if maker is None or any(number < smallest for number in numbers):
        raise invalid("--cluster", "specification", text, WANTED)
    return ClusterSource(text, tuple(_node(one) for one in maker(*numbers)))


def _node(machine: SyntheticNode) -> Node:
    node = from_dict("Node", node_object(machine))
    assert isinstance(node, Node)
    return node


def _from_file(text: str) -> ClusterSource:
    path = Path(text)
    if ".csv" in path.suffixes:
        return ClusterSource(path.name, _table(path))
    found = manifests.snapshot(manifests.load([text]))
    if found.faults:
        raise invalid(found.faults[0].object, found.faults[0].field, found.faults[0].value, "a good object")
    running = tuple(pod for pod in found.pods if pod.node is not None and not pod.finished)
    return ClusterSource(path.name, found.nodes, running)


def _table(path: Path) -> tuple[Node, ...]:
    """Hosts with leaf, pod and core, or openb nodes with their own capacities."""
    with lines(path) as file:
        head = file.readline().strip().split(",")
    if "gpu_model" in head:
        needs = ("node", "cpu_milli", "memory_mib", "gpus", "gpu_model")
        return tuple(
            Node(
                NodeName(row.text("node")),
                {"kubernetes.io/hostname": row.text("node"), PRODUCT: row.text("gpu_model")},
                allocatable={
                    "cpu": row.whole("cpu_milli"),
                    "memory": row.whole("memory_mib") * _MIB,
                    "pods": 110,
                    GPU: row.whole("gpus"),
                },
            )
            for row in rows(path, needs=needs)
        )
    needed = [_column(path, head, name) for name in ("host", "leaf", "pod", "core")]
    return tuple(_node(one) for one in from_rows(dict(row.cells) for row in rows(path, needs=needed)))


def _column(path: Path, head: Sequence[str], name: str) -> str:
    """The column of that name, or the one whose name begins with it, as in `leaf_asw`."""
    found = [one for one in head if one == name] or [one for one in head if one.startswith(f"{name}_")]
    if not found:
        raise invalid(f"{path}:1", "column", name, "a table with the columns host, leaf, pod and core")
    return found[0]


def _preload(source: ClusterSource, share: float, seed: int) -> list[Pod]:
    """Pods of one GPU on randomly drawn free GPUs."""
    taken = dict.fromkeys((node.name for node in source.nodes), 0)
    for pod in source.background:
        if pod.node in taken:
            taken[pod.node] += pod.shape.amount(GPU)
    open_gpus = [
        node.name for node in source.nodes for _ in range(node.allocatable.get(GPU, 0) - taken[node.name])
    ]
    total = sum(node.allocatable.get(GPU, 0) for node in source.nodes)
    count = min(round(share * total), len(open_gpus))
    shape = PodShape(((GPU, 1), ("pods", 1)))
    chosen = random.Random(f"preload-{seed}").sample(open_gpus, count)
    return [
        Pod(PodKey("background", f"one-{at}"), f"background-{at}", shape, node=name)
        for at, name in enumerate(chosen)
    ]
