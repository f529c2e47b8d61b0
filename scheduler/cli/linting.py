"""`lockstep topology lint`: coverage per level, contradictions, and what else is odd about the fabric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from scheduler.cli import importing
from scheduler.cli.exits import BAD_INPUT, YES
from scheduler.cli.importing import line_of
from scheduler.cli.output import Format, clean, columns, complain, emit
from scheduler.cli.sources import Reading as ClusterReading
from scheduler.cli.sources import Source
from scheduler.devices import is_gpu
from scheduler.fabrics import read_files
from scheduler.model import InvalidField, InvalidInput
from topology.formats import table
from topology.formats.labels import node_labels, of_labels
from topology.formats.values import kind_of, name_of
from topology.formats.values import objects as each_object
from topology.lint import NodeFacts, Report, lint
from topology.reading import ERROR, NOTE, WARNING, Reading
from topology.spec import InvalidTopology

SCHEMA = "lockstep.topology-lint/v1"


def check(files: Sequence[str], source: Source, *, form: str | None, output: Format, strict: bool) -> int:
    """Print what is odd about some files, or a cluster where there are none; the exit code."""
    if files and source.snapshots:
        given = f"{files[0]} and --snapshot {source.snapshots[0]}"
        raise InvalidInput(InvalidField("command line", "FILE", given, "files or a snapshot, not both"))
    try:
        reading, facts = _of_files(files, form) if files else facts_of(source.read())
    except InvalidTopology as error:
        complain(clean(str(error)))
        return BAD_INPUT
    report = lint(reading, facts)
    document = document_of(report, reading)
    emit(
        document,
        output,
        table=lambda wide: _table(report, reading, wide=wide),
        names=lambda: [f"{one.code} {one.where}" for one in report.findings],
    )
    failing = (ERROR, WARNING) if strict else (ERROR,)
    return BAD_INPUT if any(one.severity in failing for one in report.findings) else YES


def document_of(report: Report, reading: Reading) -> dict[str, Any]:
    """The report as `-o json` prints it."""
    severities = [finding.severity for finding in report.findings]
    return {
        "schema": SCHEMA,
        "source": reading.source,
        "evidence": list(reading.evidence),
        "summary": {
            "nodes": report.nodes,
            "errors": severities.count(ERROR),
            "warnings": severities.count(WARNING),
            "notes": severities.count(NOTE),
        },
        "levels": [
            {
                "name": one.level,
                "nested": one.nested,
                "nodes": one.nodes,
                "domains": one.domains,
                "smallest": one.smallest,
                "largest": one.largest,
            }
            for one in report.coverage
        ],
        "findings": [
            {
                "code": one.code,
                "severity": one.severity,
                "where": one.where,
                "names": list(one.names),
                "message": one.message,
            }
            for one in report.findings
        ],
    }


def _of_files(files: Sequence[str], form: str | None) -> tuple[Reading, Mapping[str, NodeFacts]]:
    """The fabric of the files, and what Node objects among them say beside it."""
    importing.check("--from", form, table.names())
    reading, objects = read_files(files, source=form)
    nodes = node_labels(objects, [])
    capacity = {
        name_of(one, kind="Node"): _gpus(one) for one in each_object(objects) if kind_of(one)[2] == "Node"
    }
    return reading, {
        name: NodeFacts(labels, capacity.get(name)) for name, labels in nodes.items() if name in reading.nodes
    }


def _gpus(node: Mapping[str, Any]) -> int | None:
    """The GPUs that a Node object offers; None where it has no status or none that can be read."""
    status = node.get("status")
    given = (status.get(key) for key in ("allocatable", "capacity")) if isinstance(status, Mapping) else ()
    offered = next((one for one in given if isinstance(one, Mapping)), None)
    if offered is None:
        return None
    counts = [str(count) for name, count in offered.items() if is_gpu(str(name))]
    return sum(map(int, counts)) if all(one.isascii() and one.isdecimal() for one in counts) else None


def problems_of(reading: ClusterReading) -> tuple[dict[str, str], list[str]]:
    """For pictures: per node what is odd about it, and all errors and warnings in sentences.

    What concerns most nodes is told in its sentence alone.
    """
    fabric, facts = facts_of(reading)
    nodes: dict[str, list[str]] = {}
    told = []
    for one in lint(fabric, facts).findings:
        if one.severity == NOTE:
            continue
        told.append(line_of(one))
        concerned = [name for name in one.names if name in fabric.nodes]
        for name in concerned if 2 * len(concerned) <= len(fabric.nodes) else ():
            nodes.setdefault(name, []).append(one.code)
    return {name: ", ".join(codes) for name, codes in nodes.items()}, told


def facts_of(reading: ClusterReading) -> tuple[Reading, Mapping[str, NodeFacts]]:
    """The nodes of a snapshot or a live cluster, with the levels that the service would use."""
    nodes = {str(name): node for name, node in reading.world.ledger.nodes.items()}
    facts = {
        name: NodeFacts(node.labels, sum(amount for one, amount in node.allocatable.items() if is_gpu(one)))
        for name, node in nodes.items()
    }
    if reading.world.reading is not None:
        return replace(reading.world.reading, evidence=reading.world.fabric.spec.evidence), facts
    labels = {name: node.labels for name, node in nodes.items()}
    return of_labels(labels, spec=reading.world.fabric.spec), facts


def _table(report: Report, reading: Reading, *, wide: bool) -> None:
    print(f"{report.nodes} nodes, read from {clean(reading.source)}")
    for sentence in reading.evidence:
        print(f"  {clean(sentence)}")
    columns(
        ("LEVEL", "NODES", "DOMAINS", "SIZES", "KIND"),
        [
            (
                one.level,
                f"{one.nodes}/{report.nodes}",
                str(one.domains),
                str(one.smallest) if one.smallest == one.largest else f"{one.smallest} to {one.largest}",
                "level" if one.nested else "partition",
            )
            for one in report.coverage
        ],
    )
    for finding in report.findings:
        print(line_of(finding, every_name=wide))
    counts = [sum(one.severity == severity for one in report.findings) for severity in (ERROR, WARNING, NOTE)]
    print("clean" if not any(counts) else "{} errors, {} warnings, {} notes".format(*counts))
