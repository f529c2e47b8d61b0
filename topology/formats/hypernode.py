"""Volcano's `HyperNode` objects: a tree in tiers, whose lowest members are nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from topology.formats import keys, tree, values
from topology.formats.labels import node_labels
from topology.formats.outline import Branch, Written, left_out, nested_levels, nodes_left_out, outline
from topology.formats.pattern import compiled
from topology.formats.tree import DEEPEST, Switch
from topology.reading import (
    ERROR,
    NVLINK_SUB,
    OWN_PREFIX,
    WARNING,
    Finding,
    Reading,
    invalid,
    natural,
    tier_name,
)
from topology.spec import NODE, NVLINK

SOURCE = "hypernode"

_GROUP, _KIND, _VERSIONS = "topology.volcano.sh", "HyperNode", ("v1alpha1",)
_DOMAIN = OWN_PREFIX + "domain"
"""Annotation with the name of the domain, where an object cannot have that name."""
_SELECTORS = ("exactMatch", "regexMatch", "labelMatch")

Selects = Callable[[str], bool]


def looks(documents: Sequence[object]) -> bool:
    """True when a HyperNode is among the objects."""
    return any(_is_hypernode(one) for one in values.objects(documents))


def read(documents: Sequence[object], *, name: str = "objects") -> Reading:
    """HyperNodes as levels by tier, called by their tier names where all of a tier agree on one.

    Patterns and label selectors are matched against the Node objects beside
    them. Loops, second parents, tiers that are skipped, out of order or no
    numbers, members that match nothing and nodes that are in none are findings.
    Raises InvalidSource.
    """
    findings: list[Finding] = []
    listed: dict[str, Mapping[str, Any]] = {}
    for one in filter(_is_hypernode, values.objects(documents)):
        title = values.name_of(one, kind=_KIND)
        if listed.setdefault(title, one) is not one:
            message = f"{title} is there twice; the first one counts"
            findings.append(Finding("DuplicateSwitch", ERROR, f"{_KIND}/{title}", (title,), message))
    if not listed:
        raise invalid(name, "file", f"{len(documents)} documents", f"objects of kind {_KIND}")
    nodes = node_labels(documents, findings)
    members = _Members(frozenset(listed), nodes, findings)
    switches = [found for title, one in listed.items() if (found := members.switch(title, one))]
    if not switches:
        raise invalid(
            name, "spec.tier", natural(listed)[:3], "at least one HyperNode with a tier of 1 or more"
        )
    grown = tree.build(switches, source=SOURCE)
    names = _level_names(listed, grown)
    shown = {title: _domain_of(one, title) for title, one in listed.items()}
    paths = {
        node: {names[level]: shown[domain] for level, domain in path.items()}
        for node, path in grown.paths.items()
    }
    homeless = natural(set(nodes) - set(paths))
    if homeless:
        message = f"{len(homeless)} of {len(nodes)} nodes are in no HyperNode"
        findings.append(Finding("NodeInNoDomain", WARNING, name, homeless, message))
    paths |= {node: {} for node in homeless}
    levels = [names[level] for level in grown.levels]
    for key, part in keys.links(nodes.values()).items():
        if part not in levels:
            levels.append(part)
            for node in nodes:
                paths[node] |= {part: nodes[node][key]} if nodes[node].get(key) else {}
    parts = tuple(level for level in levels if level in (NVLINK, NVLINK_SUB))
    return Reading(
        SOURCE,
        tuple(level for level in levels if level not in parts),
        parts,
        paths,
        (*findings, *grown.findings),
    )


def _is_hypernode(document: object) -> bool:
    group, _, kind = values.kind_of(document)
    return kind == _KIND and group == _GROUP


def _domain_of(document: Mapping[str, Any], name: str) -> str:
    metadata = values.mapping(document.get("metadata"), where=f"{_KIND}/{name}", field="metadata")
    marks = values.labels(metadata.get("annotations"), where=f"{_KIND}/{name}", field="annotations")
    return marks.get(_DOMAIN) or name


class _Members:
    """Resolves the members of HyperNodes, over all that there are."""

    def __init__(
        self,
        hypernodes: frozenset[str],
        nodes: Mapping[str, Mapping[str, str]],
        findings: list[Finding],
    ) -> None:
        self._hypernodes = natural(hypernodes)
        self._nodes = nodes
        self._order = natural(nodes)
        self._findings = findings

    def switch(self, name: str, document: Mapping[str, Any]) -> Switch | None:
        """A HyperNode with its members resolved; None when its tier is none."""
        where = f"{_KIND}/{name}"
        values.check_version(document, known=_VERSIONS, where=where)
        spec = values.mapping(document.get("spec"), where=where, field="spec")
        tier = spec.get("tier")
        if not isinstance(tier, int) or isinstance(tier, bool) or not 1 <= tier <= DEEPEST:
            message = f"tier {str(tier)[:40]!r} is no whole number from 1 to {DEEPEST}; {name} is left out"
            self._findings.append(Finding("UnknownTier", ERROR, f"{where} spec.tier", (name,), message))
            return None
        children: dict[str, None] = {}
        nodes: dict[str, None] = {}
        for at, one in enumerate(values.items(spec.get("members"), where=where, field="spec.members")):
            field = f"spec.members[{at}]"
            entry = values.mapping(one, where=where, field=field)
            into, found = self._member(entry, where, field, (children, nodes))
            into |= dict.fromkeys(found)
        return Switch(name, where, tuple(children), tuple(nodes), tier - 1)

    def _member(
        self,
        entry: Mapping[str, Any],
        where: str,
        field: str,
        kinds: tuple[dict[str, None], dict[str, None]],
    ) -> tuple[dict[str, None], tuple[str, ...]]:
        kind = entry.get("type")
        if kind not in ("Node", _KIND):
            raise invalid(where, f"{field}.type", kind, f"Node or {_KIND}")
        selector = values.mapping(entry.get("selector"), where=where, field=f"{field}.selector")
        given = [one for one in _SELECTORS if selector.get(one) is not None]
        if len(given) != 1:
            raise invalid(
                where, f"{field}.selector", ", ".join(given), f"exactly one of {', '.join(_SELECTORS)}"
            )
        place = f"{field}.selector.{given[0]}"
        content = values.mapping(selector[given[0]], where=where, field=place)
        if kind == "Node":
            return kinds[1], self._select(given[0], content, where, place, self._order, nodes=True)
        if given[0] == "labelMatch":
            raise invalid(where, place, kind, "labelMatch for members of type Node only")
        return kinds[0], self._select(given[0], content, where, place, self._hypernodes, nodes=False)

    def _select(
        self,
        how: str,
        content: Mapping[str, Any],
        where: str,
        field: str,
        names: Sequence[str],
        *,
        nodes: bool,
    ) -> tuple[str, ...]:
        if how == "exactMatch":
            name = values.text(content.get("name"), where=where, field=f"{field}.name")
            if nodes and self._nodes and name not in self._nodes:
                message = f"node {name} is not in the cluster"
                self._findings.append(Finding("UnknownNode", WARNING, f"{where} {field}", (name,), message))
            return (name,)
        if how == "regexMatch":
            text = values.text(content.get("pattern"), where=where, field=f"{field}.pattern")
            pattern = compiled(text, where=where, field=f"{field}.pattern")
            found = tuple(name for name in names if len(name) <= 253 and pattern.search(name))
        else:
            rules = list(_rules(content, where, field))
            found = tuple(name for name in names if all(rule(self._nodes[name]) for rule in rules))
        if not found:
            message = f"the selector matches none of {len(names)} {'nodes' if nodes else 'HyperNodes'}"
            self._findings.append(Finding("MatchesNothing", WARNING, f"{where} {field}", (), message))
        return found


def _rules(
    content: Mapping[str, Any], where: str, field: str
) -> Iterator[Callable[[Mapping[str, str]], bool]]:
    """The conditions of a label selector."""
    exact = values.labels(content.get("matchLabels"), where=where, field=f"{field}.matchLabels")
    for key, value in exact.items():
        yield lambda labels, key=key, value=value: labels.get(key) == value  # type: ignore[misc]
    place = f"{field}.matchExpressions"
    for at, one in enumerate(values.items(content.get("matchExpressions"), where=where, field=place)):
        here = f"{place}[{at}]"
        entry = values.mapping(one, where=where, field=here)
        key = values.text(entry.get("key"), where=where, field=f"{here}.key")
        wanted = frozenset(values.texts(entry.get("values"), where=where, field=f"{here}.values"))
        yield _expression(entry.get("operator"), key, wanted, where, here)


def _expression(
    operator: object, key: str, wanted: frozenset[str], where: str, field: str
) -> Callable[[Mapping[str, str]], bool]:
    match operator:
        case "In":
            return lambda labels: labels.get(key) in wanted
        case "NotIn":
            return lambda labels: labels.get(key) not in wanted
        case "Exists":
            return lambda labels: key in labels
        case "DoesNotExist":
            return lambda labels: key not in labels
        case _:
            raise invalid(where, f"{field}.operator", operator, "In, NotIn, Exists or DoesNotExist")


def _level_names(listed: Mapping[str, Mapping[str, Any]], grown: tree.Tree) -> dict[str, str]:
    """{tier's canonical name: level}, by the tier names that users gave where they are clear."""
    given: dict[int, set[str]] = {}
    for name, tier in grown.tier.items():
        spec = values.mapping(listed[name].get("spec"), where=f"{_KIND}/{name}", field="spec")
        stated = spec.get("tierName")
        word = keys.level_of_word(stated) if isinstance(stated, str) and stated else ""
        given.setdefault(tier, set()).add(word)
    named = {tier: next(iter(words)) for tier, words in given.items() if len(words) == 1}
    usable = {
        tier: word
        for tier, word in named.items()
        if word and word != NODE and list(named.values()).count(word) == 1
    }
    free = {tier: tier_name(tier) for tier in given}
    return {
        free[tier]: usable.get(
            tier, free[tier] if free[tier] not in usable.values() else f"hypernode-{tier + 1}"
        )
        for tier in given
    }


def write(reading: Reading) -> Written:
    """A List of HyperNodes: a tier per level, tier 1 the finest; NVLink domains where they nest in the rest.

    Where a domain's name can be no object's, or several domains share it, the
    object carries it in an annotation. Nodes in no domain are left out and named.
    """
    levels = nested_levels(reading)
    if len(levels) > DEEPEST:
        raise invalid(SOURCE, "levels", f"{len(levels)} levels", f"at most {DEEPEST}")
    drawn = outline(reading, levels, target=SOURCE)
    titles = _titles(drawn.branches)
    items = [_object(branch, titles, len(levels) - levels.index(branch.level)) for branch in drawn.branches]
    findings = (
        *left_out(reading, levels, target=SOURCE),
        *nodes_left_out(drawn.rootless, target=SOURCE, why="they are in no domain"),
    )
    return Written({"apiVersion": "v1", "kind": "List", "items": items}, findings)


def _titles(branches: Iterable[Branch]) -> dict[str, str]:
    """An object's name per branch, all different."""
    taken: set[str] = set()
    titles: dict[str, str] = {}
    for branch in branches:
        stem = title = values.object_name(branch.name)
        number = 1
        while title in taken:
            number += 1
            title = f"{stem[:240]}-{number}"
        taken.add(title)
        titles[branch.name] = title
    return titles


def _object(branch: Branch, titles: Mapping[str, str], tier: int) -> dict[str, Any]:
    members = [(_KIND, titles[child]) for child in branch.children] + [
        ("Node", node) for node in branch.nodes
    ]
    metadata: dict[str, Any] = {"name": titles[branch.name]}
    if titles[branch.name] != branch.domain:
        metadata["annotations"] = {_DOMAIN: branch.domain}
    return {
        "apiVersion": f"{_GROUP}/{_VERSIONS[0]}",
        "kind": _KIND,
        "metadata": metadata,
        "spec": {
            "tier": tier,
            "tierName": branch.level,
            "members": [{"type": kind, "selector": {"exactMatch": {"name": name}}} for kind, name in members],
        },
    }
