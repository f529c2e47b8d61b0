"""GraphML: the fabric as the graph that `Fabric` holds, and directed graphs of switches from elsewhere."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any
from xml.etree.ElementTree import ParseError

import networkx as nx

from topology.formats import tree, values
from topology.formats.outline import Written, outline
from topology.formats.tree import DEEPEST, Switch
from topology.reading import ERROR, Finding, Reading, invalid, natural, tier_name
from topology.spec import NODE

SOURCE = "graphml"

_CONTAINS, _MEMBER = "contains", "member"
_LEVELS, _PARTITIONS = "lockstep_levels", "lockstep_partitions"
_HEAD = re.compile(r"\s*(<\?xml[^>]*\?>\s*)?(<!--.*?-->\s*)*<graphml\b", re.DOTALL)
_UNFIT = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_FAULTS = (
    ParseError,
    nx.NetworkXError,
    KeyError,
    ValueError,
    TypeError,
    AttributeError,
    IndexError,
    OverflowError,
    RecursionError,
)
"""What networkx and the XML parser raise for a file that is no GraphML."""


def looks(text: str) -> bool:
    """True for XML whose root is graphml."""
    return _HEAD.match(text[:10_000]) is not None


def read(text: str, *, name: str = "fabric.graphml") -> Reading:
    """A fabric that we wrote, or a graph whose edges run from each switch to what hangs below it.

    In a graph from elsewhere, vertices without outgoing edges are the nodes.
    Raises InvalidSource for anything that is not a directed graph in GraphML.
    """
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise invalid(name, "file", "<!DOCTYPE or <!ENTITY", "GraphML without entities of its own")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            graph = nx.parse_graphml(text)
    except _FAULTS as error:
        raise invalid(name, "file", str(error), "GraphML") from error
    if not graph.is_directed():
        raise invalid(name, "edgedefault", "undirected", "directed edges, from a switch to what hangs below")
    if _LEVELS in graph.graph:
        return _read_ours(graph, name)
    return _read_other(graph, name)


def _read_other(graph: nx.DiGraph, name: str) -> Reading:
    titles = {vertex: _title(vertex, marks, name) for vertex, marks in graph.nodes(data=True)}
    _all_different(titles, name)
    inner = {vertex for vertex in graph if graph.out_degree(vertex)}
    switches = [
        Switch(
            titles[vertex],
            f"{name} vertex {vertex}",
            tuple(titles[below] for below in graph.successors(vertex) if below in inner),
            tuple(titles[below] for below in graph.successors(vertex) if below not in inner),
        )
        for vertex in graph
        if vertex in inner
    ]
    if not switches:
        raise invalid(name, "file", f"{len(titles)} vertices", "at least one edge from a switch to a node")
    grown = tree.build(switches, source=SOURCE)
    alone = {titles[vertex]: dict[str, str]() for vertex in graph if not graph.degree(vertex)}
    return Reading(SOURCE, grown.levels, (), {**alone, **grown.paths}, tuple(grown.findings))


def _read_ours(graph: nx.DiGraph, name: str) -> Reading:
    levels, partitions = (_listed(graph.graph.get(key, "[]"), name, key) for key in (_LEVELS, _PARTITIONS))
    if len({*levels, *partitions, NODE}) <= len(levels) + len(partitions) or len(levels) > DEEPEST:
        raise invalid(name, _LEVELS, levels, f"at most {DEEPEST} different levels and partitions")
    kinds = {vertex: str(marks.get("kind", "")) for vertex, marks in graph.nodes(data=True)}
    titles = {vertex: _title(vertex, marks, name) for vertex, marks in graph.nodes(data=True)}
    nodes = {vertex: title for vertex, title in titles.items() if kinds[vertex] == NODE}
    _all_different(nodes, name)
    of_level = {
        vertex: _level(marks, (*levels, *partitions), f"{name} vertex {vertex}")
        for vertex, marks in graph.nodes(data=True)
        if vertex not in nodes
    }
    switches = [
        Switch(
            vertex,
            f"{name} vertex {vertex}",
            tuple(below for below in graph.successors(vertex) if below in of_level),
            tuple(nodes[below] for below in graph.successors(vertex) if below in nodes),
            len(levels) - 1 - levels.index(of_level[vertex]),
        )
        for vertex in of_level
        if of_level[vertex] in levels
    ]
    grown = tree.build(switches, source=SOURCE)
    called = {tier_name(len(levels) - 1 - at): level for at, level in enumerate(levels)}
    paths: dict[str, dict[str, str]] = {node: {} for node in nodes.values()}
    for node, path in grown.paths.items():
        paths[node] = {called[tier]: titles[vertex] for tier, vertex in path.items()}
    findings = [_told(one, titles) for one in grown.findings if one.code != "SkippedTier"]
    for vertex, level in of_level.items():
        if level in partitions:
            members = (nodes[below] for below in graph.successors(vertex) if below in nodes)
            findings += _join(members, level, titles[vertex], paths, f"{name} vertex {vertex}")
    return Reading(SOURCE, levels, partitions, paths, tuple(findings))


def _join(
    members: Iterable[str], level: str, domain: str, paths: Mapping[str, dict[str, str]], where: str
) -> Iterable[Finding]:
    for node in members:
        first = paths[node].setdefault(level, domain)
        if first != domain:
            message = f"node {node} lies in {level} domains {first} and {domain}; {first} counts"
            yield Finding("NodeTwice", ERROR, where, natural((node, first, domain)), message)


def _told(finding: Finding, titles: Mapping[str, str]) -> Finding:
    """The finding with names in place of the graph's own ids."""
    return replace(finding, names=tuple(titles.get(name, name) for name in finding.names))


