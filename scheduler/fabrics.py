"""What files and objects say about the fabric: any format, several at once, the earlier before the later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scheduler.files import parse, texts
from scheduler.model import InvalidField, InvalidInput
from topology.combined import Combined, SourceEntry, combine
from topology.detect import detect
from topology.formats import table
from topology.formats.hostlist import expand
from topology.formats.ibnames import read_name_map
from topology.formats.labels import node_labels, of_labels
from topology.formats.values import kind_of
from topology.merge import merge
from topology.reading import ERROR, NOTE, WARNING, Finding, Reading, natural
from topology.spec import FabricSpec, InvalidTopology

_MARKS = ((b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"))


@dataclass(frozen=True, slots=True)
class Known:
    """What is known beside the files: the cluster's nodes (None: anything is one), names by GUID."""

    hosts: frozenset[str] | None = None
    names: Mapping[str, str] | None = None


def read_files(
    files: Sequence[str], *, source: str | None = None, known: Known = Known()
) -> tuple[Reading, Sequence[object]]:
    """Files of any formats as one reading, and the Kubernetes objects among them.

    What an earlier file says counts before a later one; objects of several
    files are read together, and last, so that a Topology may stand in one file
    and the nodes in another. Raises InvalidTopology and InvalidInput.
    """
    readings: list[Reading] = []
    objects: list[Any] = []
    places: list[str] = []
    for name, data in (one for file in files for one in texts(file)):
        text = decoded(name, data)
        form = table.text_format(text, stated=source)
        if form is not None:
            readings.append(form.read(text, name=name, **form.given(known.hosts, known.names)))
            continue
        documents = [one for one in parse(name, data) if one is not None]
        if documents and all(isinstance(one, Mapping) and "kind" in one for one in documents):
            objects += documents
            places.append(name)
        else:
            readings.append(table.read_documents(documents, name=name, stated=source))
    if objects:
        readings.append(table.read_documents(objects, name=" + ".join(places), stated=source))
    return among(merge(readings), known.hosts), objects


def among(reading: Reading, hosts: frozenset[str] | None) -> Reading:
    """The reading without machines that are no nodes of the cluster; a note names those."""
    strangers = natural(set(reading.nodes) - hosts) if hosts is not None else ()
    if not strangers:
        return reading
    message = f"{len(strangers)} of {len(reading.nodes)} machines are no nodes of the cluster; left aside"
    finding = Finding("NotInCluster", NOTE, reading.source, strangers, message)
    nodes = {node: path for node, path in reading.nodes.items() if hosts is None or node in hosts}
    return replace(reading, nodes=nodes, findings=(*reading.findings, finding))


def hosts_of(given: str) -> frozenset[str]:
    """Names of hosts: a host list such as n[001-120], or a file with Node objects or host lists by line."""
    if not Path(given).is_file():
        return frozenset(expand(given, where="command line --hosts"))
    found: set[str] = set()
    for name, data in texts(given):
        text = decoded(name, data)
        if text.lstrip()[:1] in ("{", "[") or "kind:" in text:
            found.update(node_labels([one for one in parse(name, data) if one is not None], []))
            continue
        for number, line in enumerate(text.splitlines(), start=1):
            if listed := line.partition("#")[0].strip():
                found.update(expand(listed, where=f"{name}:{number}"))
    if not found:
        wanted = "a host list such as n[001-120], or a file with Node objects or a name a line"
        raise InvalidInput(InvalidField("command line", "--hosts", given, wanted))
    return frozenset(found)


def name_map_of(file: str) -> Mapping[str, str]:
    """Names by GUID, from the node name map of InfiniBand tools."""
    found: dict[str, str] = {}
    for name, data in texts(file):
        found |= read_name_map(decoded(name, data), name=name)
    return found


def decoded(name: str, data: bytes) -> str:
    """The text of a file; raises InvalidInput, with the line, for one that is no UTF-8."""
    wide = next((form for mark, form in _MARKS if data.startswith(mark)), "")
    if wide or b"\0" in data:
        line = 1 if wide else data[: data.index(b"\0")].count(b"\n") + 1
        wanted = f"UTF-8 text; this is {wide or 'a binary file, or UTF-16 without its mark'}"
        raise InvalidInput(InvalidField(f"{name}:{line}", "file", _shown(data), wanted))
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        wanted = "UTF-8 text; another encoding, such as latin-1, must be converted first"
        seen = _shown(data[error.start : error.start + 8])
        raise InvalidInput(InvalidField(f"{name}:{line}", "file", seen, wanted)) from error


def _shown(data: bytes) -> str:
    return data[:8].decode(errors="backslashreplace")


