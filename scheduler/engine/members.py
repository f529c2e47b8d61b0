"""Which pod is which, and which gang it says it belongs to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from scheduler.engine.facts import WorkloadGone, WorkloadSeen
from scheduler.engine.heard import Heard
from scheduler.evicting import rank_of
from scheduler.model import (
    GATE,
    PREFIX,
    GangKey,
    InvalidField,
    InvalidInput,
    Membership,
    Pod,
    PodGroup,
    PodKey,
)
from scheduler.workloads.absent import followers
from scheduler.workloads.annotations import WRITTEN_BY_US
from scheduler.workloads.expected import Expected
from scheduler.workloads.gangs import membership_of
from scheduler.workloads.keys import LWS, names_in
from scheduler.workloads.known import Workload, WorkloadKey

Reading = tuple[GangKey | None, Membership | None, tuple[InvalidField, ...]]


class Members:
    """Pods by name and uid; kept are those that wait for a node or belong to a gang."""

    def __init__(self) -> None:
        self.heard = Heard()
        self._uid: dict[PodKey, str] = {}
        self._key: dict[str, PodKey] = {}
        self._pods: dict[str, Pod] = {}
        self._gang: dict[str, GangKey] = {}
        self._read: dict[str, Reading] = {}
        self._rank: dict[str, int | None] = {}
        self._known: dict[GangKey | WorkloadKey, PodGroup | Workload] = {}
        self._naming: dict[tuple[str, str], set[str]] = {}
        self._waiting: dict[tuple[str, str], tuple[Expected, ...]] = {}
        self.faults: dict[PodKey, tuple[InvalidField, ...]] = {}

    def uid_of(self, key: PodKey) -> str | None:
        """The uid of the pod that has this name now."""
        return self._uid.get(key)

    def pod(self, uid: str) -> Pod | None:
        return self._pods.get(uid)

    def gang_of(self, uid: str) -> GangKey | None:
        return self._gang.get(uid)

    def owners(self, uids: Iterable[str]) -> Callable[[], dict[str, tuple[str, str]]]:
        """("gang", its name) or ("pod", its name) by uid, as of now; pods that were never seen are left out.

        Only the copies are made at once: naming 50,000 pods takes 0.2 s, and may run on another thread.
        """
        uids, keys, gangs = tuple(uids), dict(self._key), dict(self._gang)

        def named() -> dict[str, tuple[str, str]]:
            of_gangs = {key: ("gang", str(key)) for key in set(gangs.values())}
            return {
                uid: of_gangs[gangs[uid]] if uid in gangs else ("pod", str(keys[uid]))
                for uid in uids
                if uid in keys
            }

        return named

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
        if pod.uid not in self._pods:
            for name in names_in(pod):
                self._naming.setdefault((pod.key.namespace, name), set()).add(pod.uid)
                self._waiting.pop((pod.key.namespace, name), None)
        reading = self._reading(pod)
        if reading[0] is None:
            self._gang.pop(pod.uid, None)
            if pod.node is None and not pod.finished:
                self._pods[pod.uid] = pod
            else:
                self._pods.pop(pod.uid, None)
                self._unname(pod)
            return reading
        self._gang[pod.uid] = reading[0]
        self._pods[pod.uid] = pod
        self._read[pod.uid] = reading
        return reading

    def would_say(self, pod: Pod) -> GangKey | None:
        """The gang that a pod would belong to; nothing is taken over."""
        return self._reading(pod)[0]

    def gone(self, uid: str) -> GangKey | None:
        """Forget a pod; the gang it belonged to."""
        key = self._key.pop(uid, None)
        if key is not None and self._uid.get(key) == uid:
            del self._uid[key]
        self._rank.pop(uid, None)
        pod = self._pods.pop(uid, None)
        if pod is not None:
            self._unname(pod)
        self._read.pop(uid, None)
        return self._gang.pop(uid, None)

    def unreadable(self, key: PodKey, faults: tuple[InvalidField, ...]) -> None:
        """A pod that cannot be read; an earlier view of it stays."""
        self.faults[key] = faults

    def group_seen(self, group: PodGroup) -> list[Pod]:
        """A pod group is there or has changed; the pods to read again."""
        key = GangKey(group.namespace, group.name)
        if self._known.get(key) == group:
            return []
        self._known[key] = group
        return self._naming_pods(group.namespace, group.name, everyone=bool(group.parent))

    def group_gone(self, key: GangKey) -> list[Pod]:
        """A pod group is deleted; the pods to read again."""
        gone = self._known.pop(key, None)
        return self._naming_pods(*key, everyone=True) if gone is not None else []

    def owner_fact(self, fact: WorkloadSeen | WorkloadGone) -> list[Pod]:
        """An owner of pods is there or says something new; the pods to read again.

        What a deleted owner said counts as long as its pods live, so none is read again.
        """
        if isinstance(fact, WorkloadGone):
            self._known.pop(fact.key, None)
            self._waiting.pop((fact.key.namespace, fact.key.name), None)
            return []
        workload = fact.workload
        self._await(workload)
        before = self._known.get(workload.key)
        if before == workload:
            return []
        self._known[workload.key] = workload
        wide = workload.mapped or workload.key.kind.startswith("CompositePodGroup.")
        return self._naming_pods(workload.key.namespace, workload.key.name, everyone=wide)

    def _await(self, workload: Workload) -> None:
        """Remember the gangs of an object of which no pod was ever seen."""
        named = (workload.key.namespace, workload.key.name)
        known = self._known.get(workload.key)
        before = isinstance(known, Workload) and known.uid == workload.uid
        if self._naming.get(named) or not workload.gangs or (before and named not in self._waiting):
            self._waiting.pop(named, None)
        else:
            self._waiting[named] = tuple(Expected(*one) for one in workload.gangs)

    def awaited(self) -> tuple[Expected, ...]:
        """The gangs whose owners exist and none of whose pods does yet, each once."""
        every = (one for some in self._waiting.values() for one in some)
        return tuple({one.gang: one for one in every}.values())

    def followers(self, pods: Mapping[str, Pod]) -> tuple[tuple[Pod, Membership], ...]:
        """The members that the controller makes only after those that exist."""
        read = [(pod, found) for uid, pod in pods.items() if (found := self._read[uid][1]) is not None]
        return followers(read, self._known) if read else ()

    def _naming_pods(self, namespace: str, name: str, *, everyone: bool) -> list[Pod]:
        """The pods that name an object, or all of its namespace, which are then read anew."""
        if everyone:
            found = [pod for pod in self._pods.values() if pod.key.namespace == namespace]
        else:
            uids = sorted(self._naming.get((namespace, name), ()))
            found = [self._pods[uid] for uid in uids if uid in self._pods]
        for pod in found:
            self._read.pop(pod.uid, None)
        return found

    def _unname(self, pod: Pod) -> None:
        for name in names_in(pod):
            uids = self._naming.get((pod.key.namespace, name), set())
            uids.discard(pod.uid)
            if not uids:
                self._naming.pop((pod.key.namespace, name), None)

    def _reading(self, pod: Pod) -> Reading:
        """What a pod says, read again only when what it says may have changed."""
        before, read = self._pods.get(pod.uid), self._read.get(pod.uid)
        if before is not None and read is not None and _says_the_same(before, pod):
            return read
        try:
            membership = membership_of(pod, self._known)
        except InvalidInput as error:
            return _named_gang(pod), None, error.faults
        return (membership.gang, membership, ()) if membership else (None, None, ())


_WRITTEN = frozenset(PREFIX + name for name in WRITTEN_BY_US)
"""What the service itself writes on a pod that it lets through, beside lifting its gate."""


def _says_the_same(one: Pod, other: Pod) -> bool:
    return _said(one) == _said(other)


def _said(pod: Pod) -> tuple[object, ...]:
    """All of a pod by which it can say anything of a gang."""
    annotations = {name: value for name, value in pod.annotations.items() if name not in _WRITTEN}
    gates = tuple(gate for gate in pod.gates if gate != GATE)
    return pod.labels, annotations, pod.containers, pod.pod_group, gates


def _named_gang(pod: Pod) -> GangKey:
    """The gang to which a broken description belongs, so that the fault is seen there."""
    named = pod.annotations.get(PREFIX + "gang") or pod.pod_group or pod.labels.get(LWS + "name")
    return GangKey(pod.key.namespace, named or pod.key.name)
