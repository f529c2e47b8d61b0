"""Synthetic clusters and workloads as files: a snapshot as kubectl prints it, and plain traces."""

from __future__ import annotations

import csv
import io
import math
import random
from typing import Any

from benchmarks.simulate.clusters import ClusterSource
from benchmarks.simulate.traces.formats import PLAIN_MORE, PLAIN_NEEDS
from benchmarks.simulate.traces.job import invalid, per_node
from scheduler.model import Node, Pod


def snapshot(source: ClusterSource) -> dict[str, Any]:
    """The nodes of a cluster and the pods that run there, as `kubectl get nodes,pods -o json` prints them."""
    items = [*map(_node, source.nodes), *map(_pod, source.background)]
    return {"apiVersion": "v1", "kind": "List", "items": items}


def workload(jobs: int, *, sizes: str, per_hour: float, median_s: float, sigma: float, seed: int) -> str:
    """A plain trace: jobs come as a Poisson stream, run for a lognormal time, and have a size of
    `sizes` (`1:0.6,8:0.3,64:0.1`: GPUs and weight). The same arguments give the same text.
    Raises InvalidInput for sizes that cannot be read and for numbers that are not positive."""
    for name, value in (("--jobs", jobs), ("--per-hour", per_hour), ("--median-s", median_s)):
        if not value > 0:
            raise invalid(name, "value", value, "more than 0")
    counts, weights = _sizes(sizes)
    draw = random.Random(f"workload-{seed}")
    text = io.StringIO()
    writer = csv.DictWriter(text, (*PLAIN_NEEDS, *PLAIN_MORE), restval="", lineterminator="\n")
    writer.writeheader()
    now_s = 0.0
    for at in range(jobs):
        pods, gpus = per_node(draw.choices(counts, weights)[0])
        duration_s = math.exp(draw.gauss(math.log(median_s), sigma))
        row = {"id": f"job-{at}", "submit_s": f"{now_s:.3f}", "duration_s": f"{duration_s:.3f}"}
        writer.writerow({**row, "pods": pods, "gpus_per_pod": gpus})
        now_s += draw.expovariate(per_hour / 3600)
    return text.getvalue()


def _sizes(text: str) -> tuple[list[int], list[float]]:
    try:
        pairs = [part.split(":") for part in text.split(",")]
        counts, weights = [int(count) for count, _ in pairs], [float(weight) for _, weight in pairs]
    except ValueError:
        raise invalid("--sizes", "sizes", text, "GPUS:WEIGHT,..., as in 1:0.6,8:0.3,64:0.1") from None
    if min(counts) < 1 or min(weights) < 0 or not 0 < sum(weights) < math.inf:
        raise invalid("--sizes", "sizes", text, "GPUs of at least 1, weights of at least 0 and not all 0")
    return counts, weights


def _node(node: Node) -> dict[str, Any]:
    amounts = {
        name: f"{amount}m" if name == "cpu" else str(amount) for name, amount in node.allocatable.items()
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": node.name, "labels": dict(node.labels)},
        "spec": {"unschedulable": True} if node.unschedulable else {},
        "status": {
            "capacity": amounts,
            "allocatable": amounts,
            "conditions": [{"type": "Ready", "status": "True" if node.ready else "False"}],
        },
    }


def _pod(pod: Pod) -> dict[str, Any]:
    asked = {name: amount for name, amount in pod.shape.requests if name != "pods"}
    amounts = {name: f"{amount}m" if name == "cpu" else str(amount) for name, amount in asked.items()}
    resources = {"requests": amounts, "limits": {k: v for k, v in amounts.items() if "/" in k}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": pod.key.name, "namespace": pod.key.namespace, "uid": pod.uid},
        "spec": {
            "nodeName": pod.node,
            "containers": [{"name": "main", "image": "none", "resources": resources}],
        },
        "status": {"phase": "Running"},
    }
