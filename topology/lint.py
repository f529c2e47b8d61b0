"""What is odd about a fabric: coverage, contradictions, lonely domains, GPUs that do not fit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from topology.detect import ASTRAY
from topology.lintdevices import GPU_COUNT, NodeFacts, device_findings, members
from topology.naming import natural_key
from topology.reading import ERROR, NOTE, WARNING, Finding, Reading, natural, tier_number
from topology.spec import NVLINK

__all__ = ["Coverage", "NodeFacts", "Report", "lint", "members"]

_ADMINISTRATIVE = ("region", "zone")
_PLACES = ("block", "rack")
_USUALLY_SEVERAL = 4
"""From this median size on, a domain of one node is worth a look."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of the cluster one level covers; sizes are in nodes."""

    level: str
    nested: bool
    nodes: int
    domains: int
    smallest: int
    largest: int


@dataclass(frozen=True, slots=True)
class Report:
    """Coverage coarse to fine, and all findings: errors, then warnings, then notes."""

    nodes: int
    coverage: tuple[Coverage, ...]
    findings: tuple[Finding, ...]


def lint(reading: Reading, facts: Mapping[str, NodeFacts] | None = None) -> Report:
    """Everything that looks wrong in a reading, with every node, switch and domain involved."""
    known = facts or {}
    checks: Iterable[Iterable[Finding]] = (
        reading.findings,
        _emptiness(reading, known),
        _contradictions(reading),
        _zones(reading),
        _own_partitions(reading),
        _missing(reading, known),
        _split_links(reading),
        _lonely(reading),
        device_findings(reading, known),
    )
    found = [finding for check in checks for finding in check]
    found.sort(key=lambda finding: (ERROR, WARNING, NOTE).index(finding.severity))
    return Report(len(reading.nodes), tuple(_coverage(reading)), tuple(found))


def _coverage(reading: Reading) -> Iterator[Coverage]:
    for level in (*reading.levels, *reading.partitions):
        sizes = [len(nodes) for nodes in _domains(reading, level).values()]
        nested = level in reading.levels
        yield Coverage(level, nested, sum(sizes), len(sizes), min(sizes, default=0), max(sizes, default=0))


def _domains(reading: Reading, level: str) -> dict[tuple[str, ...], list[str]]:
    """The nodes of each domain by its whole path; of a partition by its name alone."""
    above = reading.levels[: reading.levels.index(level)] if level in reading.levels else ()
    found: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for node in natural(reading.nodes):
        path = reading.nodes[node]
        if path.get(level):
            found[(*(path.get(one, "") for one in above), path[level])].append(node)
    return found


def _emptiness(reading: Reading, facts: Mapping[str, NodeFacts]) -> Iterator[Finding]:
    """Nodes of which nothing is known; those that are known to have no GPU need not be anywhere."""
    if not reading.levels and not any(part != NVLINK for part in reading.partitions) and reading.nodes:
        message = "nothing says which switch, block or rack any node is in"
        yield Finding("NoLevels", WARNING, reading.source, natural(reading.nodes), message)
        return
    homeless = [node for node, path in reading.nodes.items() if not path]
    for severity, words, nodes in (
        (WARNING, "", [node for node in homeless if not _without_gpus(node, facts)]),
        (NOTE, " without GPUs", [node for node in homeless if _without_gpus(node, facts)]),
    ):
        if nodes:
            message = f"{len(nodes)} of {len(reading.nodes)} nodes{words} have no place at any level"
            yield Finding("NoPlace", severity, reading.source, natural(nodes), message)


def _missing(reading: Reading, facts: Mapping[str, NodeFacts]) -> Iterator[Finding]:
    """Per level the nodes that are somewhere but not there; NVLink domains may lack by right."""
    for level in reading.levels:
        lacking = natural(
            node
            for node, path in reading.nodes.items()
            if path and not path.get(level) and not _without_gpus(node, facts)
        )
        if lacking:
            message = f"{len(lacking)} of {len(reading.nodes)} nodes have no {level}"
            yield Finding("MissingLevel", WARNING, f"{reading.source} {level}", lacking, message)


def _without_gpus(node: str, facts: Mapping[str, NodeFacts]) -> bool:
    return node in facts and facts[node].gpus == 0 and GPU_COUNT not in facts[node].labels


def _contradictions(reading: Reading) -> Iterator[Finding]:
    """Domains that lie in two domains of the nearest coarser level where they do.

    A name that is only a number is used again in every domain above, and a
    name may be used again in another region or zone.
    """
    for at, fine in enumerate(reading.levels):
        if fine in _ADMINISTRATIVE:
            continue
        seen: set[str] = set()
        for coarse in reversed(reading.levels[:at]):
            for domain, parents in _crossing(reading, coarse=coarse, fine=fine):
                if domain not in seen:
                    seen.add(domain)
                    yield _two_parents(reading, fine, domain, coarse, parents)


