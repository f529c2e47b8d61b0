"""What the ranks of every gang cross and what that costs, kept as gangs start and summed up at the end."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.simulate.linkmodel import MODEL_ERROR
from benchmarks.simulate.pricing import ALONE, Price, Sizes, arnold_score, groups, spread
from benchmarks.simulate.site import Key, Site, key_of
from benchmarks.simulate.stats import percentiles, share
from benchmarks.simulate.traces.job import Job
from scheduler.placement.problem import Int32, Int64

ALPHAS = (0.0, 0.3)
"""Arnold's weights of the data-parallel spread: a dense 24B model, and a mixture of experts."""


@dataclass(frozen=True, slots=True)
class Talk:
    """One gang: its price, that on an empty cluster, and per level the tensor-parallel groups and the
    pipelines that touch more than one domain. `arnold` has a score per `ALPHAS`, None without a pipeline.
    `prefill`: pods that do prefill; `local`: per level the part of their KV bytes that stays inside.
    `replicas`: copies of the model, where sizes say so; `spread`: per level their `replica_spread`."""

    price: Price
    ideal: Price
    tensor_groups: int
    tensor_crossing: Mapping[str, int]
    pipelines: int
    pipelines_crossing: Mapping[str, int]
    arnold: tuple[float, ...] | None = None
    prefill: int = 0
    local: Mapping[str, float] = field(default_factory=dict)
    replicas: int = 0
    spread: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        """Estimated step time over that of the engine's placement on an empty cluster."""
        return self.price.time.us / self.ideal.time.us if self.ideal.time.us else 1.0


class Listener:
    """Looks at a gang of several pods. `prefill`: the part of its pods, the first ranks, that do prefill
    and send their KV cache to all others in equal parts; 0 where nothing is disaggregated."""

    def __init__(self, site: Site, *, prefill: float = 0.0) -> None:
        self._site, self._prefill = site, prefill
        self._ideals: dict[Key, Price] = {}
        self._domains = {level: len(np.unique(domain)) for level, domain in site.domain_of.items()}

    def hear(self, job: Job, nodes: Int32) -> Talk:
        """What the ranks on these nodes cross and pay."""
        sizes = self._site.sizes(job)
        ideal = self._ideals.get(key_of(job))
        if ideal is None:
            ideal = self._price(job, self._site.ideal(job), sizes)
            self._ideals[key_of(job)] = ideal
        found = groups(job.pods, max(job.gpus_per_pod, 1), sizes)
        of = {level: domain[nodes] for level, domain in self._site.domain_of.items()}
        has_tensor, has_pipeline = sizes.tensor > 1, sizes.pipeline > 1
        score = None
        if has_pipeline and "spine" in of:
            score = tuple(arnold_score(found, of["spine"], alpha=alpha) for alpha in ALPHAS)
        replicas = int(found.replica.max()) + 1 if sizes != ALONE else 0
        senders = min(max(round(job.pods * self._prefill), 1), job.pods - 1) if self._prefill else 0
        return Talk(
            self._price(job, nodes, sizes),
            ideal,
            int(found.tensor.max()) + 1 if has_tensor else 0,
            _crossing(found.tensor, of) if has_tensor else {},
            int(found.pipeline.max()) + 1 if has_pipeline else 0,
            _crossing(found.pipeline, of) if has_pipeline else {},
            score,
            senders,
            {level: local_share(domain, senders) for level, domain in of.items()} if senders else {},
            replicas if replicas > 1 else 0,
            {
                level: replica_spread(found.replica, domain, domains=self._domains[level])
                for level, domain in of.items()
            }
            if replicas > 1
            else {},
        )

    def _price(self, job: Job, nodes: Int32, sizes: Sizes) -> Price:
        return self._site.fabric.price(nodes, max(job.gpus_per_pod, 1), sizes)


def local_share(domain: Int32, senders: int) -> float:
    """Of all pairs of a prefill pod (the first `senders` ranks) and a decode pod, the part in one domain."""
    width = int(domain.max(initial=0)) + 1
    sending, receiving = (np.bincount(part, minlength=width) for part in np.split(domain, [senders]))
    return float(sending @ receiving) / (senders * (len(domain) - senders))


