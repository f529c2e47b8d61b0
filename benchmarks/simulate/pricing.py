"""What a placement costs in communication: groups of ranks, the domains they cross, and a step's time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.simulate.linkmodel import NOTHING, System, Tier, Time, all_reduce, transfer
from scheduler.placement.problem import Int32, Int64

DP_BYTES, PP_BYTES = 2e9, 30e6
"""Per GPU and step: a data-parallel and a pipeline group of the 7B example in Arnold (arXiv 2509.15940)."""

TP_BYTES, TP_CALLS = float(1 << 20), 160
"""Per GPU and step: the all-reduces of a 70B model of 80 layers that decodes 64 tokens at once."""

_SWITCHED = ("nvlink", "leaf", "spine", "core")


@dataclass(frozen=True, slots=True)
class Sizes:
    """Tensor-parallel ranks and pipeline stages of a gang; (1, 1) for plain data parallelism."""

    tensor: int = 1
    pipeline: int = 1

    def suits(self, gpus: int, gpus_per_pod: int) -> bool:
        """Whether they divide the gang, in whole pods or whole fractions of a pod."""
        if not gpus_per_pod or gpus % (self.tensor * self.pipeline):
            return False
        return self.tensor % gpus_per_pod == 0 or gpus_per_pod % self.tensor == 0


ALONE = Sizes()
"""Data parallelism over all GPUs, and nothing else."""


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """The group of every pod (int64[pods]) in each dimension; neighbours in rank are neighbours in it.
    `replica`: the copy of the model that it belongs to."""

    tensor: Int64
    pipeline: Int64
    data: Int64
    replica: Int64


def groups(pods: int, gpus_per_pod: int, sizes: Sizes) -> Groups:
    """Tensor-parallel ranks stand together, then the stages of a replica, then replicas."""
    rank = np.arange(pods)
    per_tensor = max(sizes.tensor // gpus_per_pod, 1)
    per_replica = max(sizes.tensor * sizes.pipeline // gpus_per_pod, 1)
    replica = rank // per_replica
    return Groups(rank // per_tensor, replica * per_tensor + rank % per_tensor, rank % per_replica, replica)


def spread(group: Int64, domain: Int32) -> Int64:
    """int64[groups]: domains that each group touches."""
    width = int(domain.max(initial=0)) + 1
    pairs = np.unique(group * width + domain)
    found: Int64 = np.bincount(pairs // width)
    return found


def arnold_score(found: Groups, domain: Int32, *, alpha: float) -> float:
    """alpha x the largest spread of a data-parallel group + (1 - alpha) x that of a pipeline."""
    widest = (int(spread(one, domain).max()) for one in (found.data, found.pipeline))
    return alpha * next(widest) + (1 - alpha) * next(widest)


@dataclass(frozen=True, slots=True)
class Price:
    """A step of a gang: its time, its bytes per GPU, and the part of them that leaves each level."""

    time: Time
    bytes_per_gpu: float
    leaving: Mapping[str, float]

    def share_leaving(self, level: str) -> float:
        """Cross-tier traffic share of a level."""
        return self.leaving.get(level, 0.0) / self.bytes_per_gpu if self.bytes_per_gpu else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Fabric:
    """The switched levels of a cluster, from the inside out, with the domain of every node, and its links."""

    levels: tuple[str, ...]
    domain_of: Mapping[str, Int32]
    system: System

    def price(self, nodes: Int32, gpus_per_pod: int, sizes: Sizes) -> Price:
        """The time of one step on the nodes of the ranks, nothing overlapped: the all-reduces of the worst
        tensor-parallel group, the transfers along the worst pipeline, the all-reduce of the worst
        data-parallel group. Contention with other gangs is not in it."""
        found = groups(len(nodes), gpus_per_pod, sizes)
        leaving = dict.fromkeys(self.levels, 0.0)
        ranks = min(gpus_per_pod, sizes.tensor)
        tensor = self._worst(
            found.tensor, nodes, inside=ranks, byte_count=TP_BYTES, calls=TP_CALLS, leaving=leaving
        )
        # A pod holds a rank of `gpus_per_pod / tensor` replicas, or one GPU of each of its tensor ranks.
        per_pod = max(gpus_per_pod // (sizes.tensor * sizes.pipeline), 1)
        data = self._worst(found.data, nodes, inside=per_pod, byte_count=DP_BYTES, calls=1, leaving=leaving)
        pipeline = self._along(found.pipeline, nodes, sizes, leaving)
        parts = [tensor, data, pipeline]
        total = parts[0][0] + parts[1][0] + parts[2][0]
        return Price(total, sum(part[1] for part in parts), leaving)

    def _worst(
        self,
        group: Int64,
        nodes: Int32,
        *,
        inside: int,
        byte_count: float,
        calls: int,
        leaving: dict[str, float],
    ) -> tuple[Time, float]:
        """Time and bytes of the all-reduces of the group that takes longest; adds what leaves each level."""
        worst: tuple[Time, list[tuple[str, Tier, int, int]]] = (NOTHING, [])
        seen: set[tuple[tuple[str, int, int], ...]] = set()
        order = np.argsort(group, kind="stable")
        for members in np.split(order, np.flatnonzero(np.diff(group[order])) + 1):
            tiers = self._tiers(nodes[members], inside)
            key = tuple((name, most, fewest) for name, _, most, fewest in tiers)
            if key in seen:
                continue
            seen.add(key)
            time = all_reduce([one[1:] for one in tiers], byte_count)
            if time.us > worst[0].us:
                worst = (time, tiers)
        moved, share = 0.0, byte_count * calls
        for name, _, most, fewest in worst[1]:
            part = 2 * (most - 1) / most * share
            moved += part
            for level in self.levels[: self.levels.index(name) + 1] if name else ():
                leaving[level] += part
            share /= fewest
        return worst[0].times(calls), moved

    def _tiers(self, nodes: Int32, inside: int) -> list[tuple[str, Tier, int, int]]:
        """The level that is crossed ("" inside the innermost domain), its tier, and the most and the fewest
        parts that meet over it."""
        parts = np.unique(self._domains(0, nodes), return_counts=True)[1] * inside
        found = [("", self.system.nvlink, int(parts.max()), int(parts.min()))]
        for at, level in enumerate(self.levels):
            inner = np.unique(self._domains(at, nodes), return_index=True)[1]
            outer = self._domains(at + 1, nodes[inner])
            parts = np.unique(outer, return_counts=True)[1]
            found.append((level, self.system.tier(level), int(parts.max()), int(parts.min())))
        return found

    def _domains(self, at: int, nodes: Int32) -> Int32:
        """The domain of each node at a level, counted from the inside; beyond the last all are one."""
        if at >= len(self.levels):
            return np.zeros(len(nodes), dtype=np.int32)
        level = self.levels[at]
        return nodes if level == "node" else self.domain_of[level][nodes]

    def _along(
        self, group: Int64, nodes: Int32, sizes: Sizes, leaving: dict[str, float]
    ) -> tuple[Time, float]:
        """Transfers between neighbouring stages of the worst pipeline."""
        if sizes.pipeline < 2:
            return NOTHING, 0.0
        order = np.argsort(group, kind="stable")
        left, right, of = nodes[order[:-1]], nodes[order[1:]], group[order]
        same = of[1:] == of[:-1]
        depth = np.zeros(int(same.sum()), dtype=np.int64)
        for at in range(len(self.levels)):
            depth[self._domains(at, left[same]) != self._domains(at, right[same])] = at + 1
        ways = [self.system.nvlink, *(self.system.tier(level) for level in self.levels)]
        each = [transfer(way, PP_BYTES) for way in ways]
        per_group = np.zeros((int(group.max(initial=0)) + 1, len(ways)), dtype=np.int64)
        np.add.at(per_group, (of[1:][same], depth), 1)
        worst = per_group[int((per_group @ np.array([one.us for one in each])).argmax())]
        inner = sizes.pipeline - 1 - int(worst.sum())  # stages that share a pod
        total = each[0].times(max(inner, 0))
        for count, one in zip(worst.tolist(), each, strict=True):
            total = total + one.times(count)
        for at, level in enumerate(self.levels):
            leaving[level] += float(worst[at + 1 :].sum()) * PP_BYTES / sizes.pipeline
        return total, (sizes.pipeline - 1) * PP_BYTES / sizes.pipeline


def fabric_of(levels: Sequence[str], domain_of: Mapping[str, Int32], system: System) -> Fabric:
    """The levels that switches make, from the inside out; a cluster without an NVLink level has machines."""
    inner = () if "nvlink" in levels else ("node",)
    return Fabric((*inner, *(one for one in _SWITCHED if one in levels)), domain_of, system)
