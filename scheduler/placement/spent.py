"""What a pod takes of the capacity that can still be used: its own, and what it leaves without CPU or memory.

Of the free GPUs of a node only so many are of use as its free CPU and memory can serve. How much
of these a GPU goes with is read off what runs on nodes with GPUs now (off what these nodes have,
while nothing runs). On a cluster of shared GPUs this keeps GPUs from being left behind.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from scheduler.devices import is_gpu
from scheduler.placement.problem import Cluster, Int64, PlacementProblem

TERM = "spent_node"
_SERVING = ("cpu", "memory")


def spent(problem: PlacementProblem) -> Int64:
    """int64[nodes]: GPUs (units of the primary resource, on a cluster without any) that are of use before
    the pod of a gang of one is placed on a node and not after; never negative."""
    cluster, requests = problem.cluster, problem.shapes[int(problem.shape_of[0])].requests
    scarce = _scarce(cluster.resources, problem.primary)
    before = _of_use(cluster, cluster.free, scarce)
    after = _of_use(cluster, cluster.free - requests[:, None], scarce)
    return np.asarray(before - after, dtype=np.int64)


@lru_cache(maxsize=64)
def _scarce(resources: tuple[str, ...], primary: int) -> int:
    """The row of the GPUs, also for a pod that asks for none: what it takes may leave some behind."""
    if is_gpu(resources[primary]):
        return primary
    return next((at for at, name in enumerate(resources) if is_gpu(name)), primary)


def _of_use(cluster: Cluster, free: Int64, primary: int) -> Int64:
    """int64[nodes]: free units of a resource that the rest of the node can serve."""
    found: Int64 = np.maximum(free[primary], 0)
    for row, units in _served_by(cluster, primary):
        found = np.minimum(found, (np.maximum(free[row], 0) * units).astype(np.int64))
    return found


@lru_cache(maxsize=8)
def _served_by(cluster: Cluster, primary: int) -> tuple[tuple[int, float], ...]:
    """(row, units of that resource that a unit of this one serves) of CPU and memory."""
    having = cluster.usable & (cluster.total[primary] > 0)
    total = cluster.total[:, having]
    used = np.maximum(total - cluster.free[:, having], 0).sum(axis=1)
    amounts = used if used[primary] > 0 else total.sum(axis=1)
    rows = [at for at, name in enumerate(cluster.resources) if name in _SERVING and at != primary]
    return tuple((row, float(amounts[primary] / amounts[row])) for row in rows if amounts[row] > 0)
