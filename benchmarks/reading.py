"""How fast a fabric is read, kept up and drawn."""

from __future__ import annotations

import gc
import random
import statistics
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace

from benchmarks.figures import Figure
from scheduler.model import Node, NodeName
from scheduler.world import World
from topology.detect import detect
from topology.draw import NodeUsage, draw_svg
from topology.formats.ibnetdiscover import read_ibnetdiscover
from topology.model import Fabric
from topology.synthetic import LEAF, SyntheticNode, nvl72
from topology.synthetic_ib import ibnetdiscover_text, rail_fabric

Tell = Callable[[str], None]

_MIB = 1 << 20


def figures(*, runs: int, tell: Tell) -> list[Callable[[], Figure]]:
    """The figures of this part, each measured when called."""
    return [
        lambda: building(25_000, runs=runs, tell=tell),
        lambda: memory(25_000, tell=tell),
        lambda: changing(25_000, changes=100 * runs, tell=tell),
        lambda: discovering(10, pods=1, spines=4, hosts=15, target=0.1, runs=runs, tell=tell),
        lambda: discovering(32, pods=14, spines=16, hosts=11, target=5, runs=runs, tell=tell),
        lambda: drawing(5_000, runs=runs, tell=tell),
        lambda: picture_size(5_000, tell=tell),
    ]


def building(nodes: int, *, runs: int, tell: Tell) -> Figure:
    """Detection, the fabric and its arrays, from labels alone; the least of some runs."""
    found = _cluster(nodes)
    tell(f"building the fabric of {len(found):,} nodes")
    value = min(_timed(lambda: _fabric(found)) for _ in range(runs))
    return Figure(f"fabric of {nodes:,} nodes from labels", value, "s", 1, f"least of {runs}; NVL72 racks")


def memory(nodes: int, *, tell: Tell) -> Figure:
    """What the fabric and its arrays hold, by tracemalloc; the nodes' own labels are not counted."""
    found = _cluster(nodes)
    tell("measuring its memory")
    gc.collect()
    tracemalloc.start()
    fabric = _fabric(found)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(fabric) == len(found)
    return Figure(
        f"memory of that fabric, {nodes:,} nodes", held / _MIB, "MiB", 60, "tracemalloc, held at the end"
    )


def changing(nodes: int, *, changes: int, tell: Tell) -> Figure:
    """One node moves to another leaf: labels taken over, levels detected again, arrays brought up to date."""
    found = _cluster(nodes)
    world = World()
    world.upsert_nodes(map(_node, found))
    world.fabric.arrays()
    tell(f"changing the labels of one node, {changes} times")
    gc.collect()
    gc.freeze()  # as the service does
    draw = random.Random(1)
    times = []
    for _ in range(changes):
        node, other = draw.choice(found), draw.choice(found)
        changed = replace(_node(node), labels={**node.labels, LEAF: other.labels[LEAF]})
        for one in (changed, _node(node)):
            times.append(_timed(lambda one=one: (world.upsert_nodes((one,)), world.fabric.arrays())))  # type: ignore[misc]
    gc.unfreeze()
    detail = f"median of {len(times)}; longest {max(times) * 1000:.2g} ms; detection and arrays included"
    return Figure(
        f"one node's labels change, {nodes:,} nodes", statistics.median(times) * 1000, "ms", 1, detail
    )


def discovering(
    groups: int, *, pods: int, spines: int, hosts: int, target: float, runs: int, tell: Tell
) -> Figure:
    """`ibnetdiscover` text of a rail-optimised fat tree with four rails, to a reading."""
    fabric = rail_fabric(
        groups, hosts=hosts, spines=spines, pods=pods, cores=spines if pods > 1 else 0, sharp=False
    )
    text = ibnetdiscover_text(fabric)
    size = f"{len(fabric.switches):,} switches, {len(fabric.adapters):,} adapters"
    tell(f"reading ibnetdiscover of {size}")
    value = min(_timed(lambda: read_ibnetdiscover(text, name="fabric")) for _ in range(runs))
    return Figure(f"ibnetdiscover, {size}", value, "s", target, f"least of {runs}; {len(text) / 1e6:.1f} MB")


def drawing(nodes: int, *, runs: int, tell: Tell) -> Figure:
    """The SVG of a fabric in use."""
    found = _cluster(nodes)
    fabric, usage = _fabric(found), _usage(found)
    tell(f"drawing {len(found):,} nodes")
    value = min(_timed(lambda: draw_svg(fabric, usage)) for _ in range(runs))
    return Figure(f"drawing {nodes:,} nodes", value, "s", 2, f"least of {runs}")


def picture_size(nodes: int, *, tell: Tell) -> Figure:
    """The size of that SVG."""
    found = _cluster(nodes)
    tell("measuring the picture")
    size = len(draw_svg(_fabric(found), _usage(found)).encode())
    return Figure(f"SVG of {nodes:,} nodes", size / 1e6, "MB", 3)


def _cluster(nodes: int) -> tuple[SyntheticNode, ...]:
    return nvl72(-(-nodes // 18))


def _fabric(nodes: tuple[SyntheticNode, ...]) -> Fabric:
    fabric = Fabric(detect(node.labels for node in nodes), (node.fabric_node() for node in nodes))
    fabric.arrays()
    return fabric


def _node(node: SyntheticNode) -> Node:
    offered = {
        "nvidia.com/gpu": node.gpus,
        "cpu": node.cpu_millis,
        "memory": node.memory_bytes,
        "pods": node.pods,
    }
    return Node(NodeName(node.name), dict(node.labels), allocatable=offered)


def _usage(nodes: tuple[SyntheticNode, ...]) -> dict[str, NodeUsage]:
    """Gangs of eight nodes on nine nodes of ten."""
    return {
        node.name: NodeUsage(node.gpus, node.gpus if at % 10 else 0, (f"team/gang-{at // 8}",))
        for at, node in enumerate(nodes)
    }


def _timed(do: Callable[[], object]) -> float:
    """Seconds that it takes."""
    started = time.perf_counter()
    do()
    return time.perf_counter() - started
