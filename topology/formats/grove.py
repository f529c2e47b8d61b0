"""Grove's `ClusterTopologyBinding`: names of levels for node label keys, broadest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from topology.formats import keys, kueue, values
from topology.formats.labels import node_labels
from topology.reading import NOTE, NVLINK_SUB, Finding, Reading, invalid
from topology.spec import HOSTNAME, NVLINK, USUAL_DEPTH

SOURCE = "grove"

_GROUP = "grove.io"
_KINDS = ("ClusterTopologyBinding", "ClusterTopology")
_VERSIONS = ("v1alpha1",)
_MOST_LEVELS = 16


def looks(documents: Sequence[object]) -> bool:
    """True when a ClusterTopologyBinding, or a ClusterTopology of earlier releases, is among the objects."""
    return any(_is_binding(one) for one in values.objects(documents))


def read(documents: Sequence[object], *, name: str = "objects") -> Reading:
    """The binding's levels over the Node objects beside it. Raises InvalidSource.

    A level is called by its domain where that is a usual name, else by what
    its key means. Levels inside a node are left out with a finding.
    """
    findings: list[Finding] = []
    found = [one for one in values.objects(documents) if _is_binding(one)]
    if not found:
        raise invalid(name, "file", f"{len(documents)} documents", f"a {_KINDS[0]} of {_GROUP}")
    where, binding = kueue.only_one(found, _KINDS[0], findings)
    values.check_version(binding, known=_VERSIONS, where=where)
    spec = values.mapping(binding.get("spec"), where=where, field="spec")
    inside = values.items(spec.get("intraNodeLevels"), where=where, field="spec.intraNodeLevels")
    if inside:
        message = f"{len(inside)} levels inside a node are left out: a fabric ends at the node"
        findings.append(Finding("LevelLeftOut", NOTE, f"{where} spec.intraNodeLevels", (), message))
    levels = _levels(values.items(spec.get("levels"), where=where, field="spec.levels"), where)
    nodes = node_labels(documents, findings)
    return kueue.of_keys(levels, nodes, source=SOURCE, where=where, findings=findings)


def _is_binding(document: object) -> bool:
    group, _, kind = values.kind_of(document)
    return kind in _KINDS and group == _GROUP


def _levels(listed: Sequence[Any], where: str) -> Mapping[str, str]:
    if not 0 < len(listed) <= _MOST_LEVELS:
        raise invalid(where, "spec.levels", f"{len(listed)} levels", f"1 to {_MOST_LEVELS} levels")
    named: dict[str, str] = {}
    for at, one in enumerate(listed):
        field = f"spec.levels[{at}]"
        entry = values.mapping(one, where=where, field=field)
        key = values.text(entry.get("key"), where=where, field=f"{field}.key")
        domain = values.text(entry.get("domain"), where=where, field=f"{field}.domain")
        if key in named:
            raise invalid(where, f"{field}.key", key, "each label once")
        if key == HOSTNAME and at + 1 < len(listed):
            raise invalid(where, f"{field}.key", key, f"{HOSTNAME} as the last level only")
        meant = keys.level_of(key)
        named[key] = domain if domain in USUAL_DEPTH and meant not in (NVLINK, NVLINK_SUB) else meant
    return keys.apart({key: level for key, level in named.items() if key != HOSTNAME})