def _crossing(reading: Reading, *, coarse: str, fine: str) -> Iterator[tuple[str, dict[str, list[str]]]]:
    """(domain, {coarser domain: nodes}) of each domain of `fine` in several domains of `coarse`."""
    homes: dict[tuple[str, ...], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    within = () if coarse in _ADMINISTRATIVE and fine in _ADMINISTRATIVE else _ADMINISTRATIVE
    for node in natural(reading.nodes):
        path = reading.nodes[node]
        here, above = path.get(fine), path.get(coarse)
        if here and above and not here.isdecimal():
            homes[(here, *(path.get(one, "") for one in within))][above].append(node)
    for key in sorted(homes, key=lambda key: (natural_key(key[0]), key)):
        if len(homes[key]) > 1:
            yield key[0], homes[key]


def _two_parents(
    reading: Reading, fine: str, domain: str, coarse: str, parents: Mapping[str, Sequence[str]]
) -> Finding:
    """The contradiction, with the nodes of the smaller side: those are most likely the wrong ones."""
    sides = "; ".join(f"{len(parents[parent])} nodes in {parent}" for parent in natural(parents))
    nodes = [node for side in parents.values() for node in side]
    message = f"{fine} {domain} lies in {len(parents)} domains of {coarse}: {sides}"
    fewest = min(parents.values(), key=lambda side: (len(side), natural_key(side[0])))
    if 2 * len(fewest) < len(nodes):
        shown = ", ".join(fewest[:5]) + (f" and {len(fewest) - 5} more" if len(fewest) > 5 else "")
        message += f" ({shown})"
    return Finding(
        "TwoParents", ERROR, f"{reading.source} {fine}", natural((domain, *parents, *nodes)), message
    )


def _zones(reading: Reading) -> Iterator[Finding]:
    """Domains that stand in several zones or regions, finest first: mislabelled nodes, or so by design."""
    accused: set[str] = set()
    for wide in (one for one in _ADMINISTRATIVE if one in (*reading.levels, *reading.partitions)):
        for level in (one for one in reversed(reading.levels) if one not in _ADMINISTRATIVE):
            domains = members(reading, level)
            over: dict[str, dict[str, list[str]]] = {}
            for domain, nodes in domains.items():
                sides: dict[str, list[str]] = defaultdict(list)
                for node in nodes:
                    if reading.nodes[node].get(wide):
                        sides[reading.nodes[node][wide]].append(node)
                if len(sides) > 1 and not domain.isdecimal():
                    over[domain] = sides
            astray = {domain: _astray(sides) for domain, sides in over.items()}
            few = sum(map(len, astray.values())) <= ASTRAY * len(reading.nodes)
            for domain, nodes in astray.items() if few else ():
                if not accused.issuperset(nodes):
                    accused.update(nodes)
                    yield _two_parents(reading, level, domain, wide, over[domain])
            if over and not few:
                yield _by_design(reading, level, wide, over, len(domains))


def _astray(sides: Mapping[str, Sequence[str]]) -> list[str]:
    """The nodes outside of the main side."""
    main = max(sides, key=lambda side: (len(sides[side]), side))
    return [node for side, nodes in sides.items() if side != main for node in nodes]


def _by_design(
    reading: Reading, level: str, wide: str, over: Mapping[str, Mapping[str, Sequence[str]]], count: int
) -> Finding:
    """Switches that reach over zones, or names that each zone uses again."""
    first = natural(over)[0]
    example = f"{level} {first} in {', '.join(natural(over[first])[:4])}"
    share = f"{len(over)} of {count} names of {level}"
    order = reading.levels
    if wide in order and order.index(wide) < order.index(level):
        message = f"{share} stand in several {wide}s and mean a domain in each: {example}"
        return Finding("RepeatedNames", NOTE, f"{reading.source} {level}", natural(over), message)
    message = f"{share} reach over several {wide}s, each one domain: {example}"
    return Finding("AcrossZones", NOTE, f"{reading.source} {level}", natural(over), message)


def _own_partitions(reading: Reading) -> Iterator[Finding]:
    """Racks and blocks that were set apart from the switches since some of them lie across.

    Where only a minority does, those are most likely mislabelled; else it is so by design.
    """
    for part in (part for part in _PLACES if part in reading.partitions):
        domains = members(reading, part)
        for coarse in (level for level in reversed(reading.levels) if tier_number(level) is not None):
            found = list(_crossing(reading, coarse=coarse, fine=part))
            astray = sum(len(_astray(sides)) for _, sides in found)
            if 2 * len(found) < len(domains) and astray <= ASTRAY * len(reading.nodes):
                yield from (_two_parents(reading, part, domain, coarse, sides) for domain, sides in found)
            elif found:
                share = f"{len(found)} of {len(domains)} domains of {part}"
                message = f"{share} lie across {coarse}: a hierarchy of its own"
                names = natural(domain for domain, _ in found)
                yield Finding("OwnPartition", NOTE, f"{reading.source} {part}", names, message)
                break  # those that lie across a coarser level too do so for the same reason


def _split_links(reading: Reading) -> Iterator[Finding]:
    """NVLink domains that cannot be where their nodes say they are."""
    for level in (*_ADMINISTRATIVE, "rack"):
        for domain, nodes in members(reading, NVLINK).items():
            places = natural(reading.nodes[node][level] for node in nodes if reading.nodes[node].get(level))
            if len(places) > 1:
                severity = WARNING if level == "rack" else ERROR
                code = "CliqueAcrossRacks" if level == "rack" else "CliqueAcrossPlaces"
                message = (
                    f"NVLink domain {domain} of {len(nodes)} nodes lies in {level}s {', '.join(places[:5])}"
                )
                yield Finding(
                    code, severity, f"{reading.source} {NVLINK}", natural((domain, *places, *nodes)), message
                )


def _lonely(reading: Reading) -> Iterator[Finding]:
    """Domains of one node at a level where domains usually have several."""
    for level in (*reading.levels, *reading.partitions):
        domains = _domains(reading, level)
        lonely = [nodes[0] for path, nodes in domains.items() if len(nodes) == 1 and "" not in path]
        if lonely and median(map(len, domains.values())) >= _USUALLY_SEVERAL:
            names = natural(reading.nodes[node][level] for node in lonely)
            share = f"{len(lonely)} of {len(domains)} domains of {level}"
            message = f"{share} have a single node: {', '.join(lonely[:5])}"
            yield Finding(
                "LonelyDomain", WARNING, f"{reading.source} {level}", natural((*names, *lonely)), message
            )
