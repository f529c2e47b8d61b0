"""What happens to the nodes: failures and repairs, from a list or by rates."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from pathlib import Path

from benchmarks.simulate.traces.job import invalid
from benchmarks.simulate.traces.table import rows


@dataclass(frozen=True, slots=True, order=True)
class NodeEvent:
    """A node fails (`ready` False) or is repaired, in seconds of the simulation."""

    at_s: float
    node: str
    ready: bool


def from_list(path: Path, names: Sequence[str]) -> Iterator[NodeEvent]:
    """The events of a CSV with the columns time_s, node, event (down or up), by time; raises InvalidInput."""
    known, words, found = set(names), {"down": False, "up": True}, []
    for row in rows(path, needs=("time_s", "node", "event")):
        row.check()
        node, word = row.text("node"), row.text("event")
        if node not in known:
            raise invalid(row.where, "node", node, "a node of the cluster")
        if word not in words:
            raise invalid(row.where, "event", word, "down or up")
        found.append(NodeEvent(row.number("time_s"), node, words[word]))
    yield from sorted(found)


def by_rate(names: Sequence[str], *, mtbf_s: float, mttr_s: float, seed: int) -> Iterator[NodeEvent]:
    """Failures without end: every node fails after an exponential time of mean `mtbf_s` and is
    repaired after one of mean `mttr_s`. The same seed gives the same events."""
    draw = random.Random(f"failures-{seed}")
    ahead = [NodeEvent(draw.expovariate(1 / mtbf_s), name, ready=False) for name in names]
    heapify(ahead)
    while True:
        event = heappop(ahead)
        yield event
        mean_s = mtbf_s if event.ready else mttr_s
        heappush(ahead, NodeEvent(event.at_s + draw.expovariate(1 / mean_s), event.node, not event.ready))
