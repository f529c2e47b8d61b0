"""The label and annotation keys that workload families read, listed once.

Decoding keeps nothing else of a pod's metadata, so a new family adds its
prefix here.
"""

from __future__ import annotations

from scheduler.model import PREFIX

LWS = "leaderworkerset.sigs.k8s.io/"
POD_INDEX = "apps.kubernetes.io/pod-index"
JOB = "batch.kubernetes.io/"
JOB_INDEX = JOB + "job-completion-index"
JOBSET = "jobset.sigs.k8s.io/"
SCHEDULING = "scheduling."
"""Start of the pod group keys of several schedulers: scheduling.k8s.io/, scheduling.x-k8s.io/ and so on."""
LWS_WORKER_INDEX = LWS + "worker-index"

INDEX_LABELS = (LWS_WORKER_INDEX, JOB_INDEX, POD_INDEX)
"""Labels that number a pod in its workload, the most specific first."""

GANG_PREFIXES = (PREFIX, LWS)
"""A key with one of these says that its pod belongs to a gang."""

KEPT_PREFIXES = (*GANG_PREFIXES, POD_INDEX, JOB, JOBSET, SCHEDULING)
"""Decoding keeps the labels and annotations of pods that start with one of these."""


def kept(metadata: dict[str, str]) -> dict[str, str]:
    """The entries that some family reads."""
    return {key: value for key, value in metadata.items() if key.startswith(KEPT_PREFIXES)}


def looks_like_gang(metadata: dict[str, str]) -> bool:
    """True when any key belongs to a family that forms gangs."""
    return any(key.startswith(GANG_PREFIXES) for key in metadata)
