"""Several sources over the nodes of one cluster: one fabric, by a stated precedence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from topology.detect import ASTRAY
from topology.merge import merge
from topology.model import Fabric
from topology.reading import NOTE, Finding, Reading, label_key, natural
from topology.sources.nvlink import CLIQUE
from topology.sources.seen import Pairs, Row
from topology.spec import NVLINK, FabricNode, FabricSpec, LevelSpec


@dataclass(frozen=True, slots=True)
class SourceEntry:
    """A source as the configuration names it, in its place of the order.

    `kind` is "labels", "objects" or "file"; `name` the kind of objects, such as
    kueue, or the file; `form` the format of a file, None to tell it by its content.
    """

    kind: str
    name: str = ""
    form: str | None = None

    def __str__(self) -> str:
        return f"{self.kind} {self.name}".strip()


@dataclass(frozen=True, slots=True)
class Combined:
    """What all sources say together: the levels, each node's labels for them, and what is odd about it."""

    spec: FabricSpec
    labels: Mapping[str, Mapping[str, str]]
    reading: Reading

    def fabric(self, nodes: Sequence[FabricNode]) -> Fabric:
        """The fabric of these nodes, whose own labels do not count."""
        return Fabric(self.spec, (replace(node, labels=self.labels.get(node.name, {})) for node in nodes))


def combine(
    told: Sequence[tuple[SourceEntry, Reading]], nodes: Sequence[str], keys: Mapping[str, str]
) -> Combined:
    """The readings in their order as one; the earlier goes before the later.

    `nodes` are those of the cluster: what a source says of other machines is
    left aside with a note. `keys` are the node labels of levels that have one.
    """
    present = frozenset(nodes)
    here = [_here(entry, reading, present) for entry, reading in told]
    merged = merge(here) if here else Reading("", (), (), {})
    levels, apart, why = _nested(merged, here)
    merged = replace(merged, levels=levels, partitions=(*merged.partitions, *apart))
    paths = {node: merged.nodes.get(node, {}) for node in natural(nodes)}
    merged = replace(merged, nodes=paths)
    partitions = merged.partitions
    if NVLINK not in (*merged.levels, *partitions):
        partitions = (*partitions, NVLINK)
        keys = {NVLINK: CLIQUE, **keys}

    def specs(names: Sequence[str]) -> tuple[LevelSpec, ...]:
        return tuple(LevelSpec(name, keys.get(name, label_key(name)), merged.source) for name in names)

    order = [
        f"source {at + 1}, {entry}: {', '.join((*one.levels, *one.partitions)) or 'no level'} "
        f"on {sum(map(bool, one.nodes.values()))} of {len(present)} nodes"
        for at, ((entry, _), one) in enumerate(zip(told, here, strict=True))
    ]
    spec = FabricSpec(specs(merged.levels), specs(partitions), (*order, *why, *merged.evidence))
    label_of = {level.name: level.label for level in (*spec.levels, *spec.partitions)}
    labels = {
        node: {label_of[level]: domain for level, domain in path.items() if level in label_of}
        for node, path in paths.items()
    }
    return Combined(spec, labels, merged)


def _nested(
    merged: Reading, told: Sequence[Reading]
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """The levels that nest, those that lie across one of an earlier source, and the words for these.

    A source's own levels nest by its own account.
    """
    owner = {level: at for at, one in reversed(list(enumerate(told))) for level in one.levels}
    rows = Counter(
        tuple(sorted((level, path[level]) for level in merged.levels if path.get(level)))
        for path in merged.nodes.values()
    )
    kept: list[str] = []
    apart: list[str] = []
    why = []
    for level in sorted(merged.levels, key=lambda level: (owner[level], merged.levels.index(level))):
        others = [one for one in kept if owner[one] != owner[level]]
        across = next((words for one in others if (words := _across(rows, merged, level, one))), "")
        (apart if across else kept).append(level)
        if across:
            why.append(f"{level}: a partition of its own, as {across}")
    return tuple(one for one in merged.levels if one in kept), tuple(apart), tuple(why)


def _across(rows: Mapping[Row, int], merged: Reading, one: str, other: str) -> str:
    """The words for a domain of the finer of two levels that lies in two of the coarser, if many nodes do."""
    coarse, fine = sorted((one, other), key=merged.levels.index)
    pairs = Pairs(fine, coarse, ())
    for row, times in rows.items():
        pairs.add(row, times)
    found = pairs.first
    if found is None or pairs.astray <= ASTRAY:
        return ""
    return f"{fine} {found.fine} lies in {coarse} {found.coarse[0]} and {found.coarse[1]}"


def _here(entry: SourceEntry, reading: Reading, present: frozenset[str]) -> Reading:
    """A reading of the cluster's nodes alone, under the name that the configuration gives it."""
    nodes = {node: path for node, path in reading.nodes.items() if node in present}
    strangers = natural(set(reading.nodes) - present)
    findings = reading.findings
    if strangers:
        message = f"{len(strangers)} of {len(reading.nodes)} machines are no nodes of the cluster; left aside"
        findings = (*findings, Finding("NotInCluster", NOTE, str(entry), strangers, message))
    return replace(reading, source=str(entry), nodes=nodes, findings=findings)
