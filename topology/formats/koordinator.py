"""Koordinator's `ClusterNetworkTopology`: layers that name the layer above them and their label keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from topology.formats import keys, kueue, values
from topology.formats.labels import node_labels
from topology.reading import ERROR, Finding, Reading, invalid, natural
from topology.spec import HOSTNAME, NODE

SOURCE = "koordinator"

_GROUP = "scheduling.koordinator.sh"
_KIND = "ClusterNetworkTopology"
_VERSIONS = ("v1alpha1",)
_NODE_LAYER, _CLUSTER_LAYER = "NodeTopologyLayer", "ClusterTopologyLayer"
_MOST_LAYERS = 32


@dataclass(frozen=True, slots=True)
class _Layer:
    name: str
    parent: str
    keys: tuple[str, ...]


def looks(documents: Sequence[object]) -> bool:
    """True when a ClusterNetworkTopology is among the objects."""
    return any(_is_topology(one) for one in values.objects(documents))


def read(documents: Sequence[object], *, name: str = "objects") -> Reading:
    """The layers above the node layer as levels, over the Node objects beside it. Raises InvalidSource.

    The values of several label keys of one layer are joined by a dot. A loop
    of layers, a parent that is listed nowhere and a layer that no path from
    the nodes meets are findings.
    """
    findings: list[Finding] = []
    found = [one for one in values.objects(documents) if _is_topology(one)]
    if not found:
        raise invalid(name, "file", f"{len(documents)} documents", f"a {_KIND} of {_GROUP}")
    where, topology = kueue.only_one(found, _KIND, findings)
    values.check_version(topology, known=_VERSIONS, where=where)
    spec = values.mapping(topology.get("spec"), where=where, field="spec")
    listed = values.items(spec.get("networkTopologySpec"), where=where, field="spec.networkTopologySpec")
    chain = _chain(_layers(listed, where, findings), where, findings)
    levels: dict[str, str] = {}
    joined: dict[str, tuple[str, ...]] = {}
    for layer in chain:
        key = layer.keys[0] if len(layer.keys) == 1 else "+".join(layer.keys)
        meant = keys.level_of(key) if len(layer.keys) == 1 else keys.level_of_word(layer.name)
        if key in levels:
            raise invalid(where, f"layer {layer.name}", key, "label keys that no other layer has")
        if key != HOSTNAME:
            levels[key] = keys.level_of_word(layer.name) if meant == NODE else meant
            joined[key] = layer.keys
    nodes = {
        node: {**labels, **_joined(labels, joined)}
        for node, labels in node_labels(documents, findings).items()
    }
    return kueue.of_keys(keys.apart(levels), nodes, source=SOURCE, where=where, findings=findings)


def _is_topology(document: object) -> bool:
    group, _, kind = values.kind_of(document)
    return kind == _KIND and group == _GROUP


def _layers(listed: Sequence[Any], where: str, findings: list[Finding]) -> dict[str, _Layer]:
    if not 0 < len(listed) <= _MOST_LAYERS:
        wanted = f"1 to {_MOST_LAYERS} layers"
        raise invalid(where, "spec.networkTopologySpec", f"{len(listed)} layers", wanted)
    layers: dict[str, _Layer] = {}
    for at, one in enumerate(listed):
        field = f"spec.networkTopologySpec[{at}]"
        entry = values.mapping(one, where=where, field=field)
        name = values.text(entry.get("topologyLayer"), where=where, field=f"{field}.topologyLayer")
        above = entry.get("parentTopologyLayer")
        parent = values.text(above, where=where, field=f"{field}.parentTopologyLayer") if above else ""
        labels = values.texts(entry.get("labelKey"), where=where, field=f"{field}.labelKey")
        if name in layers:
            message = f"layer {name} is listed twice; the first one counts"
            findings.append(Finding("DuplicateLayer", ERROR, f"{where} {field}", (name,), message))
        else:
            layers[name] = _Layer(name, parent, labels)
    return layers


def _chain(layers: Mapping[str, _Layer], where: str, findings: list[Finding]) -> list[_Layer]:
    """The layers from the coarsest to the one above the nodes."""
    if _NODE_LAYER not in layers:
        message = f"no layer {_NODE_LAYER}, so nothing says which layer the nodes hang below"
        findings.append(Finding("NoNodeLayer", ERROR, where, natural(layers), message))
    walked: list[_Layer] = []
    at = _start(layers)
    while at in layers and layers[at] not in walked:
        walked.append(layers[at])
        at = layers[at].parent
    names = natural(layer.name for layer in walked)
    if at in layers:
        message = f"layers {', '.join(names)} lie above one another in a loop"
        findings.append(Finding("Cycle", ERROR, where, names, message))
    elif at not in ("", _CLUSTER_LAYER):
        message = f"layer {walked[-1].name} has a parent {at} that is listed nowhere"
        findings.append(Finding("UnknownLayer", ERROR, where, natural((walked[-1].name, at)), message))
    beside = natural(set(layers) - set(names) - {_CLUSTER_LAYER})
    if beside:
        message = f"layers {', '.join(beside)} are not above the nodes' own; left out"
        findings.append(Finding("LayerBeside", ERROR, where, beside, message))
    bare = natural(
        one.name for one in walked if not one.keys and one.name not in (_NODE_LAYER, _CLUSTER_LAYER)
    )
    if bare:
        message = f"layers {', '.join(bare)} have no label key; left out"
        findings.append(Finding("NoLabelKey", ERROR, where, bare, message))
    ends = (_NODE_LAYER, _CLUSTER_LAYER)
    return [layer for layer in reversed(walked) if layer.keys and layer.name not in ends]


def _start(layers: Mapping[str, _Layer]) -> str:
    """The node layer, else the first layer that no other has as its parent, else the first."""
    if _NODE_LAYER in layers:
        return _NODE_LAYER
    parents = {layer.parent for layer in layers.values()}
    return next((name for name in layers if name not in parents), next(iter(layers)))


def _joined(labels: Mapping[str, str], joined: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    return {
        key: ".".join(labels[part] for part in parts)
        for key, parts in joined.items()
        if len(parts) > 1 and all(labels.get(part) for part in parts)
    }
