"""The upstream PodGroup (scheduling.k8s.io/v1beta1, KEP-4671): `spec.schedulingGroup.podGroupName`."""

from __future__ import annotations

from scheduler.model import Constraint, GangKey, InvalidField, InvalidInput, Membership, Pod
from scheduler.workloads.family import LARGEST, PodGroups

SOURCE = "PodGroup"
NAMED = "spec.schedulingGroup.podGroupName"
MIN_COUNT = "spec.schedulingPolicy.gang.minCount"


class NativePodGroup:
    """Pods of an upstream pod group with the gang policy."""

    name = SOURCE

    def membership(self, pod: Pod, groups: PodGroups) -> Membership | None:
        """The gang of a pod group: its minCount and its one topology key.

        A group that does not exist yet is a gang of unknown size, so that nothing
        starts; a group with the basic policy is no gang.
        """
        if pod.pod_group is None:
            return None
        key = GangKey(pod.key.namespace, pod.pod_group)
        group = groups.get(key)
        if group is None:
            return Membership(key, SOURCE)
        if group.min_count is None:
            return None
        if not 1 <= group.min_count <= LARGEST:
            wanted = f"a whole number from 1 to {LARGEST}"
            raise InvalidInput(InvalidField(f"podgroup {key}", MIN_COUNT, str(group.min_count), wanted))
        return Membership(key, SOURCE, size=group.min_count, constraints=_topology(group.topology_key))


def _topology(label: str | None) -> tuple[Constraint, ...]:
    if label is None:
        return ()
    return (Constraint("gang", label, True, "PodGroup spec.schedulingConstraints.topology"),)
