"""What files and objects say about the fabric: any format, several at once, the earlier before the later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scheduler.files import parse, texts
from scheduler.model import InvalidField, InvalidInput
from topology.formats import table
from topology.formats.hostlist import expand
from topology.formats.ibnames import read_name_map
from topology.formats.labels import node_labels
from topology.merge import merge
from topology.reading import NOTE, Finding, Reading, natural

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
