"""NVIDIA topograph: its simulation models, both ways, and the JSON of its graph engine."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from topology.formats import keys, tree, values
from topology.formats.hostlist import LIMIT, Expander, compress
from topology.formats.outline import Written, left_out, nodes_left_out, outline, switch_levels
from topology.formats.tree import DEEPEST, Switch
from topology.reading import ERROR, NOTE, NVLINK_SUB, Finding, Reading, invalid, natural, tier_name
from topology.spec import NVLINK

SOURCE = "topograph"

_PLACES = ("region", "zone")


def looks(document: object) -> bool:
    """True for a model and for the graph engine's output."""
    return isinstance(document, Mapping) and (_is_graph(document) or _is_model(document))


def read(document: object, *, name: str = "model") -> Reading:
    """A model or a graph, whichever it is. Raises InvalidSource."""
    if isinstance(document, Mapping) and _is_graph(document):
        return read_graph(document, name=name)
    return read_model(document, name=name)


def _is_graph(document: Mapping[Any, Any]) -> bool:
    return "instances" in document


def _is_model(document: Mapping[Any, Any]) -> bool:
    listed = document.get("switches")
    old = isinstance(listed, list) and "capacity_blocks" in document
    return "kind" not in document and (old or isinstance(listed, Mapping))


def read_model(document: object, *, name: str = "model") -> Reading:
    """Switches as levels, the NVLink names of the blocks as partitions; regions and zones beside them.

    Leaf switches need no entry of their own. Raises InvalidSource.
    """
    whole = _modern(values.mapping(document, where=name, field="file"), name)
    expander = Expander()
    listed = values.mapping(whole.get("switches"), where=name, field="switches")
    blocks = list(_blocks(whole, name, expander))
    if not listed and not blocks:
        raise invalid(name, "file", sorted(whole)[:5], "a map of switches and a list of blocks")
    grown = tree.build(_switches(listed, blocks, name, expander), source=SOURCE)
    found = {node: dict(path) for node, path in grown.paths.items()}
    findings = list(grown.findings)
    for key in natural(set(whole) - {"switches", "blocks", "nodes"}):
        findings.append(Finding("KeyLeftOut", NOTE, name, (key,), f"{key} is not read"))
    for switch, nodes, extra in blocks:
        for node in nodes:
            path = found.setdefault(node, {})
            _link(path, extra, node, f"{name} block on {switch or 'no switch'}", findings)
    for node, extra in _old_nodes(whole, name):
        _link(found.setdefault(node, {}), extra, node, f"{name} nodes[{node}]", findings)
    _settle(listed, found, grown, name, findings)
    used = {level for path in found.values() for level in path}
    partitions = tuple(part for part in (*_PLACES, NVLINK, NVLINK_SUB) if part in used)
    return Reading(SOURCE, grown.levels, partitions, found, tuple(findings))


