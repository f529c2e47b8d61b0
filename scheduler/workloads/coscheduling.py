"""PodGroups of scheduler-plugins (scheduling.x-k8s.io), and of Koordinator with its annotations."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from scheduler.model import Constraint, GangKey, InvalidField, InvalidInput, Membership, Pod
from scheduler.workloads.family import whole
from scheduler.workloads.keys import COSCHEDULING, KOORDINATOR, PLUGIN_GROUP
from scheduler.workloads.known import Known, Workload, workload
from scheduler.workloads.templates import Document, Facts, annotations_of, mapping, number

PLUGIN_KIND = "PodGroup.scheduling.x-k8s.io"
KOORDINATOR_KIND = "PodGroup.scheduling.sigs.k8s.io"
NAME, LEAST, TOTAL = KOORDINATOR + "name", KOORDINATOR + "min-available", KOORDINATOR + "total-number"
INDEX, TOPOLOGY, GROUPS = (
    KOORDINATOR + "network-topology-index",
    KOORDINATOR + "network-topology-spec",
    KOORDINATOR + "groups",
)
_LEGACY_NAME, _LEGACY_LEAST = COSCHEDULING + "/name", COSCHEDULING + "/min-available"
_STRATEGIES = {"MustGather": True, "PreferGather": False}


class PluginGroup:
    """Pods that name a PodGroup of the coscheduling plugin."""

    name = "scheduler-plugins PodGroup"

    def membership(self, pod: Pod, known: Known) -> Membership | None:
        """The pod group of a pod: minMember pods start together."""
        name = pod.labels.get(PLUGIN_GROUP)
        if not name:
            return None
        group = workload(known, PLUGIN_KIND, pod.key.namespace, name)
        size = group.size if group else None
        return Membership(GangKey(pod.key.namespace, name), self.name, size=size, least=size is not None)


class KoordinatorGang:
    """Pods with Koordinator's annotations, or a label that names its PodGroup."""

    name = "Koordinator gang"

    def membership(self, pod: Pod, known: Known) -> Membership | None:
        """The gang of a pod. Gangs that are named together (`groups`) start together, as one."""
        given = pod.annotations
        name = given.get(NAME) or pod.labels.get(COSCHEDULING) or pod.labels.get(_LEGACY_NAME)
        if not name:
            return None
        namespace = pod.key.namespace
        group = workload(known, KOORDINATOR_KIND, namespace, name)
        size = group.size if group else whole(given, LEAST, owner=pod.name)
        if size is None:
            size = whole(pod.labels, _LEGACY_LEAST, owner=pod.name)
        total = whole(given, TOTAL, owner=pod.name)
        least = total is None or size is None or size < total
        wishes = group.constraints if group else ()
        own = Membership(
            gang=GangKey(namespace, name),
            source=self.name,
            size=size if size is not None else total,
            least=least and size is not None,
            rank=whole(given, INDEX, owner=pod.name, least=0),
            constraints=wishes or gathered(given, pod.name),
        )
        return _joined(own, pod, name, known, group)


def _joined(own: Membership, pod: Pod, name: str, known: Known, group: Workload | None) -> Membership:
    """One gang of all that are named together, where every one of their sizes is known."""
    text = pod.annotations.get(GROUPS)
    if not text:
        return own
    names = _json(text, GROUPS, pod.name)
    if not isinstance(names, list) or not all(isinstance(one, str) for one in names):
        wanted = 'a JSON list of gangs, such as ["default/master", "default/worker"]'
        raise InvalidInput(InvalidField(pod.name, GROUPS, text, wanted))
    if len(names) < 2:
        return own
    found = [workload(known, KOORDINATOR_KIND, *one.rpartition("/")[::2]) for one in sorted(names)]
    sizes = [one.size for one in found if one is not None and one.size is not None]
    total = sum(sizes) if len(sizes) == len(names) else None
    first = sorted(names)[0].rpartition("/")[2]
    return Membership(
        gang=GangKey(pod.key.namespace, first),
        source=own.source,
        size=total,
        least=total is not None,
        group=name,
        role=True,
        constraints=own.constraints,
    )


def gathered(annotations: Mapping[str, str], owner: str) -> tuple[Constraint, ...]:
    """Where Koordinator is asked to gather a gang; raises InvalidInput."""
    text = annotations.get(TOPOLOGY)
    if not text:
        return ()
    stated = _json(text, TOPOLOGY, owner)
    strategies = stated.get("gatherStrategy") if isinstance(stated, dict) else None
    wanted = '{"gatherStrategy": [{"layer": NAME, "strategy": "MustGather" or "PreferGather"}]}'
    if not isinstance(strategies, list):
        raise InvalidInput(InvalidField(owner, TOPOLOGY, text[:60], wanted))
    found = []
    for one in strategies:
        layer = one.get("layer") if isinstance(one, dict) else None
        required = _STRATEGIES.get(str(one.get("strategy"))) if isinstance(one, dict) else None
        if not isinstance(layer, str) or required is None:
            raise InvalidInput(InvalidField(owner, TOPOLOGY, str(one)[:60], wanted))
        found.append(Constraint("gang", layer, required, f"annotation {TOPOLOGY}"))
    return tuple(found)


def _json(text: str, key: str, owner: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(InvalidField(owner, key, text[:60], "JSON")) from error


def facts(document: Document, *, owner: str) -> Facts:
    """A PodGroup of either: minMember pods to start with, and where they are to be gathered."""
    spec = mapping(document, "spec", owner=owner)
    size = number(spec, "minMember", owner=owner, field="spec.minMember", least=1, default=1)
    given = {key: str(value) for key, value in annotations_of(document, owner=owner).items()}
    return Facts(size, least=True, constraints=gathered(given, owner))