def _title(vertex: object, marks: Mapping[str, Any], name: str) -> str:
    own = marks.get("name") or marks.get("label") or vertex
    return values.text(own, where=f"{name} vertex {str(vertex)[:60]}", field="name")


def _all_different(titles: Mapping[str, str], name: str) -> None:
    seen: dict[str, str] = {}
    for vertex, title in titles.items():
        if title in seen:
            raise invalid(
                f"{name} vertex {vertex}", "name", title, f"another name than vertex {seen[title]} has"
            )
        seen[title] = vertex


def _level(marks: Mapping[str, Any], known: tuple[str, ...], where: str) -> str:
    level = marks.get("level")
    if level not in known:
        raise invalid(where, "level", level, f"one of {', '.join(known)}")
    return str(level)


def _listed(text: object, name: str, key: str) -> tuple[str, ...]:
    try:
        found = json.loads(text) if isinstance(text, str) else text
    except ValueError as error:
        raise invalid(name, key, text, "a list of names in JSON") from error
    return values.texts(found, where=name, field=key)


def write(reading: Reading) -> Written:
    """The whole reading, levels and partitions, as a directed graph with kind, level and name per vertex.

    Raises InvalidSource for names that XML cannot hold.
    """
    drawn = outline(reading, reading.levels, target=SOURCE)
    graph = nx.DiGraph()
    graph.graph[_LEVELS] = json.dumps(reading.levels)
    graph.graph[_PARTITIONS] = json.dumps(reading.partitions)
    ids = {branch.name: f"{branch.level}:{branch.name}" for branch in drawn.branches}
    for branch in drawn.branches:
        _add(graph, ids[branch.name], kind="domain", level=branch.level, name=branch.domain)
    for node in natural(reading.nodes):
        _add(graph, f"node:{node}", kind=NODE, level=NODE, name=node)
    for branch in drawn.branches:
        below = [ids[child] for child in branch.children] + [f"node:{node}" for node in branch.nodes]
        graph.add_edges_from(((ids[branch.name], one) for one in below), kind=_CONTAINS)
    for part in reading.partitions:
        members = {node: path[part] for node, path in reading.nodes.items() if path.get(part)}
        for domain in natural(members.values()):
            _add(graph, f"partition:{part}:{domain}", kind="partition", level=part, name=domain)
        for node in natural(members):
            graph.add_edge(f"partition:{part}:{members[node]}", f"node:{node}", kind=_MEMBER)
    return Written("".join(line + "\n" for line in nx.generate_graphml(graph)))


def _add(graph: nx.DiGraph, vertex: str, **marks: str) -> None:
    if _UNFIT.search(vertex):
        raise invalid(SOURCE, "name", marks["name"], "a name of characters that XML can hold")
    graph.add_node(vertex, **marks)
