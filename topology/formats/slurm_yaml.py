"""Slurm's `topology.yaml` (25.05 and later): several topologies over the same nodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from topology.formats import blocks, tree, values
from topology.formats.blocks import Block
from topology.formats.hostlist import Expander
from topology.formats.slurm import SOURCE
from topology.formats.tree import Switch
from topology.reading import NOTE, WARNING, Finding, Reading, invalid, natural
from topology.spec import NVLINK

_KINDS = ("tree", "block", "ring", "torus3d", "flat")
_MOST = 1000
"""Most topologies in a file."""

Paths = Mapping[str, Mapping[str, str]]


def looks(document: object) -> bool:
    """True for a list of entries of which the first names a topology."""
    if not isinstance(document, Sequence) or isinstance(document, str) or not document:
        return False
    first = document[0]
    return isinstance(first, Mapping) and "topology" in first and any(kind in first for kind in _KINDS)


def read(document: object, *, name: str = "topology.yaml") -> Reading:
    """The default tree as levels, blocks as NVLink domains, rings and tori as partitions.

    A second tree or block topology joins the first where the two share no
    node, else its levels become partitions with the topology's name in front.
    Raises InvalidSource.
    """
    draft = _Draft(name)
    entries = values.items(document, where=name, field="file")
    if not 0 < len(entries) <= _MOST:
        raise invalid(name, "file", f"{len(entries)} entries", f"a list of 1 to {_MOST} topologies")
    mapped = [
        values.mapping(one, where=f"{name} entry {at}", field="entry") for at, one in enumerate(entries)
    ]
    titles = [values.text(one.get("topology"), where=f"{name} entry {at}", field="topology")
              for at, one in enumerate(mapped)]  # fmt: skip
    for title in sorted({title for title in titles if titles.count(title) > 1}):
        raise invalid(name, "topology", title, "a name that no other topology has")
    for title, entry in sorted(zip(titles, mapped, strict=True), key=lambda pair: not _is_default(pair[1])):
        draft.add(title, entry)
    return draft.reading()


def _is_default(entry: Mapping[str, Any]) -> bool:
    return entry.get("cluster_default") is True


@dataclass
class _Draft:
    """A reading in the making."""

    name: str
    expander: Expander = field(default_factory=Expander)
    levels: tuple[str, ...] = ()
    partitions: tuple[str, ...] = ()
    nodes: dict[str, dict[str, str]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def add(self, title: str, entry: Mapping[str, Any]) -> None:
        where = f"{self.name} topology {title}"
        kinds = [kind for kind in _KINDS if entry.get(kind) is not None]
        if len(kinds) != 1:
            raise invalid(where, "kind", ", ".join(kinds), f"one of {', '.join(_KINDS)}")
        for key in natural(set(entry) - {"topology", "cluster_default", *_KINDS}):
            message = f"{key} is no key of a topology; left out"
            self.findings.append(Finding("UnknownKey", WARNING, where, (key,), message))
        content = entry[kinds[0]]
        match kinds[0]:
            case "tree":
                self._tree(title, content, where)
            case "block":
                self._block(title, content, where)
            case "flat":
                message = f"topology {title} is flat: it says nothing of where nodes are"
                self.findings.append(Finding("Flat", NOTE, where, (title,), message))
            case kind:
                self._circles(kind, title, content, where)

    def reading(self) -> Reading:
        levels, partitions = self.levels, self.partitions
        higher = tuple(name for name in partitions if name.startswith("block-"))
        if not levels and higher:
            levels, partitions = higher, tuple(name for name in partitions if name not in higher)
        return Reading(SOURCE, levels, partitions, self.nodes, tuple(self.findings))

    def _tree(self, title: str, content: object, where: str) -> None:
        switches = []
        for at, entry in _entries(content, "switches", where):
            here = f"{where} switches[{at}]"
            listed = self._hosts(entry, "children", here), self._hosts(entry, "nodes", here)
            switches.append(Switch(self._own_name(entry, "switch", here), here, *listed))
        grown = tree.build(switches, source=SOURCE)
        self.findings += grown.findings
        if not self.levels:
            self.levels = grown.levels
            self._merge(grown.paths, {})
        elif grown.levels == self.levels and not self._overlaps(grown.paths, self.levels):
            self._merge(grown.paths, {})
        else:
            self._beside(title, grown.levels, grown.paths)

    def _block(self, title: str, content: object, where: str) -> None:
        sizes = values.items(values.mapping(content, where=where, field="block").get("block_sizes"),
                             where=where, field="block_sizes")  # fmt: skip
        listed = ",".join(values.text(one, where=where, field="block_sizes") for one in sizes)
        found = [
            Block(
                self._own_name(entry, "block", here),
                here,
                tuple(dict.fromkeys(self._hosts(entry, "nodes", here))),
            )
            for at, entry in _entries(content, "blocks", where)
            for here in (f"{where} blocks[{at}]",)
        ]
        made = blocks.build(found, blocks.sizes_of(listed, where=where) if listed else (), where=where)
        self.findings += made.findings
        names = (*made.higher, NVLINK)
        if self._overlaps(made.paths, names):
            self._beside(title, names, made.paths)
        else:
            self.partitions = (*(one for one in names if one not in self.partitions), *self.partitions)
            self._merge(made.paths, {})

    def _circles(self, kind: str, title: str, content: object, where: str) -> None:
        """Rings and tori: which nodes belong together; where they stand in it has no place in a fabric."""
        singular, plural = ("ring", "rings") if kind == "ring" else ("name", "toruses")
        paths: dict[str, dict[str, str]] = {}
        level = "ring" if kind == "ring" else "torus"
        for at, entry in _entries(content, plural, where):
            here = f"{where} {plural}[{at}]"
            name = self._own_name(entry, singular, here)
            for node in (*self._hosts(entry, "nodes", here), *self._regions(entry, here)):
                paths[node] = {level: name}
        message = f"of {kind} {title} only the membership is read, not the positions"
        self.findings.append(Finding("PositionsLeftOut", NOTE, where, (title,), message))
        if self._overlaps(paths, (level,)):
            self._beside(title, (level,), paths)
        else:
            self.partitions = (*self.partitions, *(one for one in (level,) if one not in self.partitions))
            self._merge(paths, {})

    def _regions(self, entry: Mapping[str, Any], where: str) -> Iterator[str]:
        for at, region in enumerate(values.items(entry.get("regions"), where=where, field="regions")):
            if isinstance(region, Mapping):
                yield from self._hosts(region, "nodes", f"{where} regions[{at}]")

    def _beside(self, title: str, levels: tuple[str, ...], paths: Paths) -> None:
        own = {level: f"{title}-{level}" for level in levels}
        for name in own.values():
            if name in (*self.levels, *self.partitions):
                raise invalid(self.name, "topology", title, f"a name other than one that makes {name} again")
        self.partitions = (*self.partitions, *own.values())
        self._merge(paths, own)
        message = (
            f"topology {title} lies over the same nodes as another; its levels are partitions of their own"
        )
        self.findings.append(Finding("SecondHierarchy", NOTE, self.name, tuple(own.values()), message))

    def _merge(self, paths: Paths, own: Mapping[str, str]) -> None:
        for node, path in paths.items():
            self.nodes.setdefault(node, {}).update(
                {own.get(level, level): name for level, name in path.items()}
            )

    def _overlaps(self, paths: Paths, levels: Sequence[str]) -> bool:
        return any(level in self.nodes.get(node, {}) for node in paths for level in levels)

    def _hosts(self, entry: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
        if entry.get(key) in (None, ""):
            return ()
        listed = values.texts(entry[key], where=where, field=key)
        return tuple(name for one in listed for name in self.expander.expand(one, where=where, field=key))

    def _own_name(self, entry: Mapping[str, Any], key: str, where: str) -> str:
        text = values.text(entry.get(key), where=where, field=key)
        names = self.expander.expand(text, where=where, field=key)
        if len(names) != 1:
            raise invalid(where, key, text, "one name")
        return names[0]


def _entries(content: object, key: str, where: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    listed = values.items(
        values.mapping(content, where=where, field="topology").get(key), where=where, field=key
    )
    for at, entry in enumerate(listed):
        yield at, values.mapping(entry, where=f"{where} {key}[{at}]", field="entry")
