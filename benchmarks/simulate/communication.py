"""What the ranks of every gang cross and what that costs, kept as gangs start and summed up at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.simulate.linkmodel import MODEL_ERROR
from benchmarks.simulate.pricing import Price, Sizes, arnold_score, groups, spread
from benchmarks.simulate.site import Key, Site, key_of
from benchmarks.simulate.stats import average, percentiles, rounded, share
from benchmarks.simulate.traces.job import Job
from scheduler.placement.problem import Int32

ALPHAS = (0.0, 0.3)
"""Arnold's weights of the data-parallel spread: a dense 24B model, and a mixture of experts."""


@dataclass(frozen=True, slots=True)
class Talk:
    """One gang: its price, that on an empty cluster, and per level the tensor-parallel groups and the
    pipelines that touch more than one domain. `arnold` has a score per `ALPHAS`, None without a pipeline."""

    price: Price
    ideal: Price
    gpu_s: float
    tensor_groups: int
    tensor_crossing: Mapping[str, int]
    pipelines: int
    pipelines_crossing: Mapping[str, int]
    arnold: tuple[float, ...] | None = None

    @property
    def ratio(self) -> float:
        """Estimated step time over that of the engine's placement on an empty cluster."""
        return self.price.time.us / self.ideal.time.us if self.ideal.time.us else 1.0


@dataclass(slots=True)
class Listener:
    """Looks at every gang of several pods when it starts."""

    site: Site
    ideals: dict[Key, Price]

    def hear(self, job: Job, nodes: Int32) -> Talk:
        """What the ranks on these nodes cross and pay."""
        sizes = self.site.sizes(job)
        ideal = self.ideals.get(key_of(job))
        if ideal is None:
            ideal = self._price(job, self.site.ideal(job), sizes)
            self.ideals[key_of(job)] = ideal
        found = groups(job.pods, max(job.gpus_per_pod, 1), sizes)
        of = {level: domain[nodes] for level, domain in self.site.domain_of.items()}
        has_tensor, has_pipeline = sizes.tensor > 1, sizes.pipeline > 1
        score = None
        if has_pipeline and "spine" in of:
            score = tuple(arnold_score(found, of["spine"], alpha=alpha) for alpha in ALPHAS)
        return Talk(
            self._price(job, nodes, sizes),
            ideal,
            job.gpus * job.duration_s,
            int(found.tensor.max()) + 1 if has_tensor else 0,
            _crossing(found.tensor, of) if has_tensor else {},
            int(found.pipeline.max()) + 1 if has_pipeline else 0,
            _crossing(found.pipeline, of) if has_pipeline else {},
            score,
        )

    def _price(self, job: Job, nodes: Int32, sizes: Sizes) -> Price:
        return self.site.fabric.price(nodes, max(job.gpus_per_pod, 1), sizes)


def _crossing(group: Any, of: Mapping[str, Int32]) -> dict[str, int]:
    return {level: int((spread(group, domain) > 1).sum()) for level, domain in of.items()}


def summary(talks: Sequence[Talk], levels: Sequence[str]) -> dict[str, Any]:
    """The figures of all gangs of several pods, as `definitions` says."""
    scores = [one.arnold for one in talks if one.arnold is not None]
    gpu_s = np.array([one.gpu_s for one in talks])
    ratios = np.array([one.ratio for one in talks])
    return {
        "gangs": len(talks),
        "step_ms": _times([one.price.time.numbers for one in talks]),
        "step_ms_alone": _times([one.ideal.time.numbers for one in talks]),
        "step_ratio": percentiles(ratios.tolist()),
        "step_ratio_by_gpu_time": share(float(ratios @ gpu_s), float(gpu_s.sum())),
        "model_error": MODEL_ERROR,
        "traffic_leaving": _per(
            levels, lambda level: average(one.price.share_leaving(level) for one in talks)
        ),
        "tensor_groups": sum(one.tensor_groups for one in talks),
        "tensor_groups_crossing": _crossings(levels, [one.tensor_crossing for one in talks]),
        "pipelines": sum(one.pipelines for one in talks),
        "pipelines_crossing": _crossings(levels, [one.pipelines_crossing for one in talks]),
        "arnold": {
            f"alpha_{alpha:g}": average(score[at] for score in scores) for at, alpha in enumerate(ALPHAS)
        }
        if scores
        else {},
    }


def _times(numbers: Sequence[tuple[float, float, float]]) -> dict[str, float]:
    """Means of estimate, least and most, in milliseconds."""
    if not numbers:
        return {"mean": 0.0, "least": 0.0, "most": 0.0}
    means = np.array(numbers).mean(axis=0) / 1e3
    return {name: rounded(float(value)) for name, value in zip(("mean", "least", "most"), means, strict=True)}


def _crossings(levels: Sequence[str], counts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    return {level: sum(one.get(level, 0) for one in counts) for level in levels}


def _per(levels: Sequence[str], value: Callable[[str], float]) -> dict[str, float]:
    return {level: value(level) for level in levels}
