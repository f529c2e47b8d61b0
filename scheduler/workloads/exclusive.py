"""Groups of pods that their controllers give a domain for themselves, by required pod (anti-)affinity.

kube-scheduler enforces it, so a plan that puts two such groups into one domain is never carried out:
LeaderWorkerSet's `exclusive-topology` and `subgroup-exclusive-topology`, JobSet's `exclusive-topology`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from scheduler.model import Pod
from scheduler.workloads.keys import JOBSET, LWS

_LWS = (
    (LWS + "group-key", LWS + "exclusive-topology"),
    (LWS + "subgroup-key", LWS + "subgroup-exclusive-topology"),
)
_JOB_KEY, _JOB_PRIORITY = JOBSET + "job-key", JOBSET + "priority"
_JOB_EXCLUSIVE = f"alpha.{JOBSET}exclusive-topology"


@dataclass(frozen=True, slots=True)
class Circle:
    """A group among others of its kind, which alone it keeps away.

    `kind` tells which others there are: the label that names groups, and the namespace or priority
    within which it counts. `level` is the node label whose domains it wants for itself, empty when
    it wants none and is only kept away by others.
    """

    kind: tuple[str, str]
    name: str
    level: str = ""


def circles_of(pod: Pod) -> Iterator[Circle]:
    """The groups of a pod that keep others away or are kept away."""
    for label, annotation in _LWS:
        if name := pod.labels.get(label):
            yield Circle((label, pod.key.namespace), name, pod.annotations.get(annotation, ""))
    if name := pod.labels.get(_JOB_KEY):
        kind = (_JOB_KEY, pod.labels.get(_JOB_PRIORITY, ""))  # in every namespace
        yield Circle(kind, name, pod.annotations.get(_JOB_EXCLUSIVE, ""))
