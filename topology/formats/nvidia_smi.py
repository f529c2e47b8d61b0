"""The NVLink clique of each node, as `nvidia-smi` on it reports: one file per node, or pdsh's output.

Two outputs are read: `--query-gpu=fabric.clusterUuid,fabric.cliqueId,
fabric.state,fabric.status --format=csv,noheader`, and the Fabric sections of
`-q`. A domain's name is "uuid.clique", the same text as the node label
nvidia.com/gpu.clique, and like there a node has one only when all its GPUs
are registered, in State Completed with Status Success, and agree.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from topology.formats.gpufabric import GpuFabric, looks_like_query, looks_like_report, query_rows, report_rows
from topology.reading import ERROR, NOTE, WARNING, Finding, InvalidSource, Reading, invalid, natural
from topology.spec import NVLINK

SOURCE = "nvidia-smi"

_SUFFIXES = (".csv", ".txt", ".log", ".out")
_PREFIXED = re.compile(r"(?:pdsh@[^\s:]+:[ \t])?([A-Za-z0-9][-A-Za-z0-9_.]*):(?:[ \t](.*))?")
_NODE = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?")

Verdict = tuple[str | None, tuple[Finding, ...]]
"""The domain of a node, if it has one, and what is odd about it."""


def looks_like_nvidia_smi(text: str) -> bool:
    """True for the fabric query's rows or the report of -q, each with or without pdsh's node prefixes."""
    plain = "\n".join(_unprefixed(text.split("\n", 3000)[:3000]))
    return looks_like_query(plain) or looks_like_report(plain)


def read_nvidia_smi(text: str, *, name: str) -> Reading:
    """The partition "nvlink" from one file.

    The node is named after the file, without folder and .csv, .txt, .log or
    .out; in pdsh's output ("node: line") each line names its node. Raises
    InvalidSource when no node's output can be read.
    """
    return read_nvidia_smi_files({name: text})


def read_nvidia_smi_files(texts: Mapping[str, str]) -> Reading:
    """The partition "nvlink" from several files, by name; a node in two of them is an error finding.

    A file that cannot be read is a finding as long as another one can. Raises
    InvalidSource when none can.
    """
    nodes: dict[str, dict[str, str]] = {}
    findings: list[Finding] = []
    refused: list[InvalidSource] = []
    for name in natural(texts):
        for node, lines in _by_node(texts[name], name):
            try:
                domain, found = _judge(node, _rows("\n".join(lines), name), name)
            except InvalidSource as error:
                refused.append(error)
                findings.append(Finding("UnreadableOutput", ERROR, name, (node,), str(error)))
                nodes.setdefault(node, {})
                continue
            findings += found
            path = {} if domain is None else {NVLINK: domain}
            if node in nodes and nodes[node] != path:
                message = f"{node} is described more than once, and differently; the first counts"
                findings.append(Finding("NodeTwice", ERROR, name, (node,), message))
            nodes.setdefault(node, path)
    if refused and len(refused) >= len(nodes):
        raise refused[0]
    if not nodes:
        raise invalid(
            ", ".join(texts) or SOURCE, "files", "", "the output of nvidia-smi from at least one node"
        )
    partitions = (NVLINK,) if any(nodes.values()) else ()
    return Reading(SOURCE, (), partitions, nodes, tuple(findings))


def clique_of_query(text: str, *, name: str) -> Verdict:
    """The clique that rows of the fabric query give one node; raises InvalidSource."""
    return _judge(_node_of(name), query_rows(text, name=name), name)


def clique_of_report(text: str, *, name: str) -> Verdict:
    """The clique that the Fabric sections of -q give one node; raises InvalidSource."""
    return _judge(_node_of(name), report_rows(text, name=name), name)


def _rows(text: str, name: str) -> tuple[GpuFabric, ...]:
    read: Callable[..., tuple[GpuFabric, ...]] = report_rows if looks_like_report(text) else query_rows
    return read(text, name=name)


def _by_node(text: str, name: str) -> Iterator[tuple[str, Sequence[str]]]:
    """Nodes with their lines: those that pdsh's prefixes name, else the one that the file is named after."""
    lines = text.lstrip("\ufeff").split("\n")
    prefixed = [_PREFIXED.fullmatch(line.rstrip("\r")) for line in lines if line.strip()]
    found = [one for one in prefixed if one is not None]
    if not found or len(found) < len(prefixed):
        yield _node_of(name), lines
        return
    by_node: dict[str, list[str]] = {}
    for one in found:
        by_node.setdefault(one[1], []).append(one[2] or "")
    for node in natural(by_node):
        yield node, by_node[node]


def _unprefixed(lines: Sequence[str]) -> list[str]:
    matched = [_PREFIXED.fullmatch(line.rstrip("\r")) for line in lines]
    return [one[2] or "" if one is not None else line for one, line in zip(matched, lines, strict=True)]


def _node_of(name: str) -> str:
    stem = name.replace("\\", "/").rpartition("/")[2]
    for suffix in _SUFFIXES:
        stem = stem.removesuffix(suffix)
    if not _NODE.fullmatch(stem):
        raise invalid(name, "file name", stem, "the node's name, such as node-01.csv")
    return stem


def _judge(node: str, rows: Sequence[GpuFabric], name: str) -> Verdict:
    """The domain of a node by the rows of its GPUs."""
    attached = [row for row in rows if row.domain]
    waiting = [row for row in rows if row.waits]
    failed = [row for row in rows if row.failed]
    if waiting or failed:
        row = (waiting or failed)[0]
        state = f"State {row.state!r}, Status {row.status!r}; expected Completed and Success"
        count = f"{len(waiting) + len(failed)} of {len(rows)} GPUs"
        message = f"{node} has no clique: {count} are not registered with the fabric ({state})"
        return None, (Finding("FabricNotReady", WARNING, f"{name}:{row.line}", (node,), message),)
    if not attached:
        return None, ()
    if len(attached) < len(rows):
        message = f"{node} has no clique: only {len(attached)} of {len(rows)} GPUs are in one"
        return None, (Finding("PartOfClique", ERROR, f"{name}:{attached[0].line}", (node,), message),)
    domains = natural(row.domain for row in attached)
    if len(domains) > 1:
        message = f"{node} has no clique: its GPUs are in {' and '.join(domains)}"
        names = natural((node, *domains))
        return None, (Finding("CliquesDiffer", ERROR, f"{name}:{attached[0].line}", names, message),)
    return domains[0], tuple(_remarks(node, rows, name))


def _remarks(node: str, rows: Sequence[GpuFabric], name: str) -> Iterator[Finding]:
    sick = [row for row in rows if row.health == "unhealthy"]
    if sick:
        message = f"{len(sick)} of {len(rows)} GPUs of {node} report an unhealthy fabric"
        yield Finding("FabricUnhealthy", WARNING, f"{name}:{sick[0].line}", (node,), message)
    listed = rows[0].attached
    if listed is not None and listed != len(rows):
        message = f"{node} has {listed} GPUs attached, the report shows {len(rows)}: it may be cut short"
        yield Finding("MissingGpu", NOTE, name, (node,), message)