def replica_spread(replica: Int64, domain: Int32, *, domains: int) -> tuple[float, float]:
    """What one failed domain takes with it: the largest part of the replicas that stands in one domain,
    and the Gini coefficient of replicas per domain over as many domains as could have one each.

    `replica`, `domain`: int[pods]; `domains`: domains of the level in the cluster.
    """
    pairs = np.unique(np.stack([replica, domain]), axis=1)
    replicas = int(replica.max()) + 1
    found = np.unique(pairs[1], return_counts=True)[1]
    held = np.zeros(max(min(replicas, domains), len(found)))
    held[: len(found)] = found
    gaps = np.abs(held[:, None] - held[None, :]).sum()
    return float(held.max()) / replicas, float(gaps) / (2 * len(held) * float(held.sum()))


def _crossing(group: Any, of: Mapping[str, Int32]) -> dict[str, int]:
    return {level: int((spread(group, domain) > 1).sum()) for level, domain in of.items()}


class Tally:
    """Sums over all gangs of several pods, one gang after another."""

    def __init__(self, levels: Sequence[str]) -> None:
        self._levels = levels
        self._gangs = 0
        self._times, self._alone = np.zeros(3), np.zeros(3)
        self._ratios = array("d")
        self._ratio_gpu_s = self._gpu_s = 0.0
        self._leaving = dict.fromkeys(levels, 0.0)
        self._tensor, self._pipelines = _Crossed(levels), _Crossed(levels)
        self._scores, self._scored = [0.0] * len(ALPHAS), 0
        self._local, self._senders = dict.fromkeys(levels, 0.0), 0
        self._spread, self._replicated = {level: np.zeros(2) for level in levels}, 0

    def add(self, talk: Talk, *, gpu_s: float) -> None:
        """One more gang, with the GPU time of its run."""
        self._gangs += 1
        self._times += talk.price.time.numbers
        self._alone += talk.ideal.time.numbers
        self._ratios.append(talk.ratio)
        self._ratio_gpu_s += talk.ratio * gpu_s
        self._gpu_s += gpu_s
        for level in self._levels:
            self._leaving[level] += talk.price.share_leaving(level)
            self._local[level] += talk.local.get(level, 0.0) * talk.prefill
            self._spread[level] += talk.spread.get(level, (0.0, 0.0))
        self._senders += talk.prefill
        self._replicated += bool(talk.replicas)
        self._tensor.add(talk.tensor_groups, talk.tensor_crossing)
        self._pipelines.add(talk.pipelines, talk.pipelines_crossing)
        if talk.arnold is not None:
            self._scored += 1
            self._scores = [had + more for had, more in zip(self._scores, talk.arnold, strict=True)]

    def summary(self) -> dict[str, Any]:
        """The figures of all gangs of several pods, as `definitions` says."""
        scores = zip(ALPHAS, self._scores, strict=True)
        return {
            "gangs": self._gangs,
            "step_ms": _means(self._times, self._gangs),
            "step_ms_alone": _means(self._alone, self._gangs),
            "step_ratio": percentiles(self._ratios),
            "step_ratio_by_gpu_time": share(self._ratio_gpu_s, self._gpu_s),
            "model_error": MODEL_ERROR,
            "traffic_leaving": {level: share(sum_, self._gangs) for level, sum_ in self._leaving.items()},
            "tensor_groups": self._tensor.groups,
            "tensor_groups_crossing": self._tensor.crossing,
            "pipelines": self._pipelines.groups,
            "pipelines_crossing": self._pipelines.crossing,
            "arnold": {f"alpha_{alpha:g}": share(score, self._scored) for alpha, score in scores}
            if self._scored
            else {},
            "kv_local": {level: share(sum_, self._senders) for level, sum_ in self._local.items()}
            if self._senders
            else {},
            "replica_spread": self._replica_spread() if self._replicated else {},
        }

    def _replica_spread(self) -> dict[str, dict[str, float]]:
        return {
            level: {
                name: share(float(value), self._replicated)
                for name, value in zip(("most", "gini"), sums, strict=True)
            }
            for level, sums in self._spread.items()
        }


class _Crossed:
    """Groups, and per level those that touch more than one domain."""

    def __init__(self, levels: Sequence[str]) -> None:
        self.groups = 0
        self.crossing = dict.fromkeys(levels, 0)

    def add(self, groups: int, crossing: Mapping[str, int]) -> None:
        self.groups += groups
        for level, count in crossing.items():
            self.crossing[level] += count


def _means(sums: Any, count: int) -> dict[str, float]:
    """Means of estimate, least and most, in milliseconds."""
    return {
        name: share(float(value) / 1e3, count)
        for name, value in zip(("mean", "least", "most"), sums, strict=True)
    }
