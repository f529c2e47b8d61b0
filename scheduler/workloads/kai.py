"""KAI: pods of a PodGroup (scheduling.run.ai) and its sub-groups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from scheduler.model import Constraint, GangKey, InvalidField, InvalidInput, Membership, Pod, Scope
from scheduler.workloads.keys import KAI, KAI_GROUP
from scheduler.workloads.known import Known, workload
from scheduler.workloads.templates import Document, Facts, listed, mapping, number, optional, text

KIND = "PodGroup.scheduling.run.ai"
SUBGROUP = KAI + "subgroup-name"
REQUIRED, PREFERRED = KAI + "topology-required-placement", KAI + "topology-preferred-placement"


class KaiGroup:
    """Pods that name a PodGroup of KAI."""

    name = "KAI PodGroup"

    def membership(self, pod: Pod, known: Known) -> Membership | None:
        """The pod group of a pod; its sub-group, which may have a place of its own, is the group.

        Grove's pods name the same gang twice; there Grove, which knows more, speaks.
        """
        name = pod.annotations.get(KAI_GROUP)
        if not name:
            return None
        group = workload(known, KIND, pod.key.namespace, name)
        own = pod.labels.get(SUBGROUP, "")
        wishes, inside = (group.constraints, group.parts) if group else ((), {})
        parts = tuple(name for name, leaves in inside.items() if own in leaves)
        return Membership(
            gang=GangKey(pod.key.namespace, name),
            source=self.name,
            size=group.size if group else None,
            least=group is not None,
            group=own,
            role=bool(own),
            constraints=tuple(
                replace(w, scope="part") if w.group in parts else replace(w, group=None)
                for w in wishes
                if w.group in (None, own, *parts)
            ),
            parts=parts,
        )


def facts(document: Document, *, owner: str) -> Facts:
    """minMember pods, or those of the sub-groups; and where the group and its sub-groups must lie."""
    spec = mapping(document, "spec", owner=owner)
    wishes = list(_placed(spec, "spec", owner, None))
    total, above = 0, dict[str, str]()
    entries = listed(spec, "subGroups", owner=owner, field="spec.subGroups")
    for at, entry in enumerate(entries):
        place = f"spec.subGroups[{at}]"
        name = text(entry, "name", owner=owner, field=f"{place}.name")
        total += number(entry, "minMember", owner=owner, field=f"{place}.minMember", least=0, default=0)
        wishes += _placed(entry, place, owner, name)
        above[name] = text(entry, "parent", owner=owner, field=f"{place}.parent", default="")
    size = number(spec, "minMember", owner=owner, field="spec.minMember", least=0, default=0)
    return Facts(max(size, total, 1), least=True, constraints=tuple(wishes), parts=_inside(above, owner))


def _inside(above: Mapping[str, str], owner: str) -> dict[str, tuple[str, ...]]:
    """The sub-groups inside every sub-group that is a parent, at any depth. Raises InvalidInput for a parent
    that does not exist, and for a loop."""
    found: dict[str, tuple[str, ...]] = {}
    for at, name in enumerate(above):
        seen, parent = [name], above[name]
        while parent:
            if parent in seen or parent not in above:
                wanted = "another sub-group of this PodGroup, without a loop"
                raise InvalidInput(InvalidField(owner, f"spec.subGroups[{at}].parent", parent, wanted))
            found[parent] = (*found.get(parent, ()), name)
            seen.append(parent)
            parent = above[parent]
    return found


def _placed(part: Document, place: str, owner: str, group: str | None) -> Iterator[Constraint]:
    field = f"{place}.topologyConstraint"
    constraint = optional(part, "topologyConstraint", owner=owner, field=field)
    for key, required in (("requiredTopologyLevel", True), ("preferredTopologyLevel", False)):
        if constraint.get(key):
            level = text(constraint, key, owner=owner, field=f"{field}.{key}")
            scope: Scope = "gang" if group is None else "group"
            yield Constraint(scope, level, required, f"KAI PodGroup {field}", group)
