"""The upstream gang API (scheduling.k8s.io, KEP-4671): PodGroup, its composite parents, and Workload.

A pod names its group in `spec.schedulingGroup.podGroupName`; in the first alpha it named a
Workload and a group inside it (`spec.workloadRef`), which is kept as WORKLOAD/GROUP[/REPLICA].
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

from scheduler.model import Constraint, GangKey, InvalidField, InvalidInput, Membership, Pod, PodGroup
from scheduler.workloads.family import LARGEST
from scheduler.workloads.known import Known, Workload, pod_group, workload
from scheduler.workloads.templates import Document, Facts, listed, mapping, number, optional, text, within

SOURCE = "PodGroup"
NAMED = "spec.schedulingGroup.podGroupName"
MIN_COUNT = "spec.schedulingPolicy.gang.minCount"
COMPOSITE_KIND, WORKLOAD_KIND = "CompositePodGroup.scheduling.k8s.io", "Workload.scheduling.k8s.io"
_DEEPEST = 4
"""Composite groups nest so deep."""


class NativePodGroup:
    """Pods of an upstream pod group with the gang policy."""

    name = SOURCE

    def membership(self, pod: Pod, known: Known) -> Membership | None:
        """The gang of a pod group: its minCount and its one topology key.

        A group that does not exist yet is a gang of unknown size, so that nothing
        starts; a group with the basic policy is no gang. Groups of a composite group
        with the gang policy start together.
        """
        if pod.pod_group is None:
            return None
        if "/" in pod.pod_group:
            return _of_workload(pod, pod.pod_group, known)
        key = GangKey(pod.key.namespace, pod.pod_group)
        group = pod_group(known, *key)
        if group is None:
            return Membership(key, SOURCE, least=True)
        root = _root(group, known)
        if root is not None:
            return _of_composite(group, root, known)
        if group.min_count is None:
            return None
        wishes = _topology(group.topology_key, "gang", "PodGroup")
        return Membership(
            key, SOURCE, size=_count(group), least=True, constraints=wishes, unkept=_unkept(group, known)
        )


def _count(group: PodGroup) -> int:
    found = group.min_count or 0
    if not 1 <= found <= LARGEST:
        wanted = f"a whole number from 1 to {LARGEST}"
        owner = f"podgroup {group.namespace}/{group.name}"
        raise InvalidInput(InvalidField(owner, MIN_COUNT, str(group.min_count), wanted))
    return found


def _topology(label: str | None, scope: str, kind: str) -> tuple[Constraint, ...]:
    if label is None:
        return ()
    source = f"{kind} spec.schedulingConstraints.topology"
    return (Constraint("group" if scope == "group" else "gang", label, True, source),)


def _line(group: PodGroup, known: Known) -> tuple[list[Workload], int]:
    """All composite groups above a pod group, the nearest first, and how many of them reach to the topmost
    that has the gang policy."""
    found: list[Workload] = []
    parent, gangs = group.parent, 0
    for _ in range(_DEEPEST):
        above = workload(known, COMPOSITE_KIND, group.namespace, parent)
        if above is None or above in found:
            break
        found.append(above)
        gangs = len(found) if above.gang else gangs
        parent = next(iter(above.groups), "")
    return found, gangs


def _above(group: PodGroup, known: Known) -> list[Workload]:
    """The composite groups above a pod group, from the nearest to the topmost that has the gang policy."""
    found, gangs = _line(group, known)
    return found[:gangs]


def _unkept(group: PodGroup, known: Known) -> tuple[str, ...]:
    """The wishes of composite groups above that: their groups are gangs of their own, planned one by one."""
    found, gangs = _line(group, known)
    return tuple(
        f"compositepodgroup {one.key.namespace}/{one.key.name} asks for one domain at {wish.level} for all "
        "its groups, and has no gang policy: they are planned one by one, and this is not kept"
        for one in found[gangs:]
        for wish in one.constraints
    )


def _root(group: PodGroup, known: Known) -> Workload | None:
    """The topmost composite group above a pod group that has the gang policy, None without one."""
    return next(iter(_above(group, known)[::-1]), None)


def _of_composite(group: PodGroup, root: Workload, known: Known) -> Membership:
    """All pods of all groups below one composite group, as soon as there are as many groups as it, and every
    composite group below it, wants. Those between the gang and its pod groups are parts."""
    below = [(one, _above(one, known)) for one in _pod_groups(known, group.namespace)]
    below = [(one, above) for one, above in below if above and above[-1] is root]
    children: dict[str, set[str]] = {}
    for one, above in below:
        names = [one.name, *(each.key.name for each in above)]
        for inside, around in pairwise(names):
            children.setdefault(around, set()).add(inside)
    wanted = {each.key.name: each.size or 0 for _, above in below for each in above}
    whole = all(len(children[name]) >= count for name, count in wanted.items())
    size = sum(_count(one) for one, _ in below if one.min_count) if whole else None
    between = _above(group, known)[-2::-1]
    inner = _topology(group.topology_key, "group", "PodGroup")
    inner += tuple(
        replace(wish, scope="part", group=each.key.name) for each in between for wish in each.constraints
    )
    return Membership(
        GangKey(group.namespace, root.key.name),
        "CompositePodGroup",
        size=size or None,
        least=True,
        group=group.name,
        role=True,
        constraints=(*root.constraints, *inner),
        parts=tuple(each.key.name for each in between),
        unkept=_unkept(group, known),
    )


def _pod_groups(known: Known, namespace: str) -> Iterator[PodGroup]:
    for found in known.values():
        if isinstance(found, PodGroup) and found.namespace == namespace and found.parent:
            yield found


def _of_workload(pod: Pod, named: str, known: Known) -> Membership | None:
    name, group, *replica = named.split("/")
    owner = workload(known, WORKLOAD_KIND, pod.key.namespace, name)
    gang = GangKey(pod.key.namespace, "-".join([name, group, *replica]))
    if owner is None:
        return Membership(gang, "Workload", least=True)
    if group not in owner.groups:
        return None
    return Membership(gang, "Workload", size=owner.groups[group], least=True)


def composite_facts(document: Document, *, owner: str) -> Facts:
    """A composite group: how many groups it wants (`size`), its topology key, its parent (in `groups`)."""
    spec = mapping(document, "spec", owner=owner)
    field = "spec.schedulingPolicy"
    policy = optional(spec, "schedulingPolicy", owner=owner, field=field)
    gang = optional(policy, "gang", owner=owner, field=f"{field}.gang")
    count = number(
        gang, "minGroupCount", owner=owner, field=f"{field}.gang.minGroupCount", least=1, default=1
    )
    parent = text(
        spec, "parentCompositePodGroupName", owner=owner, field="spec.parentCompositePodGroupName", default=""
    )
    inner = within(spec, "schedulingConstraints", owner=owner)
    field = "spec.schedulingConstraints.topology"
    keys = [
        text(one, "key", owner=owner, field=f"{field}[{at}].key")
        for at, one in enumerate(listed(inner, "topology", owner=owner, field=field))
    ]
    wishes = _topology(keys[0] if keys else None, "gang", "CompositePodGroup")
    return Facts(count, gang="gang" in policy, groups={parent: 0} if parent else {}, constraints=wishes)


def workload_facts(document: Document, *, owner: str) -> Facts:
    """The groups of a Workload that have the gang policy, and their minCount."""
    spec = mapping(document, "spec", owner=owner)
    groups = {}
    for key in ("podGroups", "podGroupTemplates"):
        for at, entry in enumerate(listed(spec, key, owner=owner, field=f"spec.{key}")):
            place = f"spec.{key}[{at}]"
            word = "policy" if entry.get("policy") is not None else "schedulingPolicy"
            policy = optional(entry, word, owner=owner, field=f"{place}.{word}")
            gang = optional(policy, "gang", owner=owner, field=f"{place}.{word}.gang")
            if gang:
                name = text(entry, "name", owner=owner, field=f"{place}.name")
                groups[name] = number(
                    gang, "minCount", owner=owner, field=f"{place}.{word}.gang.minCount", least=1
                )
    return Facts(groups=groups)
