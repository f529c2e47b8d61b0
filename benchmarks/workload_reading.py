"""What reading costs: recognising the gang of a pod, with every family tried.

python -m benchmarks.workload_reading
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from scheduler.containers import Container
from scheduler.model import Owner, Pod, PodKey, PodShape
from scheduler.workloads.gangs import membership_of
from scheduler.workloads.keys import JOB, JOBSET, KUBEFLOW, LWS, RAY

TARGET_US = 50.0
_ROUNDS, _PODS = 200, 50
_SHAPE = PodShape((("cpu", 1000), ("nvidia.com/gpu", 8), ("pods", 1)))
_SCRIPT = "ray start --head && exec vllm serve m --tensor-parallel-size 8 --pipeline-parallel-size 2"


def _pods(label: Callable[[int], dict[str, str]], annotations: dict[str, str]) -> list[Pod]:
    container = Container("main", "vllm/vllm-openai", ("sh", "-c", _SCRIPT))
    return [
        Pod(
            PodKey("default", f"w-{at}"),
            f"u{at}",
            _SHAPE,
            labels=label(at),
            annotations=annotations,
            owner=Owner("apps/v1", "ReplicaSet", "w", "u"),
            containers=(replace(container, env=(("RANK", str(at % 8)),)),),
        )
        for at in range(_PODS)
    ]


def cases() -> dict[str, list[Pod]]:
    """Pods of several families, and pods of none, for which every family is tried in vain."""
    return {
        "no gang": _pods(lambda at: {"app": "web"}, {}),
        "LeaderWorkerSet": _pods(
            lambda at: {
                LWS + "name": "m",
                LWS + "group-index": str(at // 8),
                LWS + "worker-index": str(at % 8),
                LWS + "template-revision-hash": "r1",
            },
            {LWS + "size": "8"},
        ),
        "JobSet": _pods(
            lambda at: {
                JOBSET + "jobset-name": "m",
                JOBSET + "replicatedjob-name": "w",
                JOBSET + "job-index": str(at // 8),
                JOB + "job-completion-index": str(at % 8),
            },
            {},
        ),
        "Kubeflow": _pods(lambda at: {KUBEFLOW + "job-name": "m", KUBEFLOW + "replica-type": "worker"}, {}),
        "Ray": _pods(lambda at: {RAY + "cluster": "m", RAY + "group": "g"}, {}),
    }


def recognising() -> dict[str, float]:
    """Microseconds for one pod, by case: the least of 200 short rounds, for the machine is shared."""
    found = {}
    for name, pods in cases().items():
        rounds = []
        for _ in range(_ROUNDS):
            started = time.perf_counter()
            for pod in pods:
                membership_of(pod, {})
            rounds.append((time.perf_counter() - started) * 1e6 / len(pods))
        found[name] = min(rounds)
    return found


def main() -> None:
    """Print a line per case, with the target."""
    for name, cost_us in recognising().items():
        print(f"gang of a pod, {name:<16} {cost_us:6.1f} us  (target {TARGET_US:.0f} us)")


if __name__ == "__main__":
    main()
