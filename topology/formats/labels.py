"""Node labels: read by the detection that the service uses, written as patches or whole Node objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from topology.detect import detect
from topology.formats import values
from topology.formats.outline import Written
from topology.reading import (
    ERROR,
    NOTE,
    OWN_PREFIX,
    WARNING,
    Finding,
    Reading,
    invalid,
    label_value,
    labels_of,
    natural,
)
from topology.spec import HOSTNAME, FabricSpec

SOURCE = "labels"

NodeLabels = Mapping[str, Mapping[str, str]]


def looks(documents: Sequence[object]) -> bool:
    """True for objects among which there are nodes, and for a list of {name, labels}."""
    return any(_is_node(one) for one in values.objects(documents)) or _are_patches(documents)


def read(documents: Sequence[object], *, name: str = "labels") -> Reading:
    """What the labels of nodes say. Raises InvalidSource when there is no node."""
    findings: list[Finding] = []
    nodes = (
        patched(documents, name, findings) if _are_patches(documents) else node_labels(documents, findings)
    )
    if not nodes:
        raise invalid(
            name, "file", f"{len(documents)} documents", "Node objects, or a list of name and labels"
        )
    return of_labels(nodes, findings=findings)


def of_labels(
    nodes: NodeLabels, *, findings: Sequence[Finding] = (), spec: FabricSpec | None = None
) -> Reading:
    """The reading of labels per node, by a specification, or else by detection.

    Levels under our own prefix that detection does not know are partitions.
    """
    spec = spec or detect(nodes[node] for node in natural(nodes))
    keys = {level.name: level.label for level in (*spec.levels, *spec.partitions)}
    own = {
        key.removeprefix(OWN_PREFIX): key
        for key in natural(key for labels in nodes.values() for key in labels if key.startswith(OWN_PREFIX))
        if key not in keys.values()
    }
    keys = own | keys
    paths = {
        node: {name: labels[key] for name, key in keys.items() if labels.get(key)}
        for node, labels in nodes.items()
    }
    used = {name for path in paths.values() for name in path}
    levels = tuple(level.name for level in spec.levels if level.name in used)
    partitions = tuple(name for name in keys if name in used and name not in levels)
    return Reading(SOURCE, levels, partitions, paths, tuple(findings), spec.evidence)


def node_labels(documents: Sequence[object], findings: list[Finding]) -> dict[str, dict[str, str]]:
    """Labels per Node object, passing over other kinds; a second node of one name is a finding."""
    found: dict[str, dict[str, str]] = {}
    for document in values.objects(documents):
        if not _is_node(document):
            continue
        name = values.name_of(document, kind="Node")
        where = f"Node/{name}"
        metadata = values.mapping(document["metadata"], where=where, field="metadata")
        _add(found, name, values.labels(metadata.get("labels"), where=where, field="labels"), where, findings)
    return found


def patched(documents: Sequence[object], name: str, findings: list[Finding]) -> dict[str, dict[str, str]]:
    """Labels of a list of {name, labels}; raises InvalidSource for an entry that is none."""
    found: dict[str, dict[str, str]] = {}
    for at, one in enumerate(documents):
        where = f"{name}[{at}]"
        entry = values.mapping(one, where=where, field="entry")
        node = values.text(entry.get("name"), where=where, field="name")
        _add(found, node, values.labels(entry.get("labels"), where=where, field="labels"), where, findings)
    return found


def write(reading: Reading) -> Written:
    """A list of {name, labels}, to be merged into the nodes' labels.

    A name that cannot be a label value is written as topograph writes long
    ones: x and its hash; a finding names each.
    """
    patches, findings = _patches(reading)
    return Written([{"name": name, "labels": labels} for name, labels in patches], findings)


def node_objects(reading: Reading) -> tuple[list[dict[str, Any]], tuple[Finding, ...]]:
    """The same as Node objects with nothing but a name and labels, for `kubectl apply --server-side`."""
    patches, findings = _patches(reading)
    return [
        {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {HOSTNAME: name, **labels}}}
        for name, labels in patches
    ], findings


def _patches(reading: Reading) -> tuple[list[tuple[str, dict[str, str]]], tuple[Finding, ...]]:
    hashed: set[str] = set()
    patches = []
    for node, labels in labels_of(reading):
        written = {key: label_value(name) for key, name in labels.items()}
        hashed.update(name for key, name in labels.items() if written[key] != name)
        patches.append((node, written))
    if not hashed:
        return patches, ()
    message = f"{len(hashed)} names cannot be label values; each is written as x and its 64-bit hash"
    return patches, (Finding("HashedName", NOTE, "labels", natural(hashed), message),)


def _is_node(document: object) -> bool:
    return values.kind_of(document) == ("", "v1", "Node")


def _are_patches(documents: Sequence[object]) -> bool:
    first = documents[0] if documents else None
    return isinstance(first, Mapping) and "name" in first and "labels" in first and "kind" not in first


def _add(
    found: dict[str, dict[str, str]], name: str, labels: dict[str, str], where: str, findings: list[Finding]
) -> None:
    if name in found:
        message = f"node {name} is there twice; the first one counts"
        findings.append(Finding("DuplicateNode", ERROR, where, (name,), message))
        return
    long = natural(key for key, value in labels.items() if value and label_value(value) != value)
    if long:
        message = f"the values of {', '.join(long)} cannot be label values: at most 63 plain characters"
        findings.append(Finding("InvalidLabelValue", WARNING, where, (name,), message))
    found[name] = labels
