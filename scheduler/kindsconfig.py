"""The section `workloads` of the configuration: which families are read, kinds of one's own, ConfigMaps."""

from __future__ import annotations

import re

import yaml

from scheduler.workloads.custom import KindMapping, Template, kind_of_mapping
from scheduler.workloads.kinds import FAMILIES, KINDS, Kind, kind_of
from scheduler.yamlreader import YamlReader, shown

_PATH = re.compile(r"[A-Za-z_][\w-]*(\[[0-9]{1,4}\])*(\.[A-Za-z_][\w-]*(\[[0-9]{1,4}\])*)*")
_NUMBER = re.compile(r"[0-9]{1,6}")
_VERSION = re.compile(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?)/(v[0-9]+((alpha|beta)[0-9]+)?)")
_LABEL = re.compile(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-\w.]{0,61}[A-Za-z0-9])?")
_KEYS = (
    "apiVersion",
    "kind",
    "plural",
    "templates",
    "size",
    "least",
    "required",
    "preferred",
    "indexLabel",
    "groupLabel",
)


def read_workloads(reader: YamlReader, node: yaml.Node | None) -> tuple[tuple[Kind, ...], bool]:
    """The kinds that are read: those of the chosen families (all by default), and those described here.

    And whether the ConfigMaps that pods name are read.
    """
    entries = reader.mapping(node, "workloads", ("families", "kinds", "configMaps")) if node else {}
    chosen = set(FAMILIES)
    if "families" in entries:
        given = reader.texts(entries["families"], "workloads.families")
        for name in given:
            if name not in FAMILIES:
                wanted = f"families out of {', '.join(FAMILIES)}"
                reader.fault(entries["families"], "workloads.families", name, wanted)
        chosen = set(given)
    built_in = tuple(kind for kind in KINDS if kind.family in chosen)
    stated = reader.truth(entries["configMaps"], "workloads.configMaps") if "configMaps" in entries else True
    return (*_described(reader, entries.get("kinds")), *built_in), stated is not False


def _described(reader: YamlReader, node: yaml.Node | None) -> tuple[Kind, ...]:
    if node is None:
        return ()
    if not isinstance(node, yaml.SequenceNode):
        reader.fault(node, "workloads.kinds", shown(node), "a list of kinds")
        return ()
    found: dict[str, Kind] = {}
    for at, item in enumerate(node.value):
        kind = _kind(reader, item, f"workloads.kinds[{at}]")
        if kind is None:
            continue
        if kind.name in found:
            reader.fault(item, f"workloads.kinds[{at}].kind", kind.name, "every kind once")
        found[kind.name] = kind
    return tuple(found.values())


def _kind(reader: YamlReader, item: yaml.Node, where: str) -> Kind | None:
    """One kind; None when it is faulty, which the reader then tells."""
    faults = len(reader.faults)
    entries = reader.mapping(item, where, _KEYS)
    texts = {key: reader.text(entries, key, where, item) for key in ("apiVersion", "kind", "plural")}
    version = _VERSION.fullmatch(texts["apiVersion"])
    if texts["apiVersion"] and version is None:
        reader.fault(entries["apiVersion"], f"{where}.apiVersion", texts["apiVersion"], "group/version")
    paths = {
        key: _matching(
            reader, entries, key, where, pattern=_PATH, wanted="a path such as spec.workers.replicas"
        )
        for key in ("size", "least", "required", "preferred")
    }
    labels = {
        key: _matching(
            reader,
            entries,
            key,
            where,
            pattern=_LABEL,
            wanted="a label of its pods, such as example.com/index",
        )
        for key in ("indexLabel", "groupLabel")
    }
    templates = _templates(reader, entries.get("templates"), f"{where}.templates")
    if not templates and not paths["size"]:
        reader.fault(item, f"{where}.size", "", "the path of the number of pods, or templates that say it")
    if len(reader.faults) > faults or version is None:
        return None
    clash = kind_of(texts["apiVersion"], texts["kind"])
    if clash is not None:
        reader.fault(item, f"{where}.kind", texts["kind"], f"another kind: {clash.name} is read already")
        return None
    return kind_of_mapping(
        KindMapping(
            group=version[1],
            version=version[3],
            kind=texts["kind"],
            plural=texts["plural"],
            templates=templates,
            size=paths["size"],
            least=paths["least"],
            index_label=labels["indexLabel"],
            group_label=labels["groupLabel"],
            required=paths["required"],
            preferred=paths["preferred"],
        )
    )


def _templates(reader: YamlReader, node: yaml.Node | None, where: str) -> tuple[Template, ...]:
    if node is None:
        return ()
    if not isinstance(node, yaml.SequenceNode):
        reader.fault(node, where, shown(node), "a list of {path, replicas, group}")
        return ()
    found = []
    for at, item in enumerate(node.value):
        own = f"{where}[{at}]"
        entries = reader.mapping(item, own, ("path", "replicas", "group"))
        path = _matching(reader, entries, "path", own, pattern=_PATH, wanted="the path of a pod template")
        if "path" not in entries:
            reader.fault(item, f"{own}.path", "", "the path of a pod template, such as spec.template")
        replicas = shown(entries.get("replicas")) or "1"
        if not _PATH.fullmatch(replicas) and not _NUMBER.fullmatch(replicas):
            reader.fault(entries["replicas"], f"{own}.replicas", replicas, "a path, or a number of pods")
        group = shown(entries.get("group"))
        found.append(Template(group, path, replicas))
    return tuple(found)


def _matching(
    reader: YamlReader,
    entries: dict[str, yaml.Node],
    key: str,
    where: str,
    *,
    pattern: re.Pattern[str],
    wanted: str,
) -> str:
    """The text of an entry, empty without one; a fault when it does not look right."""
    if key not in entries:
        return ""
    value = shown(entries[key])
    if not pattern.fullmatch(value):
        reader.fault(entries[key], f"{where}.{key}", value, wanted)
    return value
