"""The fabric at chosen times of a simulation, gangs as colours, drawn by the topology's own writer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.simulate.clusters import ClusterSource
from benchmarks.simulate.traces.job import GPU
from benchmarks.simulate.words import nodes_of
from scheduler.world import World
from topology.draw import draw_svg
from topology.picture import NodeUsage


@dataclass(frozen=True, slots=True)
class Moment:
    """A time worth looking at, and why."""

    at_s: float
    why: str


def moments(document: Mapping[str, Any]) -> list[Moment]:
    """A quarter of the way, the busiest, the longest queue, and the most scattered free GPUs."""
    timeline = document["timeline"]
    every_s, busy, queued = timeline["every_s"], timeline["busy_gpus"], timeline["queued"]
    if not busy:
        return []
    level = "leaf" if "leaf" in timeline["fragmented"] else next(iter(timeline["fragmented"]), None)
    scattered = _scattered(timeline, level) if level else busy
    asked = (
        (len(busy) // 4, "a quarter of the way"),
        (_most(busy), "most GPUs in use"),
        (_most(queued), "longest queue"),
        (_most(scattered), "most free GPUs scattered"),
    )
    found: dict[int, str] = {}
    for at, why in asked:
        found[at] = f"{found[at]}; {why}" if at in found else why
    return [Moment(at * every_s, why) for at, why in sorted(found.items())]


def _most(values: Sequence[float]) -> int:
    return max(range(len(values)), key=lambda at: (values[at], -at))


def _scattered(timeline: Mapping[str, Any], level: str) -> list[float]:
    """Free GPUs outside wholly free domains of a level."""
    rows = zip(timeline["open_gpus"], timeline["busy_gpus"], timeline["fragmented"][level], strict=True)
    return [(all_gpus - busy) * share for all_gpus, busy, share in rows]


def drawn(document: Mapping[str, Any], source: ClusterSource, at_s: float) -> str:
    """The SVG of one moment. A gang that a failure ended before its last start is not shown before it."""
    world = World()
    world.upsert_nodes(source.nodes)
    names = [str(name) for name in world.ledger.names]
    gpus = {str(node.name): node.allocatable.get(GPU, 0) for node in source.nodes}
    used = dict.fromkeys(names, 0)
    for pod in source.background:
        if pod.node is not None and str(pod.node) in used:
            used[str(pod.node)] += pod.shape.amount(GPU)
    background = dict(used)
    gangs: dict[str, list[str]] = {}
    columns = {name: at for at, name in enumerate(document["job_columns"])}
    for row in document["job_rows"]:
        started, ended = row[columns["placed_s"]], row[columns["end_s"]]
        if started is None or started > at_s or (ended is not None and ended <= at_s):
            continue
        each = row[columns["gpus"]] // row[columns["pods"]]
        for node, pods in nodes_of(row[columns["nodes"]]).items():
            used[names[node]] += pods * each
            gangs.setdefault(names[node], []).extend([row[columns["id"]]] * pods * each)
    usage = {
        name: NodeUsage(gpus[name], used[name], (*[""] * background[name], *gangs.get(name, ())))
        for name in names
    }
    return draw_svg(world.fabric, usage)
