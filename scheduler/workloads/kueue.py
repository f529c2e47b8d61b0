"""Kueue: groups of plain pods, and the topology that any of its workloads asks for by annotations."""

from __future__ import annotations

from dataclasses import replace

from scheduler.model import Constraint, GangKey, Membership, Pod, Scope
from scheduler.workloads.family import whole
from scheduler.workloads.keys import KAI, KUEUE
from scheduler.workloads.known import Known

NAME, TOTAL = KUEUE + "pod-group-name", KUEUE + "pod-group-total-count"
INDEX, INDEX_LABEL = KUEUE + "pod-group-pod-index", KUEUE + "pod-group-pod-index-label"
ROLE = KUEUE + "role-hash"
REQUIRED, PREFERRED = KUEUE + "podset-required-topology", KUEUE + "podset-preferred-topology"
SLICE, SLICE_SIZE = KUEUE + "podset-slice-required-topology", KUEUE + "podset-slice-size"
_KAI_REQUIRED = KAI + "topology-required-placement"
_KAI_PREFERRED = KAI + "topology-preferred-placement"


class PodGroup:
    """Plain pods that Kueue admits together."""

    name = "Kueue pod group"

    def membership(self, pod: Pod, known: Known) -> Membership | None:
        """The group of a pod, and its index where the group numbers its pods."""
        name = pod.labels.get(NAME)
        if not name:
            return None
        values = {**pod.annotations, **pod.labels}
        key = pod.annotations.get(INDEX_LABEL, INDEX)
        return Membership(
            gang=GangKey(pod.key.namespace, name),
            source=self.name,
            size=whole(pod.annotations, TOTAL, owner=pod.name),
            rank=whole(values, key, owner=pod.name, least=0),
            group=pod.annotations.get(ROLE, ""),
            role=ROLE in pod.annotations,
        )


def wishes(pod: Pod, group: str) -> tuple[tuple[Constraint, ...], int | None]:
    """What Kueue's annotations (or KAI's) ask of the place of a pod set, and the size of its slices.

    The pod set is the group where its family has groups, else the gang.
    """
    given = pod.annotations
    scope: Scope = "group" if group else "gang"
    found = [
        Constraint(scope, level, required, f"annotation {key}")
        for key, required in (
            (REQUIRED, True),
            (PREFERRED, False),
            (_KAI_REQUIRED, True),
            (_KAI_PREFERRED, False),
        )
        if (level := given.get(key))
    ]
    size = whole(given, SLICE_SIZE, owner=pod.name)
    if size is None or not given.get(SLICE):
        return tuple(found), None
    if group:  # slices are the groups then, and the pod set is a part around them
        found = [replace(wish, scope="part", group=group) for wish in found]
    return (*found, Constraint("group", given[SLICE], True, f"annotation {SLICE}")), size
