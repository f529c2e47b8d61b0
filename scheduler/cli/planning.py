"""`lockstep plan`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scheduler import manifests
from scheduler.cli.exits import of_verdicts
from scheduler.cli.output import Format, clean, columns, emit, remark
from scheduler.cli.sources import Source
from scheduler.model import InvalidField, InvalidInput
from scheduler.placement.problem import Limits
from scheduler.priorities import classes_of
from scheduler.whatif import plan_document

Report = dict[str, Any]

MOST_FACTS = 20
"""Facts that a table shows."""


@dataclass(frozen=True, slots=True)
class Asked:
    """How to place, and what to tell beside it."""

    jointly: bool
    evict: bool
    moves: bool


def plan(files: Sequence[str], source: Source, asked: Asked, *, namespace: str, output: Format) -> int:
    """Place the gangs of some manifests on the cluster as it is; the exit code."""
    documents = manifests.load(files)
    reading = source.read()
    expanded = manifests.workloads(
        documents, namespace=namespace, context=reading.documents, kinds=reading.kinds
    )
    if not expanded.pods and not expanded.faults:
        wanted = "at least one pod or workload"
        raise InvalidInput(InvalidField(", ".join(files), "documents", "none", wanted))
    for warning in expanded.warnings:
        remark(f"note: {warning}")
    reading.world.classes = {**reading.world.classes, **classes_of(documents)}
    document = plan_document(
        reading.world,
        pods=expanded.pods,
        groups=(*reading.groups, *expanded.pod_groups),
        workloads=(*reading.workloads, *expanded.workloads),
        running=[pod for pod in reading.pods if pod.node is not None],
        faults=expanded.faults,
        limits=Limits(),
        jointly=asked.jointly,
        evict=asked.evict,
        moves=asked.moves,
    )
    gangs: list[Report] = document["gangs"]
    emit(
        document,
        output,
        table=lambda wide: _table(document, wide=wide),
        names=lambda: [gang["gang"] for gang in gangs],
    )
    return of_verdicts(gang["verdict"] for gang in gangs)


def _table(document: Report, *, wide: bool) -> None:
    snapshot = document["snapshot"]
    print(
        f"{snapshot['nodes']} nodes ({snapshot['ready']} ready), "
        f"{snapshot['free_gpus']} of {snapshot['gpus']} GPUs free\n"
    )
    gangs: list[Report] = document["gangs"]
    columns(
        ("GANG", "VERDICT", "PROOF", "PODS", "GPUS", "TP", "PP", "DP", "WHERE"),
        [_row(gang) for gang in gangs],
    )
    if batch := document.get("batch"):
        terms = (f"{t['term']} {t['value']}/{t['bound']}" for t in batch["objective"] if t["value"])
        print()
        print(clean(f"batch: {batch['proof']}; value/bound: {', '.join(terms) or 'all 0'}"))
    for gang in gangs:
        print_decision(gang, wide=wide)


def _row(gang: Report) -> tuple[str, ...]:
    shape = gang.get("shape", {})
    numbers = [str(shape.get(key) or "-") for key in ("pods", "gpus", "tp", "pp", "dp")]
    proof = "-" if gang["verdict"] == "invalid" else gang["proof"]  # nothing was solved
    return (gang["gang"], gang["verdict"], proof, *numbers, _where(gang))


def _where(gang: Report) -> str:
    levels = gang.get("levels", {})
    parts = []
    for level, used in levels.items():
        least = "" if used["used"] == used["least"] else f" (least {used['least']})"
        parts.append(f"{used['used']} {level}{least}")
    return ", ".join(parts)


def _print_sizes(gang: Report) -> None:
    """Where each parallel size was read, of the gang or of each of its groups."""
    shape = gang.get("shape", {})
    for part in (shape, *(group for group in shape.get("groups", ()) if group.get("sources"))):
        name = f" of group {part['name']}" if part.get("name") else ""
        told = (
            f"{key} {part.get(key) if part.get(key) is not None else 'unknown'} ({clean(where)})"
            for key, where in part.get("sources", {}).items()
        )
        if text := ", ".join(told):
            print(f"\n{clean(gang['gang'])}: sizes{clean(name)}: {text}")


def print_decision(gang: Report, *, wide: bool) -> None:
    """The reason of a refusal, or with `wide` every pod's place and the objective."""
    reason = gang.get("reason")
    if reason:
        print(f"\n{clean(gang['gang'])}: {clean(reason['message'])}  [{reason['code']}]")
        for fact in reason["blocking"][:MOST_FACTS]:
            if fact["fact"] != reason["message"]:
                print(f"  - {clean(fact['fact'])}")
        if len(reason["blocking"]) > MOST_FACTS:
            print(f"  - and {len(reason['blocking']) - MOST_FACTS} more, which -o json lists")
        for fix in reason["fixes"]:
            print(f"  fix: {clean(fix['change'])}{'' if fix['verified'] else ' (not verified)'}")
    for note in gang.get("notes", ()):
        print(f"\n{clean(gang['gang'])}: note: {clean(note)}")
    if wide:
        _print_sizes(gang)
    if wide and gang.get("pods"):
        print()
        levels = list(gang["pods"][0]["domains"])
        columns(
            ("POD", "RANK", "NODE", *(level.upper() for level in levels)),
            [
                (pod["pod"], str(pod["rank"]), pod["node"], *(pod["domains"][level] for level in levels))
                for pod in gang["pods"]
            ],
        )
        terms = [term for term in gang["objective"] if term["value"] or term["bound"]]
        told = ", ".join(f"{t['term']} {t['value']}/{t['bound']}" for t in terms)
        print(clean(f"objective (value/bound): {told}"))
