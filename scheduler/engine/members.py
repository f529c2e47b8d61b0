"""Which pod is which, and which gang it says it belongs to."""

from __future__ import annotations

from collections.abc import Iterable

from scheduler.evicting import rank_of
from scheduler.model import PREFIX, GangKey, InvalidField, InvalidInput, Membership, Pod, PodGroup, PodKey
from scheduler.workloads.gangs import membership_of
from scheduler.workloads.keys import LWS

Reading = tuple[GangKey | None, Membership | None, tuple[InvalidField, ...]]


class Members:
    """Pods by name and uid; kept are those that wait for a node or belong to a gang."""

    def __init__(self) -> None:
        self._uid: dict[PodKey, str] = {}
        self._key: dict[str, PodKey] = {}
        self._pods: dict[str, Pod] = {}
        self._gang: dict[str, GangKey] = {}
        self._read: dict[str, Reading] = {}
        self._groups: dict[GangKey, PodGroup] = {}
        self._rank: dict[str, int | None] = {}
        self.faults: dict[PodKey, tuple[InvalidField, ...]] = {}

    def uid_of(self, key: PodKey) -> str | None:
        """The uid of the pod that has this name now."""
        return self._uid.get(key)

    def pod(self, uid: str) -> Pod | None:
        return self._pods.get(uid)

    def gang_of(self, uid: str) -> GangKey | None:
        return self._gang.get(uid)

    def owners(self, uids: Iterable[str]) -> dict[str, tuple[str, str]]:
        """("gang", its name) or ("pod", its name) by uid; pods that were never seen are left out."""
        named = {uid: ("pod", str(self._key[uid])) for uid in uids if uid in self._key}
        return named | {uid: ("gang", str(self._gang[uid])) for uid in named if uid in self._gang}

    @property
    def ranks(self) -> dict[str, int | None]:
        """The priority of every pod that has one, by uid; None for a pod that belongs to its node."""
        return dict(self._rank)

    def seen(self, pod: Pod) -> Reading:
        """Take over a pod; its gang (None: it has none), what it says of it, and what is wrong with that."""
        self._uid[pod.key] = pod.uid
        self._key[pod.uid] = pod.key
        self.faults.pop(pod.key, None)
        self._rank.pop(pod.uid, None)
        if (rank := rank_of(pod)) != 0:
            self._rank[pod.uid] = rank
        reading = self._reading(pod)
        if reading[0] is None:
            if pod.node is None and not pod.finished:
                self._pods[pod.uid] = pod
            else:
                self._pods.pop(pod.uid, None)
            return reading
        self._gang[pod.uid] = reading[0]
        self._pods[pod.uid] = pod
        self._read[pod.uid] = reading
        return reading

    def gone(self, uid: str) -> GangKey | None:
        """Forget a pod; the gang it belonged to."""
        key = self._key.pop(uid, None)
        if key is not None and self._uid.get(key) == uid:
            del self._uid[key]
        self._pods.pop(uid, None)
        self._rank.pop(uid, None)
        self._read.pop(uid, None)
        return self._gang.pop(uid, None)

    def unreadable(self, key: PodKey, faults: tuple[InvalidField, ...]) -> None:
        """A pod that cannot be read; an earlier view of it stays."""
        self.faults[key] = faults

    def group_seen(self, group: PodGroup) -> list[Pod]:
        """A pod group is there or has changed; the pods to read again."""
        key = GangKey(group.namespace, group.name)
        if self._groups.get(key) == group:
            return []
        self._groups[key] = group
        return self._of_group(key)

    def group_gone(self, key: GangKey) -> list[Pod]:
        """A pod group is deleted; the pods to read again."""
        return self._of_group(key) if self._groups.pop(key, None) else []

    def _of_group(self, key: GangKey) -> list[Pod]:
        found = [
            p for p in self._pods.values() if p.pod_group == key.name and p.key.namespace == key.namespace
        ]
        for pod in found:
            self._read.pop(pod.uid, None)
        return found

    def _reading(self, pod: Pod) -> Reading:
        """What a pod says, read again only when what it says may have changed."""
        before, read = self._pods.get(pod.uid), self._read.get(pod.uid)
        if before is not None and read is not None and _says_the_same(before, pod):
            return read
        try:
            membership = membership_of(pod, self._groups)
        except InvalidInput as error:
            return _named_gang(pod), None, error.faults
        return (membership.gang, membership, ()) if membership else (None, None, ())


def _says_the_same(one: Pod, other: Pod) -> bool:
    return (one.labels, one.annotations, one.containers, one.pod_group) == (
        other.labels,
        other.annotations,
        other.containers,
        other.pod_group,
    )


def _named_gang(pod: Pod) -> GangKey:
    """The gang to which a broken description belongs, so that the fault is seen there."""
    named = pod.annotations.get(PREFIX + "gang") or pod.pod_group or pod.labels.get(LWS + "name")
    return GangKey(pod.key.namespace, named or pod.key.name)
