"""The sources of the fabric as the configuration lists them."""

from __future__ import annotations

from pathlib import Path

import yaml

from scheduler.fabrics import OBJECTS
from scheduler.yamlreader import YamlReader, shown
from topology.combined import SourceEntry
from topology.formats import table

_WANTED = "labels, {objects: kueue} or {file: topology.conf, format: slurm}"


def read_sources(reader: YamlReader, node: yaml.Node | None) -> tuple[SourceEntry, ...]:
    """The entries in their order; a file is named from the folder of the configuration file."""
    if node is None:
        return ()
    if not isinstance(node, yaml.SequenceNode) or not node.value:
        reader.fault(node, "topology.sources", shown(node), f"a list, the first goes first, of {_WANTED}")
        return ()
    found: dict[SourceEntry, None] = {}
    for at, item in enumerate(node.value):
        where = f"topology.sources[{at}]"
        entry = _entry(reader, item, where)
        if entry in found:
            reader.fault(item, where, str(entry), "each source once")
        elif entry is not None:
            found[entry] = None
    return tuple(found)


def _entry(reader: YamlReader, node: yaml.Node, where: str) -> SourceEntry | None:
    if isinstance(node, yaml.ScalarNode):
        if shown(node) == "labels":
            return SourceEntry("labels")
        reader.fault(node, where, shown(node), _WANTED)
        return None
    entries = reader.mapping(node, where, ("objects", "file", "format"))
    if ("objects" in entries) == ("file" in entries) or ("format" in entries and "file" not in entries):
        reader.fault(node, where, ", ".join(entries), f"one of {_WANTED}")
        return None
    if "objects" in entries:
        kind = reader.one_of(entries["objects"], f"{where}.objects", tuple(OBJECTS))
        return None if kind is None else SourceEntry("objects", kind)
    file = reader.plain(entries["file"], f"{where}.file")
    form = entries.get("format")
    named = None if form is None else reader.one_of(form, f"{where}.format", table.names())
    return None if file is None else SourceEntry("file", str(Path(reader.name).parent / file), named)
