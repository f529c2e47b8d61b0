"""Trees of switches, as several formats write them, turned into levels; every fault in them is a finding."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from topology.reading import ERROR, NOTE, WARNING, Finding, invalid, natural, tier_name

DEEPEST = 16
"""Most tiers of switches; Kueue and KAI allow as many levels."""


@dataclass(frozen=True, slots=True)
class Switch:
    """A switch with the switches and nodes that it names; `tier` where it is stated, 0 the lowest."""

    name: str
    where: str
    children: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()
    tier: int | None = None


@dataclass(slots=True)
class Tree:
    """Switches in their places. `path` has the domains of each node; `tiers` counts the tiers."""

    parent: dict[str, str] = field(default_factory=dict)
    tier: dict[str, int] = field(default_factory=dict)
    paths: dict[str, dict[str, str]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @property
    def levels(self) -> tuple[str, ...]:
        """Names of the tiers that any node is in, coarse to fine."""
        used = {level for path in self.paths.values() for level in path}
        tiers = sorted({tier for tier in self.tier.values() if tier_name(tier) in used}, reverse=True)
        return tuple(tier_name(tier) for tier in tiers)


def build(switches: Iterable[Switch], *, source: str) -> Tree:
    """The tree of some switches; `tree.paths` gives per node {level: switch}.

    What contradicts itself is left out where it first does and becomes a
    finding: a switch listed twice, a child that nobody lists, a second parent,
    a loop, a node on two switches. Raises InvalidSource for more than DEEPEST
    tiers.
    """
    tree = Tree()
    known = _unique(switches, tree.findings)
    _adopt(known, tree)
    _cut_loops(known, tree)
    _measure(known, tree, source)
    _place_nodes(known, tree)
    return tree


def _unique(switches: Iterable[Switch], findings: list[Finding]) -> dict[str, Switch]:
    known: dict[str, Switch] = {}
    for switch in switches:
        if switch.name in known:
            message = (
                f"switch {switch.name} stands at {known[switch.name].where} already; the first one counts"
            )
            findings.append(Finding("DuplicateSwitch", ERROR, switch.where, (switch.name,), message))
        else:
            known[switch.name] = switch
    return known


def _adopt(known: Mapping[str, Switch], tree: Tree) -> None:
    """Give each switch its parent; the first one that names it."""
    for switch in known.values():
        for child in dict.fromkeys(switch.children):
            if child not in known:
                message = f"switch {switch.name} has a child {child} that is listed nowhere"
                tree.findings.append(
                    Finding("UnknownSwitch", ERROR, switch.where, natural((switch.name, child)), message)
                )
            elif child in tree.parent:
                first = tree.parent[child]
                message = f"switch {child} lies below both {first} and {switch.name}; the first one counts"
                names = natural((child, first, switch.name))
                tree.findings.append(Finding("TwoParents", ERROR, switch.where, names, message))
            else:
                tree.parent[child] = switch.name


def _cut_loops(known: Mapping[str, Switch], tree: Tree) -> None:
    """Take the parents away from switches that lie below themselves."""
    done: set[str] = set()
    for start in known:
        walked: dict[str, None] = {}
        at: str | None = start
        while at is not None and at not in done and at not in walked:
            walked[at] = None
            at = tree.parent.get(at)
        if at in walked:
            order = list(walked)
            loop = order[order.index(at) :]
            for name in loop:
                del tree.parent[name]
            message = (
                f"switches {', '.join(natural(loop))} lie below one another in a loop; none is kept there"
            )
            tree.findings.append(Finding("Cycle", ERROR, known[at].where, natural(loop), message))
        done.update(walked)


def _measure(known: Mapping[str, Switch], tree: Tree, source: str) -> None:
    """The tier of each switch: as stated, else its height above the lowest switch below it."""
    waiting = dict.fromkeys(known, 0)
    for parent in tree.parent.values():
        waiting[parent] += 1
    height = dict.fromkeys(known, 0)
    ready = deque(name for name, count in waiting.items() if not count)
    while ready:
        name = ready.popleft()
        stated = known[name].tier
        tree.tier[name] = height[name] if stated is None else stated
        if (above := tree.parent.get(name)) is None:
            continue
        height[above] = max(height[above], tree.tier[name] + 1)
        waiting[above] -= 1
        if not waiting[above]:
            ready.append(above)
    highest = max(tree.tier, key=tree.tier.__getitem__, default=None)
    if highest is not None and tree.tier[highest] >= DEEPEST:
        tiers = f"{tree.tier[highest] + 1} tiers of switches"
        raise invalid(known[highest].where, source, tiers, f"at most {DEEPEST}")
    _compare_tiers(known, tree)


def _compare_tiers(known: Mapping[str, Switch], tree: Tree) -> None:
    """Say where a child does not lie one tier below its parent; it goes when it lies no lower at all.

    Tiers that the source states are counted from 1 there (HyperNodes), those of our own from 0."""
    for child, parent in list(tree.parent.items()):
        gap = tree.tier[parent] - tree.tier[child]
        lower, upper = (tree.tier[one] + (known[one].tier is not None) for one in (child, parent))
        names = natural((child, parent))
        where = known[parent].where
        if gap <= 0:
            del tree.parent[child]
            message = f"{child} of tier {lower} cannot lie below {parent} of tier {upper}"
            tree.findings.append(Finding("TierOrder", ERROR, where, names, message))
        elif gap > 1:
            message = f"{child} of tier {lower} hangs directly below {parent} of tier {upper}"
            severity = NOTE if known[child].tier is None else WARNING
            tree.findings.append(Finding("SkippedTier", severity, where, names, message))


def _place_nodes(known: Mapping[str, Switch], tree: Tree) -> None:
    home: dict[str, str] = {}
    for switch in known.values():
        if not switch.nodes and not switch.children:
            message = f"switch {switch.name} has neither nodes nor switches below it"
            tree.findings.append(Finding("EmptySwitch", WARNING, switch.where, (switch.name,), message))
        above = _path(switch.name, tree)
        for node in switch.nodes:
            if node not in home:
                home[node] = switch.name
                tree.paths[node] = above
            elif home[node] == switch.name:
                message = f"node {node} is listed twice on switch {switch.name}"
                tree.findings.append(Finding("DuplicateNode", WARNING, switch.where, (node,), message))
            else:
                both = natural((home[node], switch.name))
                message = f"node {node} lies on switches {both[0]} and {both[1]}; {home[node]} counts"
                tree.findings.append(
                    Finding("NodeTwice", ERROR, switch.where, natural((node, *both)), message)
                )


def _path(name: str, tree: Tree) -> dict[str, str]:
    """The switch and all above it by the names of their tiers."""
    found: dict[str, str] = {}
    at: str | None = name
    while at is not None:
        found[tier_name(tree.tier[at])] = at
        at = tree.parent.get(at)
    return found


def merge_paths(paths: Sequence[Mapping[str, Mapping[str, str]]]) -> dict[str, dict[str, str]]:
    """Several maps of node to domains as one; a later map adds to and overrides an earlier one."""
    merged: dict[str, dict[str, str]] = {}
    for one in paths:
        for node, path in one.items():
            merged.setdefault(node, {}).update(path)
    return merged