def _modern(whole: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A model of the first form, lists of switches and capacity blocks, in today's; others as they are."""
    if not isinstance(whole.get("switches"), list):
        return whole
    switches: dict[str, Any] = {}
    home: dict[str, str] = {}
    for at, one in enumerate(values.items(whole.get("switches"), where=name, field="switches")):
        where = f"{name} switches[{at}]"
        entry = values.mapping(one, where=where, field="switch")
        title = values.text(entry.get("name"), where=where, field="name")
        if title in switches:
            raise invalid(where, "name", title, "a name that no other switch has")
        switches[title] = {"switches": entry.get("switches")}
        for block in values.texts(entry.get("capacity_blocks"), where=where, field="capacity_blocks"):
            home[block] = title
    blocks = []
    for at, one in enumerate(values.items(whole.get("capacity_blocks"), where=name, field="capacity_blocks")):
        where = f"{name} capacity_blocks[{at}]"
        entry = values.mapping(one, where=where, field="block")
        title = values.text(entry.get("name"), where=where, field="name")
        blocks.append({"switch": home.get(title), "nodes": entry.get("nodes")})
    rest = {key: one for key, one in whole.items() if key not in ("switches", "capacity_blocks", "topology")}
    return {**rest, "switches": switches, "blocks": blocks}


def _blocks(
    whole: Mapping[str, Any], name: str, expander: Expander
) -> Iterator[tuple[str, tuple[str, ...], dict[str, str]]]:
    """(switch, nodes, NVLink names) of each block; machines without a fabric are on no switch, ""."""
    for at, one in enumerate(values.items(whole.get("blocks"), where=name, field="blocks")):
        where = f"{name} blocks[{at}]"
        block = values.mapping(one, where=where, field="block")
        marks = {
            **values.labels(block.get("labels"), where=where, field="labels"),
            **values.labels(block.get("annotations"), where=where, field="annotations"),
        }
        stated = block.get("switch")
        switch = "" if stated is None else values.text(stated, where=where, field="switch")
        yield switch, _hosts(block, where, expander), _linked(marks)


def _linked(marks: Mapping[str, str]) -> dict[str, str]:
    named = ((NVLINK, keys.NVLINK_KEYS), (NVLINK_SUB, keys.SUB_KEYS))
    found = {part: next((marks[key] for key in listed if marks.get(key)), "") for part, listed in named}
    return {part: value for part, value in found.items() if value}


def _hosts(entry: Mapping[str, Any], where: str, expander: Expander) -> tuple[str, ...]:
    listed = values.texts(entry.get("nodes"), where=where, field="nodes")
    return tuple(node for one in listed for node in expander.expand(one, where=where, field="nodes"))


def _switches(
    listed: Mapping[str, Any],
    blocks: Sequence[tuple[str, tuple[str, ...], dict[str, str]]],
    name: str,
    expander: Expander,
) -> Iterator[Switch]:
    """The switches of the map, then those that only children and blocks name."""
    nodes: dict[str, tuple[str, ...]] = defaultdict(tuple)
    for switch, below, _ in blocks:
        if switch:
            nodes[switch] += below
    implied = dict.fromkeys(nodes)
    for switch, one in listed.items():
        where = f"{name} switches[{switch}]"
        title = values.text(switch, where=name, field="name of a switch")
        entry = values.mapping(one, where=where, field="switch")
        children = values.texts(entry.get("switches"), where=where, field="switches")
        implied |= dict.fromkeys(children)
        yield Switch(title, where, children, (*_hosts(entry, where, expander), *nodes[title]))
    for switch in implied:
        if switch not in listed:
            yield Switch(switch, f"{name} switch {switch}", (), nodes[switch])


def _old_nodes(whole: Mapping[str, Any], name: str) -> Iterator[tuple[str, dict[str, str]]]:
    """The node map of earlier models, where each node names its NVLink domain itself."""
    for node, one in values.mapping(whole.get("nodes"), where=name, field="nodes").items():
        where = f"{name} nodes[{node}]"
        entry = values.mapping(one, where=where, field="node")
        marks = values.mapping(entry.get("attributes"), where=where, field="attributes")
        title = values.text(node, where=where, field="name")
        domain = marks.get("nvlink")
        yield title, {NVLINK: values.text(domain, where=where, field="nvlink")} if domain else {}


def _link(
    path: dict[str, str], extra: Mapping[str, str], node: str, where: str, findings: list[Finding]
) -> None:
    """Take over NVLink names; a second and different one is a finding."""
    for part, domain in extra.items():
        first = path.setdefault(part, domain)
        if first != domain:
            message = f"node {node} lies in {part} domains {first} and {domain}; {first} counts"
            findings.append(Finding("NodeTwice", ERROR, where, natural((node, first, domain)), message))


def _settle(
    listed: Mapping[str, Any],
    found: dict[str, dict[str, str]],
    grown: tree.Tree,
    name: str,
    findings: list[Finding],
) -> None:
    """Give nodes the region and zone of the nearest switch above them that has one."""
    placed: dict[str, dict[str, str]] = {}
    for switch, one in listed.items():
        where = f"{name} switches[{switch}]"
        marks = values.labels(values.mapping(one, where=where, field="switch").get("labels"),
                              where=where, field="labels")  # fmt: skip
        for key, value in marks.items():
            level = keys.level_of(key)
            if level in _PLACES and value:
                placed.setdefault(switch, {})[level] = value
            else:
                message = f"label {key} of switch {switch} names no level of a fabric; left out"
                findings.append(Finding("LabelLeftOut", NOTE, where, (switch,), message))
    upwards = grown.levels[::-1]
    for path in found.values() if placed else ():
        above = [path[level] for level in upwards if level in path]
        for switch in above:
            for level, value in placed.get(switch, {}).items():
                path.setdefault(level, value)


def read_graph(document: object, *, name: str = "graph") -> Reading:
    """Instances with their network layers, nearest first, as levels. Raises InvalidSource."""
    whole = values.mapping(document, where=name, field="file")
    instances = values.items(whole.get("instances"), where=name, field="instances")
    if not 0 < len(instances) <= LIMIT:
        raise invalid(name, "instances", f"{len(instances)} of them", f"1 to {LIMIT:,} instances")
    found: dict[str, dict[str, str]] = {}
    findings: list[Finding] = []
    for at, one in enumerate(instances):
        where = f"{name} instances[{at}]"
        entry = values.mapping(one, where=where, field="instance")
        node = values.text(entry.get("id"), where=where, field="id")
        if node in found:
            message = f"instance {node} is there twice; the first one counts"
            findings.append(Finding("DuplicateNode", ERROR, where, (node,), message))
            continue
        found[node] = {**_layers(entry, where), **_graph_links(entry, where)}
    used = {level for path in found.values() for level in path}
    levels = tuple(tier_name(tier) for tier in reversed(range(DEEPEST)) if tier_name(tier) in used)
    partitions = tuple(part for part in (NVLINK, NVLINK_SUB) if part in used)
    return Reading(SOURCE, levels, partitions, found, tuple(findings))


def _layers(entry: Mapping[str, Any], where: str) -> dict[str, str]:
    """Switches by tier; an empty name is a tier that is not known."""
    listed = values.items(entry.get("network_layers"), where=where, field="network_layers")
    if len(listed) > DEEPEST:
        raise invalid(where, "network_layers", f"{len(listed)} layers", f"at most {DEEPEST}")
    return {
        tier_name(tier): values.text(switch, where=where, field=f"network_layers[{tier}]")
        for tier, switch in enumerate(listed)
        if switch != ""
    }


def _graph_links(entry: Mapping[str, Any], where: str) -> dict[str, str]:
    """NVLink names from the labels, or from the fields that earlier versions wrote."""
    found = _linked(values.labels(entry.get("labels"), where=where, field="labels"))
    marks = values.mapping(entry.get("attributes"), where=where, field="attributes")
    old = entry.get("nvlink_domain") or marks.get("nvlink")
    if old and NVLINK not in found:
        found[NVLINK] = values.text(old, where=where, field="nvlink")
    return found


def write(reading: Reading) -> Written:
    """A model: the map of switches above the leaves, and a block per leaf and NVLink domain.

    A node without a leaf is left out and named. Raises InvalidSource for names
    that no host list can hold.
    """
    levels = switch_levels(reading)
    drawn = outline(reading, levels, target=SOURCE)
    parts = tuple(part for part in (NVLINK, NVLINK_SUB) if part in reading.partitions)
    lowest = levels[-1] if levels else ""
    switches: dict[str, Any] = {}
    blocks: list[dict[str, Any]] = []
    lost = list(drawn.rootless)
    for branch in drawn.branches:
        if branch.children:
            switches[branch.name] = {"switches": list(branch.children)}
        if branch.level == lowest:
            blocks += _written_blocks(reading, branch.name, branch.nodes, parts)
        else:
            lost += branch.nodes
    renamed = tuple(one for one in drawn.findings if one.code == "Renamed")
    findings = (
        *renamed,
        *left_out(reading, (*levels, *parts), target=SOURCE),
        *nodes_left_out(lost, target=SOURCE, why="a model keeps nodes on leaf switches only"),
    )
    return Written({"switches": switches, "blocks": blocks}, findings)


def _written_blocks(
    reading: Reading, switch: str, nodes: Sequence[str], parts: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """A block per NVLink domain on one switch."""
    groups: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for node in nodes:
        groups[tuple(reading.nodes[node].get(part, "") for part in parts)].append(node)
    marks = dict(zip((NVLINK, NVLINK_SUB), (keys.TEST_ACCELERATOR, keys.TEST_SUB_DOMAIN), strict=True))
    for names, members in groups.items():
        block: dict[str, Any] = {"switch": switch, "nodes": [compress(members)]}
        annotations = {marks[part]: name for part, name in zip(parts, names, strict=True) if name}
        yield {**block, "annotations": annotations} if annotations else block
