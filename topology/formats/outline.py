"""A reading as a tree that can be written: one name per domain, and what the tree cannot hold."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from topology.naming import natural_key
from topology.reading import NOTE, NVLINK_SUB, WARNING, Finding, Reading, natural, tier_number
from topology.spec import NVLINK

Path = tuple[tuple[str, str], ...]
"""A domain by what identifies it: (level, name) of itself and all known above it, coarse to fine."""


@dataclass(frozen=True, slots=True)
class Written:
    """What a writer made: text, or one document for YAML; `findings` say what the format cannot hold."""

    document: str | Mapping[str, Any] | Sequence[Mapping[str, Any]]
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Branch:
    """A domain of the outline under a name of its own, with its direct children and nodes."""

    name: str
    level: str
    domain: str
    children: tuple[str, ...]
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outline:
    """Domains in natural order, coarse to fine; `rootless` are nodes that are in no domain."""

    levels: tuple[str, ...]
    branches: tuple[Branch, ...]
    rootless: tuple[str, ...]
    findings: tuple[Finding, ...]


def switch_levels(reading: Reading) -> tuple[str, ...]:
    """The levels that are switch tiers; all levels where none is."""
    tiers = tuple(level for level in reading.levels if tier_number(level) is not None)
    return tiers or reading.levels


def nested_levels(reading: Reading) -> tuple[str, ...]:
    """The levels, and below them the NVLink domains where every node has one and each lies in one place."""
    levels = reading.levels
    for part in (NVLINK, NVLINK_SUB):
        if part not in reading.partitions:
            continue
        homes: dict[str, set[tuple[str, ...]]] = defaultdict(set)
        for path in reading.nodes.values():
            homes[path.get(part, "")].add(tuple(path.get(level, "") for level in levels))
        if "" in homes or any(len(above) > 1 for above in homes.values()):
            break
        levels = (*levels, part)
    return levels


def outline(reading: Reading, levels: Sequence[str], *, target: str) -> Outline:
    """The domains of some nested levels as branches with names that are unique in the whole tree."""
    home: dict[str, Path] = {}
    for node, known in reading.nodes.items():
        home[node] = tuple((level, known[level]) for level in levels if known.get(level))
    paths = {path[:end] for path in home.values() for end in range(1, len(path) + 1)}
    order = sorted(paths, key=lambda path: [(levels.index(level), natural_key(name)) for level, name in path])
    names, renamed = _names(order, target)
    children: dict[Path, list[str]] = defaultdict(list)
    for path in order:
        children[path[:-1]].append(names[path])
    nodes: dict[Path, list[str]] = defaultdict(list)
    for node in natural(home):
        nodes[home[node]].append(node)
    branches = (
        Branch(names[path], path[-1][0], path[-1][1], tuple(children[path]), tuple(nodes[path]))
        for path in sorted(order, key=len)
    )
    findings = (*renamed, *left_out(reading, levels, target=target))
    return Outline(tuple(levels), tuple(branches), tuple(nodes[()]), findings)


def left_out(reading: Reading, held: Sequence[str], *, target: str) -> tuple[Finding, ...]:
    """A note for each level or partition that a format does not hold."""
    return tuple(
        Finding("LevelLeftOut", NOTE, target, (level,), f"{target} has no place for {level}; it is left out")
        for level in (*reading.levels, *reading.partitions)
        if level not in held
    )


def nodes_left_out(nodes: Sequence[str], *, target: str, why: str) -> tuple[Finding, ...]:
    """A warning that names the nodes that a format cannot hold; nothing where there are none."""
    if not nodes:
        return ()
    message = f"{len(nodes)} nodes are left out: {why}"
    return (Finding("NodesLeftOut", WARNING, target, natural(nodes), message),)


def _names(order: Sequence[Path], target: str) -> tuple[dict[Path, str], tuple[Finding, ...]]:
    """A name per domain: its own where that is unique, else with those above it in front."""
    own = Counter(path[-1][1] for path in order)
    whole = Counter(_joined(path) for path in order)
    taken: set[str] = {path[-1][1] for path in order if own[path[-1][1]] == 1}
    names: dict[Path, str] = {}
    renamed: list[str] = []
    for path in order:
        name = path[-1][1]
        if own[name] > 1:
            renamed.append(name)
            stem = _joined(path) if whole[_joined(path)] == 1 else f"{path[-1][0]}.{_joined(path)}"
            name = _free(stem, taken)
            taken.add(name)
        names[path] = name
    if not renamed:
        return names, ()
    message = f"{len(set(renamed))} names stand for several domains; they get the names above them in front"
    return names, (Finding("Renamed", NOTE, target, natural(renamed), message),)


def _joined(path: Path) -> str:
    return ".".join(name for _, name in path)


def _free(stem: str, taken: set[str]) -> str:
    name, number = stem, 1
    while name in taken:
        number += 1
        name = f"{stem}-{number}"
    return name
