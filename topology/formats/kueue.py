"""The `Topology` objects of Kueue and KAI: label keys coarse to fine, and the nodes that carry them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from topology.formats import keys, values
from topology.formats.labels import node_labels, node_objects
from topology.formats.outline import Written, nested_levels
from topology.reading import ERROR, NOTE, NVLINK_SUB, WARNING, Finding, Reading, invalid, label_key, natural
from topology.spec import HOSTNAME, NVLINK

KUEUE, KAI = "kueue", "kai"

_VERSIONS = {
    KUEUE: ("kueue.x-k8s.io", ("v1beta2", "v1beta1", "v1alpha1")),
    KAI: ("kai.scheduler", ("v1alpha1",)),
}
_KIND, _FLAVOR = "Topology", "ResourceFlavor"
_MOST_LEVELS = 16
_NAME = "lockstep"


def looks(documents: Sequence[object], *, source: str = KUEUE) -> bool:
    """True when a Topology of this API group is among the objects."""
    return any(_is_topology(one, source) for one in values.objects(documents))


def read(documents: Sequence[object], *, name: str = "objects", source: str = KUEUE) -> Reading:
    """The levels of the Topology over the Node objects beside it; NVLink labels are a partition.

    Where ResourceFlavors name the Topology, only nodes with the labels of one
    of them belong to it; the others are named and left out.
    Of several Topologies the first by name counts and the others are findings.
    Raises InvalidSource for an API version that is not known and for levels
    that Kueue itself would refuse.
    """
    findings: list[Finding] = []
    found = [one for one in values.objects(documents) if _is_topology(one, source)]
    if not found:
        raise invalid(name, "file", f"{len(documents)} documents", f"a {_KIND} of {_VERSIONS[source][0]}")
    where, first = only_one(found, _KIND, findings)
    listed = [key for key in _levels(first, source, where) if key != HOSTNAME]
    nodes = node_labels(documents, findings)
    if source == KUEUE:
        nodes = _flavoured(nodes, documents, where, findings)
    return of_keys(keys.levels_of(listed, where=where), nodes, source=source, where=where, findings=findings)


def only_one(
    found: Sequence[Mapping[str, Any]], kind: str, findings: list[Finding]
) -> tuple[str, Mapping[str, Any]]:
    """The place and the object that is first by name; that there are others is a finding."""
    named: dict[str, Mapping[str, Any]] = {}
    for one in found:
        named.setdefault(values.name_of(one, kind=kind), one)
    first, *others = natural(named)
    if len(named) < len(found):
        message = f"{len(found) - len(named)} of them have a name that another has; the first one counts"
        findings.append(Finding("DuplicateName", ERROR, f"{kind}/{first}", natural(named), message))
    if others:
        message = f"{len(named)} of them; {first} is read, import each of the others by itself"
        findings.append(Finding("SeveralTopologies", WARNING, f"{kind}/{first}", tuple(others), message))
    return f"{kind}/{first}", named[first]


def of_keys(
    levels: Mapping[str, str],
    nodes: Mapping[str, Mapping[str, str]],
    *,
    source: str,
    where: str,
    findings: Iterable[Finding] = (),
) -> Reading:
    """Levels as {label key: level}, coarse to fine, over nodes with labels.

    NVLink domains become partitions, listed or only on the nodes.
    """
    nested = {key: level for key, level in levels.items() if level not in (NVLINK, NVLINK_SUB)}
    parts = {key: level for key, level in levels.items() if key not in nested}
    for key, part in keys.links(nodes.values()).items():
        if part not in parts.values():
            parts[key] = part
    named = {**nested, **parts}
    paths = {
        node: {level: labels[key] for key, level in named.items() if labels.get(key)}
        for node, labels in nodes.items()
    }
    told = [*findings, *_uncovered(paths, nested, source=source, where=where)]
    if not nodes:
        message = "no Node objects beside it, so the levels are known and no node is"
        told.append(Finding("NoNodes", WARNING, where, (), message))
    return Reading(source, tuple(nested.values()), tuple(parts.values()), paths, tuple(told))


def write(reading: Reading, *, source: str = KUEUE) -> Written:
    """A List of a Topology and of the nodes with their labels.

    NVLink domains are the finest level where they nest in the others; in any
    case they stand on the nodes.
    """
    group, versions = _VERSIONS[source]
    listed = [{"nodeLabel": label_key(level)} for level in nested_levels(reading)]
    topology = {
        "apiVersion": f"{group}/{versions[0]}",
        "kind": _KIND,
        "metadata": {"name": _NAME},
        "spec": {"levels": [*listed, {"nodeLabel": HOSTNAME}]},
    }
    if len(listed) >= _MOST_LEVELS:
        raise invalid(source, "levels", f"{len(listed) + 1} levels", f"at most {_MOST_LEVELS}")
    nodes, findings = node_objects(reading)
    return Written({"apiVersion": "v1", "kind": "List", "items": [topology, *nodes]}, findings)


def _is_topology(document: object, source: str) -> bool:
    group, _, kind = values.kind_of(document)
    return kind == _KIND and group == _VERSIONS[source][0]


def _levels(document: Mapping[str, Any], source: str, where: str) -> list[str]:
    values.check_version(document, known=_VERSIONS[source][1], where=where)
    spec = values.mapping(document.get("spec"), where=where, field="spec")
    listed = values.items(spec.get("levels"), where=where, field="spec.levels")
    if not 0 < len(listed) <= _MOST_LEVELS:
        raise invalid(where, "spec.levels", f"{len(listed)} levels", f"1 to {_MOST_LEVELS} levels")
    found = []
    for at, one in enumerate(listed):
        field = f"spec.levels[{at}]"
        entry = values.mapping(one, where=where, field=field)
        key = values.text(entry.get("nodeLabel"), where=where, field=f"{field}.nodeLabel")
        if key == HOSTNAME and at + 1 < len(listed):
            raise invalid(where, f"{field}.nodeLabel", key, f"{HOSTNAME} as the last level only")
        found.append(key)
    return found


def _flavoured(
    nodes: dict[str, dict[str, str]], documents: Sequence[object], where: str, findings: list[Finding]
) -> dict[str, dict[str, str]]:
    """The nodes that any ResourceFlavor of the Topology selects; all where there is no such flavor."""
    wanted = []
    for one in values.objects(documents):
        group, _, kind = values.kind_of(one)
        if (group, kind) != (_VERSIONS[KUEUE][0], _FLAVOR):
            continue
        place = f"{_FLAVOR}/{values.name_of(one, kind=_FLAVOR)}"
        spec = values.mapping(one.get("spec"), where=place, field="spec")
        if f"{_KIND}/{spec.get('topologyName')}" == where:
            wanted.append(values.labels(spec.get("nodeLabels"), where=place, field="spec.nodeLabels").items())
    kept = {node: labels for node, labels in nodes.items() if any(one <= labels.items() for one in wanted)}
    others = natural(set(nodes) - set(kept))
    if not wanted or not others:
        return nodes
    message = f"{len(others)} of {len(nodes)} nodes are in none of its {len(wanted)} flavors; left out"
    findings.append(Finding("NodesOutsideFlavors", NOTE, where, others, message))
    return kept


def _uncovered(
    paths: Mapping[str, Mapping[str, str]], nested: Mapping[str, str], *, source: str, where: str
) -> Iterable[Finding]:
    """Nodes that the source's scheduler would ignore, since they lack one of the levels."""
    lacking = natural(node for node, path in paths.items() if not set(nested.values()) <= set(path))
    if lacking:
        message = (
            f"{len(lacking)} of {len(paths)} nodes lack a level's label: {source} places no such gang there"
        )
        yield Finding("IgnoredNodes", WARNING, where, lacking, message)
