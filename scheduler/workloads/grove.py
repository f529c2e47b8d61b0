"""Grove (grove.io): a PodGang is the gang; a PodCliqueSet makes one per replica, and one per scaled group."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from scheduler.model import Constraint, GangKey, Membership, Pod, Scope
from scheduler.workloads.keys import GROVE
from scheduler.workloads.known import Known, Workload, workload
from scheduler.workloads.templates import (
    Document,
    Facts,
    Find,
    Made,
    bounded,
    child,
    listed,
    mapping,
    number,
    optional,
    pod_of,
    text,
    within,
)

SOURCE = "PodGang"
KIND = "PodGang.scheduler.grove.io"
GANG, BASE, CLIQUE = GROVE + "podgang", GROVE + "base-podgang", GROVE + "podclique"
SCALING, SCALING_INDEX = GROVE + "podcliquescalinggroup", GROVE + "podcliquescalinggroup-replica-index"
SET_INDEX, POD_INDEX = GROVE + "podcliqueset-replica-index", GROVE + "podclique-pod-index"
PART_OF = "app.kubernetes.io/part-of"
_CREATION_GATE = GROVE + "podgang-pending-creation"


class PodGang:
    """Pods with the labels that Grove gives."""

    name = SOURCE

    def membership(self, pod: Pod, known: Known) -> Membership | None:
        """The PodGang of a pod, never read from names.

        A scaled gang joins its base where the set as a whole must lie in one domain: placed apart,
        each would keep the word of the constraint and break its meaning. Until Grove lifts its
        gate from such a pod it waits for the base and belongs to nothing.
        """
        name = pod.labels.get(GANG)
        if name is None:
            return None
        base = workload(known, KIND, pod.key.namespace, pod.labels.get(BASE))
        own = workload(known, KIND, pod.key.namespace, name)
        joins = base is not None and any(w.scope == "gang" and w.required for w in base.constraints)
        if joins and _CREATION_GATE in pod.gates:
            return None
        clique, scaling = pod.labels.get(CLIQUE, ""), pod.labels.get(SCALING)
        group = f"{scaling}-{pod.labels.get(SCALING_INDEX, '0')}" if scaling else clique
        wishes, parts = _wishes(own, group, clique) if own else ((), ())
        if base is not None and joins:
            own, name, wishes = base, base.key.name, _joined(base, wishes)
        return Membership(
            gang=GangKey(pod.key.namespace, name),
            source=SOURCE,
            size=own.size if own else None,
            least=True,
            group=group,
            role=True,
            constraints=wishes,
            parts=parts,
        )


def _joined(base: Workload, wishes: tuple[Constraint, ...]) -> tuple[Constraint, ...]:
    """The base's wishes as a whole; what a scaled gang says of itself as a whole, if it is more, holds for it
    as a group."""
    whole = tuple(wish for wish in base.constraints if wish.scope == "gang")
    said = {(wish.level, wish.required) for wish in whole}
    own = (w for w in wishes if w.scope != "gang" or (w.level, w.required) not in said)
    return (*whole, *(replace(w, scope="group") if w.scope == "gang" else w for w in own))


def _wishes(own: Workload, group: str, clique: str) -> tuple[tuple[Constraint, ...], tuple[str, ...]]:
    """What holds for a pod of a clique, as the gang's wishes, its group's, and those of its parts: the clique
    inside a scaled group, and any constraint group over some cliques; and the names of these parts."""
    found: list[Constraint] = []
    for wish in own.constraints:
        if wish.group in (None, group):
            found.append(replace(wish, group=None))
        elif wish.group == clique or clique in own.parts.get(wish.group or "", ()):
            found.append(replace(wish, scope="part"))
    names = dict.fromkeys(wish.group for wish in found if wish.group is not None)
    return tuple(found), tuple(names)


def gang_facts(document: Document, *, owner: str) -> Facts:
    """The fewest pods of a PodGang, and where it, its groups and its cliques must lie."""
    spec = mapping(document, "spec", owner=owner)
    size, wishes = 0, list(_packed(spec, "spec", owner, None))
    parts: dict[str, tuple[str, ...]] = {}
    for at, group in enumerate(listed(spec, "podgroups", owner=owner, field="spec.podgroups")):
        place = f"spec.podgroups[{at}]"
        references = listed(group, "podReferences", owner=owner, field=f"{place}.podReferences")
        fewest = number(
            group,
            "minReplicas",
            owner=owner,
            field=f"{place}.minReplicas",
            least=0,
            default=len(references),
        )
        size += fewest
        name = text(group, "name", owner=owner, field=f"{place}.name")
        wishes += _packed(group, place, owner, name)
    configs = listed(
        spec, "topologyConstraintGroupConfigs", owner=owner, field="spec.topologyConstraintGroupConfigs"
    )
    for at, config in enumerate(configs):
        place = f"spec.topologyConstraintGroupConfigs[{at}]"
        name = text(config, "name", owner=owner, field=f"{place}.name")
        wishes += _packed(config, place, owner, name)
        names = config.get("podGroupNames")
        parts[name] = tuple(map(str, names)) if isinstance(names, list) else ()
    size = bounded(size, owner=owner, field="spec.podgroups")
    return Facts(size, least=True, constraints=tuple(wishes), parts=parts)


def _packed(part: Document, place: str, owner: str, group: str | None) -> Iterator[Constraint]:
    field = f"{place}.topologyConstraint"
    constraint = optional(part, "topologyConstraint", owner=owner, field=field)
    pack = optional(constraint, "packConstraint", owner=owner, field=f"{field}.packConstraint")
    for word in ("required", "preferred"):
        if pack.get(word):
            level = text(pack, word, owner=owner, field=f"{field}.packConstraint.{word}")
            scope: Scope = "gang" if group is None else "group"
            yield Constraint(scope, level, word == "required", f"PodGang {field}", group)


class _Clique:
    """One kind of pod of a set: how many, how few to start with, and the name it has in all."""

    def __init__(self, entry: Document, at: int, owner: str) -> None:
        self.place, self.owner = f"spec.template.cliques[{at}]", owner
        self.entry = entry
        self.name = text(entry, "name", owner=owner, field=f"{self.place}.name")
        self.spec = mapping(entry, "spec", owner=owner, field=f"{self.place}.spec")
        field = f"{self.place}.spec"
        self.replicas = number(
            self.spec, "replicas", owner=owner, field=f"{field}.replicas", least=0, default=1
        )
        self.fewest = number(
            self.spec,
            "minAvailable",
            owner=owner,
            field=f"{field}.minAvailable",
            least=0,
            default=self.replicas,
        )

    def template(self) -> Document:
        """The pod template, with the labels and annotations of the clique."""
        inner = optional(self.spec, "podSpec", owner=self.owner, field=f"{self.place}.spec.podSpec")
        given = {key: self.entry[key] for key in ("labels", "annotations") if self.entry.get(key)}
        return {"metadata": given, "spec": inner}


class _Layout:
    """A PodCliqueSet read whole: its cliques, and which of them scale together."""

    def __init__(self, document: Document, owner: str) -> None:
        self.owner, self.document = owner, document
        self.name = str(document["metadata"]["name"])
        template = mapping(
            mapping(document, "spec", owner=owner), "template", owner=owner, field="spec.template"
        )
        entries = listed(template, "cliques", owner=owner, field="spec.template.cliques")
        self.cliques = {c.name: c for c in (_Clique(e, at, owner) for at, e in enumerate(entries))}
        field = "spec.template.podCliqueScalingGroups"
        self.groups = listed(template, "podCliqueScalingGroups", owner=owner, field=field)
        self.constraint = template
        self.grouped = {str(name) for group in self.groups for name in group.get("cliqueNames") or ()}
        self.replicas = number(
            document["spec"], "replicas", owner=owner, field="spec.replicas", least=0, default=1
        )


def expand(document: Document, *, owner: str, find: Find) -> list[dict[str, Any]]:
    """The PodGangs and pods of a PodCliqueSet; real pods have a random suffix. Raises InvalidInput."""
    layout = _Layout(document, owner)
    made: list[dict[str, Any]] = []
    for replica in range(layout.replicas):
        base = f"{layout.name}-{replica}"
        gangs: dict[str, list[tuple[_Clique, dict[str, str]]]] = {base: []}
        for clique in layout.cliques.values():
            if clique.name not in layout.grouped:
                gangs[base].append((clique, {CLIQUE: f"{base}-{clique.name}"}))
        for at, group in enumerate(layout.groups):
            _scaled(layout, at, group, base, gangs)
        for gang, cliques in gangs.items():
            made += _gang(layout, gang, cliques, replica, base)
            bounded(len(made), owner=owner, field="spec.replicas")
    return made


def _scaled(
    layout: _Layout,
    at: int,
    group: Document,
    base: str,
    gangs: dict[str, list[tuple[_Clique, dict[str, str]]]],
) -> None:
    """Replicas below minAvailable belong to the base gang, each further one is a gang of its own."""
    place, owner = f"spec.template.podCliqueScalingGroups[{at}]", layout.owner
    name = f"{base}-{text(group, 'name', owner=owner, field=f'{place}.name')}"
    count = number(group, "replicas", owner=owner, field=f"{place}.replicas", least=0, default=1)
    fewest = number(group, "minAvailable", owner=owner, field=f"{place}.minAvailable", least=0, default=1)
    for index in range(count):
        gang = base if index < fewest else f"{name}-{index - fewest}"
        for clique in group.get("cliqueNames") or ():
            if clique in layout.cliques:
                labels = {CLIQUE: f"{name}-{index}-{clique}", SCALING: name, SCALING_INDEX: str(index)}
                gangs.setdefault(gang, []).append((layout.cliques[clique], labels))


def _gang(
    layout: _Layout, gang: str, cliques: list[tuple[_Clique, dict[str, str]]], replica: int, base: str
) -> list[dict[str, Any]]:
    document, owner = layout.document, layout.owner

    def inside(labels: dict[str, str]) -> list[str]:
        mine = (labels[SCALING], labels[SCALING_INDEX])
        return [one[CLIQUE] for _, one in cliques if (one.get(SCALING), one.get(SCALING_INDEX)) == mine]

    groups = [
        {"name": labels[CLIQUE], "minReplicas": clique.fewest, **_pack(clique.entry, owner)}
        for clique, labels in cliques
    ]
    configs = [
        {"name": f"{labels[SCALING]}-{labels[SCALING_INDEX]}", "podGroupNames": inside(labels), **packed}
        for _, labels in cliques
        if SCALING in labels and (packed := _pack(_group_of(layout, labels[SCALING], base), owner))
    ]
    spec = {
        "podgroups": groups,
        "topologyConstraintGroupConfigs": list({str(c["name"]): c for c in configs}.values()),
        **_pack(layout.constraint, owner),
    }
    made = [child(document, api_version="scheduler.grove.io/v1alpha1", kind="PodGang", name=gang, spec=spec)]
    common = {GANG: gang, PART_OF: layout.name, SET_INDEX: str(replica)}
    common |= {BASE: base} if gang != base else {}
    for clique, labels in cliques:
        for at in range(clique.replicas):
            made.append(
                pod_of(
                    clique.template(),
                    name=f"{labels[CLIQUE]}-{at}",
                    namespace=document["metadata"]["namespace"],
                    owner=owner,
                    place=clique.place,
                    labels={**common, **labels, POD_INDEX: str(at)},
                    by=Made("grove.io/v1alpha1", "PodClique", labels[CLIQUE]),
                )
            )
    return made


def _group_of(layout: _Layout, name: str, base: str) -> Document:
    return next(g for g in layout.groups if f"{base}-{g.get('name')}" == name)


def _pack(part: Document, owner: str) -> dict[str, Any]:
    """A topology constraint as the PodGang says it, where this part of a set has one."""
    constraint = within(part, "topologyConstraint", owner=owner)
    pack = dict(within(part, "topologyConstraint.pack", owner=owner))
    if constraint.get("packDomain"):
        pack.setdefault("required", constraint["packDomain"])
    found = {key: pack[key] for key in ("required", "preferred") if pack.get(key)}
    return {"topologyConstraint": {"packConstraint": found}} if found else {}
