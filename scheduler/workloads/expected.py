"""The gangs that an object will have, before any of its pods exists."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from scheduler.model import GangKey, InvalidInput, Membership, Pod
from scheduler.workloads.gangs import membership_of
from scheduler.workloads.known import Known, Workload


class Expected(NamedTuple):
    """A gang whose pods are still to be made: how many they will be, by what their owner says."""

    gang: GangKey
    pods: int
    source: str


def expected_of(pods: Iterable[Pod], owner: Workload) -> tuple[Expected, ...]:
    """The gangs that pods (as the owner's controller will make them) are to form, in their order; none of a
    single pod. Names are as far as a manifest tells them: revisions come with the pods."""
    known: Known = {owner.key: replace(owner, gangs=())}
    found: dict[GangKey, list[Membership]] = {}
    for pod in pods:
        try:
            membership = membership_of(pod, known)
        except InvalidInput:
            continue  # told when the pod is there
        if membership is not None:
            found.setdefault(membership.gang, []).append(membership)
    return tuple(
        Expected(gang, size, said[0].source)
        for gang, said in found.items()
        if (size := max(said[0].size or 0, len(said))) > 1
    )
