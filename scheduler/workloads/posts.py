"""The post that a gang holds in its workload, which its successor takes over.

A rolling update or a restart makes another gang: of another revision or attempt, for the same post.
"""

from __future__ import annotations

from typing import NamedTuple

from scheduler.model import Pod
from scheduler.workloads.keys import JOBSET, LWS


class Post(NamedTuple):
    """Which of a workload's gangs: the group of a LeaderWorkerSet, a JobSet as a whole."""

    namespace: str
    workload: str
    group: str


def post_of(pod: Pod) -> Post | None:
    """The post of a pod's gang; None in a family whose gangs keep their name."""
    if name := pod.labels.get(LWS + "name"):
        return Post(pod.key.namespace, f"LeaderWorkerSet {name}", pod.labels.get(LWS + "group-index", ""))
    if name := pod.labels.get(JOBSET + "jobset-name"):
        return Post(pod.key.namespace, f"JobSet {name}", "")
    return None