OBJECTS: Mapping[str, tuple[str, ...]] = {
    "kueue": ("kueue.x-k8s.io/v1beta2/topologies", "kueue.x-k8s.io/v1beta2/resourceflavors"),
    "kai": ("kai.scheduler/v1alpha1/topologies",),
    "hypernode": ("topology.volcano.sh/v1alpha1/hypernodes",),
    "koordinator": ("scheduling.koordinator.sh/v1alpha1/clusternetworktopologies",),
    "grove": ("grove.io/v1alpha1/clustertopologybindings",),
}
"""The cluster-scoped resources that each kind of objects is listed from: group/version/resource."""


def sources_of(
    entries: Sequence[SourceEntry],
    *,
    levels: FabricSpec | None = None,
    family: str | None = None,
    objects: Sequence[object] = (),
) -> Sources | None:
    """The sources of a configuration; None where it names none. Raises InvalidInput."""
    try:
        return Sources(entries, levels=levels, family=family, objects=objects) if entries else None
    except InvalidTopology as error:
        raise InvalidInput(InvalidField("topology.sources", "file", "", str(error))) from error


def resources_of(entries: Sequence[SourceEntry]) -> tuple[str, ...]:
    """The resources that these sources are read from, besides nodes; it takes the right to list them."""
    kinds = dict.fromkeys(entry.name for entry in entries if entry.kind == "objects")
    return tuple(resource for kind in kinds for resource in OBJECTS[kind])


class Sources:
    """The sources of a configuration, in their order, to be read over the nodes of a cluster.

    Files are read when this is made, and again never: raises InvalidInput and
    InvalidTopology for one that cannot be used. An object that cannot be used
    later on is a finding, and the other sources are read on.
    """

    def __init__(
        self,
        entries: Sequence[SourceEntry],
        *,
        levels: FabricSpec | None = None,
        family: str | None = None,
        objects: Sequence[object] = (),
    ) -> None:
        self.entries = tuple(entries)
        self.objects = objects
        self._levels, self._family = levels, family
        self._files = {
            one: read_files([one.name], source=one.form)[0] for one in entries if one.kind == "file"
        }
        self._read_for: tuple[frozenset[str], dict[SourceEntry, Reading]] = (frozenset(), {})

    def __call__(self, nodes: Mapping[str, Mapping[str, str]]) -> Combined:
        """What all of them say of nodes with these labels."""
        told: list[tuple[SourceEntry, Reading]] = []
        keys: dict[str, str] = {}
        for entry in self.entries:
            if entry.kind == "labels":
                spec = self._levels or detect((nodes[node] for node in natural(nodes)), family=self._family)
                keys = {level.name: level.label for level in (*spec.levels, *spec.partitions)}
                told.append((entry, of_labels(nodes, spec=spec)))
            elif entry.kind == "file":
                told.append((entry, self._of_file(entry, frozenset(nodes))))
            else:
                told.append((entry, self._of_objects(entry, nodes)))
        return combine(told, tuple(nodes), keys)

    def _of_file(self, entry: SourceEntry, nodes: frozenset[str]) -> Reading:
        """Cables are sorted out for the nodes that there are, so that strangers do not bend the groups."""
        if self._files[entry].source not in {one.name for one in table.TEXTS if "hosts" in one.takes}:
            return self._files[entry]
        if self._read_for[0] != nodes:
            self._read_for = (nodes, {})
        known = self._read_for[1]
        if entry not in known:
            try:
                known[entry] = read_files([entry.name], source=entry.form, known=Known(nodes))[0]
            except (InvalidTopology, InvalidInput) as error:
                known[entry] = _unreadable(entry, error)
        return known[entry]

    def _of_objects(self, entry: SourceEntry, nodes: Mapping[str, Mapping[str, str]]) -> Reading:
        form = next(one for one in table.DOCUMENTS if one.name == entry.name)
        if not form.looks(self.objects):
            message = f"the cluster has no objects of kind {entry.name}"
            finding = Finding("NoObjects", WARNING, str(entry), (), message)
            return Reading(entry.name, (), (), {}, (finding,))
        beside = [
            {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": dict(labels)}}
            for name, labels in nodes.items()
        ]
        try:
            apart = [one for one in self.objects if kind_of(one)[2] != "Node"]
            return form.read([*apart, *beside], name=entry.name)
        except InvalidTopology as error:
            return _unreadable(entry, error)


def _unreadable(entry: SourceEntry, error: Exception) -> Reading:
    finding = Finding("SourceUnreadable", ERROR, str(entry), (), f"left out: {error}")
    return Reading(entry.name, (), (), {}, (finding,))
