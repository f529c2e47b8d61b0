"""DisaggregatedSet (disaggregatedset.x-k8s.io): roles such as prefill and decode, each a LeaderWorkerSet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from scheduler.model import Constraint, GangKey, InvalidField, InvalidInput, Membership, Pod
from scheduler.workloads import leaderworkerset
from scheduler.workloads.keys import DISAGGREGATED
from scheduler.workloads.known import Known, workload
from scheduler.workloads.templates import (
    Document,
    Facts,
    Find,
    bounded,
    child,
    listed,
    mapping,
    number,
    text,
    within,
)

SOURCE = "DisaggregatedSet"
KIND = "DisaggregatedSet.disaggregatedset.x-k8s.io"
NAME, SLICE = DISAGGREGATED + "name", DISAGGREGATED + "slice"
REVISION, ROLE = DISAGGREGATED + "revision", DISAGGREGATED + "role"
_POLICIES = ("None", "ExclusiveSlice", "ExclusiveTopology")


class DisaggregatedSet:
    """Pods of the LeaderWorkerSets that a DisaggregatedSet makes."""

    name = SOURCE

    def membership(self, pod: Pod, known: Known) -> Membership | None:
        """The slice of a pod: all its roles start together. Where the set is not known, its
        LeaderWorkerSets speak for themselves."""
        name = pod.labels.get(NAME)
        owner = workload(known, KIND, pod.key.namespace, name)
        if name is None or owner is None:
            return None
        inner = leaderworkerset.LeaderWorkerSet().membership(pod, known)
        role = pod.labels.get(ROLE, "")
        index = pod.labels.get(leaderworkerset.GROUP_INDEX, "0")
        parts = (name, pod.labels.get(SLICE, "0"), pod.labels.get(REVISION, ""))
        own = Membership(GangKey(pod.key.namespace, "-".join(filter(None, parts))), SOURCE)
        wishes = inner.constraints if inner else ()
        return replace(
            own,
            size=owner.size,
            group=f"{role}-{index}",
            role=True,
            constraints=(
                *owner.constraints,
                *(replace(wish, scope="group") for wish in wishes if wish.scope == "gang"),
            ),
        )


def _roles(document: Document, owner: str) -> Iterator[tuple[str, Document, int, int]]:
    """Name, LeaderWorkerSet spec, groups and pods per group of every role."""
    spec = mapping(document, "spec", owner=owner)
    seen: set[str] = set()
    for at, entry in enumerate(listed(spec, "roles", owner=owner, field="spec.roles")):
        place = f"spec.roles[{at}]"
        name = text(entry, "name", owner=owner, field=f"{place}.name")
        if name in seen:
            raise InvalidInput(
                InvalidField(owner, f"{place}.name", name, "a name of its own among the roles")
            )
        seen.add(name)
        nested = entry.get("spec") is not None
        inner = mapping(entry, "spec", owner=owner, field=f"{place}.spec") if nested else entry
        inside = f"{place}.spec" if nested else place
        field = f"{inside}.leaderWorkerTemplate"
        template = mapping(inner, "leaderWorkerTemplate", owner=owner, field=field)
        groups = number(inner, "replicas", owner=owner, field=f"{inside}.replicas", least=0, default=1)
        size = number(template, "size", owner=owner, field=f"{field}.size", least=1, default=1)
        yield name, inner, groups, size


def facts(document: Document, *, owner: str) -> Facts:
    """The pods of one slice, all roles together, and the domain that a slice has to itself."""
    policy = within(document, "spec.placementPolicy", owner=owner)
    kind = policy.get("type", "None")
    if kind not in _POLICIES:
        wanted = f"one of {', '.join(_POLICIES)}"
        raise InvalidInput(InvalidField(owner, "spec.placementPolicy.type", str(kind), wanted))
    wishes: tuple[Constraint, ...] = ()
    if kind == "ExclusiveTopology":
        key = text(policy, "topology", owner=owner, field="spec.placementPolicy.topology")
        wishes = (Constraint("gang", key, True, "DisaggregatedSet spec.placementPolicy"),)
    roles = list(_roles(document, owner))
    size = sum(groups * size for _, _, groups, size in roles)
    return Facts(bounded(size, owner=owner, field="spec.roles"), constraints=wishes)


def expand(document: Document, *, owner: str, find: Find) -> list[dict[str, Any]]:
    """One LeaderWorkerSet per slice and role; the real names carry a revision. Raises InvalidInput."""
    spec, name = mapping(document, "spec", owner=owner), str(document["metadata"]["name"])
    slices = number(spec, "slices", owner=owner, field="spec.slices", least=0, default=1)
    roles = list(_roles(document, owner))
    bounded(slices * sum(g * s for _, _, g, s in roles), owner=owner, field="spec.slices x spec.roles")
    made = []
    for at in range(slices):
        for role, inner, _, _ in roles:
            one = child(
                document,
                api_version="leaderworkerset.x-k8s.io/v1",
                kind="LeaderWorkerSet",
                name=f"{name}-{at}-{role}",
                spec={key: value for key, value in inner.items() if key not in ("name", "scaling")},
            )
            one["metadata"]["labels"] = {NAME: name, SLICE: str(at), ROLE: role}
            made.append(one)
    return made
