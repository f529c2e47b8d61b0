"""Writing Slurm's files: `topology.conf` for one hierarchy, `topology.yaml` for a tree and blocks."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from topology.formats.hostlist import compress
from topology.formats.outline import (
    Outline,
    Written,
    left_out,
    nodes_left_out,
    outline,
    switch_levels,
)
from topology.reading import NOTE, Finding, Reading, invalid, natural
from topology.spec import NVLINK

_TARGET = "slurm"
_LOWEST_LEVEL = "Slurm keeps nodes at the lowest switches only"


def write(reading: Reading) -> Written:
    """`topology.conf` as text where one plugin holds it all, else the documents of `topology.yaml`.

    Switch tiers become the tree and NVLink domains the blocks. A node without
    a lowest switch or without an NVLink domain is left out of that part and
    named. Raises InvalidSource for names that no host list can hold.
    """
    levels = switch_levels(reading)
    linked = NVLINK in reading.partitions
    higher = tuple(name for name in (*reading.levels, *reading.partitions) if name.startswith("block-"))
    if linked and set(levels) <= set(higher):
        levels = ()
    findings = left_out(reading, (*levels, *higher, *((NVLINK,) if linked else ())), target=_TARGET)
    tree, lost = _tree(reading, levels)
    blocks, unlinked = _blocks(reading) if linked else ([], ())
    findings = (*findings, *lost, *unlinked)
    sizes = _sizes(blocks, higher)
    if tree and blocks:
        message = "a tree and blocks together need topology.yaml, which Slurm reads from 25.05 on"
        findings = (*findings, Finding("TopologyYaml", NOTE, _TARGET, (), message))
        return Written(_yaml(tree, blocks, sizes), findings)
    lines = [_switch_line(entry) for entry in tree]
    lines += [f"BlockName={name} Nodes={nodes}" for name, nodes, _ in blocks]
    lines += [f"BlockSizes={','.join(map(str, sizes))}"] if sizes else []
    return Written("".join(line + "\n" for line in lines), findings)


def _tree(reading: Reading, levels: tuple[str, ...]) -> tuple[list[dict[str, str]], tuple[Finding, ...]]:
    """Switches with host lists of children or nodes; those without either go, from the lowest up."""
    if not levels:
        return [], ()
    drawn = outline(reading, levels, target=_TARGET)
    mixed = [node for branch in drawn.branches if branch.level != levels[-1] for node in branch.nodes]
    lost = nodes_left_out((*drawn.rootless, *mixed), target=_TARGET, why=_LOWEST_LEVEL)
    renamed = tuple(one for one in drawn.findings if one.code == "Renamed")
    return list(_switches(drawn, levels[-1])), (*renamed, *lost)


def _switches(drawn: Outline, lowest: str) -> list[dict[str, str]]:
    kept: set[str] = set()
    found: list[dict[str, str]] = []
    for branch in reversed(drawn.branches):
        children = [name for name in branch.children if name in kept]
        if branch.level == lowest and branch.nodes:
            found.append({"switch": _plain(branch.name), "nodes": compress(branch.nodes)})
        elif children:
            found.append({"switch": _plain(branch.name), "children": compress(children)})
        else:
            continue
        kept.add(branch.name)
    return found[::-1]


def _blocks(reading: Reading) -> tuple[list[tuple[str, str, int]], tuple[Finding, ...]]:
    """(name, host list, number of nodes) of each NVLink domain, those of one larger block side by side."""
    members: dict[str, list[str]] = defaultdict(list)
    for node in natural(reading.nodes):
        members[reading.nodes[node].get(NVLINK, "")].append(node)
    lost = nodes_left_out(members.pop("", []), target=f"{_TARGET} blocks", why="they have no NVLink domain")
    return [
        (_plain(name), compress(members[name]), len(members[name])) for name in _in_order(reading, members)
    ], lost


def _plain(name: str) -> str:
    """The name, where a line of Slurm's files can hold it. Raises InvalidSource."""
    if "#" in name or "\\" in name:
        raise invalid(_TARGET, "name", name, "a name without # and backslash")
    return compress([name])


def _in_order(reading: Reading, members: dict[str, list[str]]) -> list[str]:
    """NVLink domains in the order of their larger blocks, which Slurm takes from the file."""
    sizes = sorted((level for level in (*reading.levels, *reading.partitions) if _size(level)), key=_size)

    def place(name: str) -> tuple[int, ...]:
        path = reading.nodes[members[name][0]]
        return tuple(ranks[level].get(path.get(level, ""), len(ranks[level])) for level in reversed(sizes))

    ranks = {
        level: {
            name: at
            for at, name in enumerate(natural(p[level] for p in reading.nodes.values() if level in p))
        }
        for level in sizes
    }
    return sorted(natural(members), key=place)


def _size(level: str) -> int:
    digits = level.removeprefix("block-")
    return int(digits) if digits != level and digits.isdecimal() and len(digits) <= 9 else 0


def _sizes(blocks: list[tuple[str, str, int]], higher: tuple[str, ...]) -> list[int]:
    if not blocks:
        return []
    above = sorted(filter(None, map(_size, higher)))
    base = min(count for _, _, count in blocks)
    if above and (above[0] % base or above[0] == base):
        base = next((size for size in range(base, 0, -1) if _doubles(above[0], size)), 1)
    return [base, *above]


def _doubles(larger: int, size: int) -> bool:
    times, rest = divmod(larger, size)
    return not rest and times > 1 and not times & (times - 1)


def _switch_line(entry: dict[str, str]) -> str:
    below = f"Nodes={entry['nodes']}" if "nodes" in entry else f"Switches={entry['children']}"
    return f"SwitchName={entry['switch']} {below}"


def _yaml(
    tree: list[dict[str, str]], blocks: list[tuple[str, str, int]], sizes: list[int]
) -> list[dict[str, Any]]:
    listed = [{"block": name, "nodes": nodes} for name, nodes, _ in blocks]
    return [
        {"topology": "tree", "cluster_default": True, "tree": {"switches": tree}},
        {"topology": "block", "cluster_default": False, "block": {"block_sizes": sizes, "blocks": listed}},
    ]
