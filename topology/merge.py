"""Several readings as one: who goes before whom, and where they contradict each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from topology.reading import ERROR, NOTE, Finding, Reading, natural
from topology.spec import usual_depth


def merge(readings: Sequence[Reading]) -> Reading:
    """One reading of all nodes; of two sources that name a node's domain the earlier one counts.

    What a later source says otherwise is a finding per level, with every node
    concerned. A level that any source holds apart stays a partition. Levels
    keep the order of the first source; those it does not have stand at their
    usual depth. Names are compared as they are: two sources that name the same
    switch differently contradict each other.
    """
    if len(readings) == 1:
        return readings[0]
    nodes: dict[str, dict[str, str]] = {}
    against: dict[tuple[str, str], list[str]] = defaultdict(list)
    told: dict[tuple[str, str], str] = {}
    by: dict[tuple[str, str], str] = {}
    for reading in readings:
        for node, path in reading.nodes.items():
            known = nodes.setdefault(node, {})
            for level, domain in path.items():
                if level not in known:
                    known[level], by[node, level] = domain, reading.source
                elif known[level] != domain:
                    key = level, reading.source
                    against[key].append(node)
                    told.setdefault(
                        key, f"{node} in {known[level]} by {by[node, level]}, in {domain} by {reading.source}"
                    )
    partitions = tuple(dict.fromkeys(name for reading in readings for name in reading.partitions))
    levels = _in_order([[name for name in reading.levels if name not in partitions] for reading in readings])
    findings = [finding for reading in readings for finding in reading.findings]
    findings += _contradictions(against, told)
    findings += _only_in_some(readings)
    source = "+".join(dict.fromkeys(reading.source for reading in readings))
    evidence = tuple(dict.fromkeys(sentence for reading in readings for sentence in reading.evidence))
    return Reading(source, levels, partitions, nodes, tuple(findings), evidence)


def _in_order(lists: Iterable[list[str]]) -> tuple[str, ...]:
    """All names, the order of each list kept where no earlier one says otherwise."""
    merged: list[str] = []
    for names in lists:
        for at, name in enumerate(names):
            if name in merged:
                continue
            before = [merged.index(one) for one in names[:at] if one in merged]
            after = [merged.index(one) for one in names[at + 1 :] if one in merged]
            low, high = max(before, default=-1) + 1, min(after, default=len(merged))
            deeper = (slot for slot in range(low, high) if usual_depth(merged[slot]) > usual_depth(name))
            merged.insert(next(deeper, max(low, high)), name)
    return tuple(merged)


def _contradictions(
    against: dict[tuple[str, str], list[str]], told: dict[tuple[str, str], str]
) -> Iterable[Finding]:
    for (level, source), nodes in against.items():
        more = f" and {len(nodes) - 1} more" if len(nodes) > 1 else ""
        example = told[level, source] + more
        message = f"{len(nodes)} nodes lie elsewhere by {source}: {example}; the earlier source counts"
        yield Finding("SourcesDisagree", ERROR, f"{source} {level}", natural(nodes), message)


def _only_in_some(readings: Sequence[Reading]) -> Iterable[Finding]:
    """Nodes that a source with nodes does not know of."""
    everywhere = {node for reading in readings for node in reading.nodes}
    for reading in readings:
        lacking = natural(everywhere - set(reading.nodes))
        if reading.nodes and lacking:
            message = f"{len(lacking)} of {len(everywhere)} nodes are not in {reading.source}"
            yield Finding("NodesNotInSource", NOTE, reading.source, lacking, message)
