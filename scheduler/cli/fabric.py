"""`lockstep topology show` and `draw`."""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

from scheduler.cli.exits import YES
from scheduler.cli.linting import problems_of
from scheduler.cli.output import Format, clean, emit
from scheduler.cli.sources import Reading, Source
from scheduler.devices import is_gpu
from scheduler.model import InvalidField, InvalidInput, NodeName, Pod
from scheduler.show import topology_document
from scheduler.workloads.gangs import membership_of
from scheduler.workloads.known import Known, known_of
from topology.draw import NodeUsage, draw_svg, draw_text

Document = dict[str, Any]


def show(source: Source, output: Format) -> int:
    """Print the fabric; the exit code."""
    document = topology_document(source.read().world)
    emit(
        document,
        output,
        table=lambda wide: _tree(document, wide=wide),
        names=lambda: [node["name"] for node in document["nodes"]],
    )
    return YES


def _tree(document: Document, *, wide: bool) -> None:
    summary = document["summary"]
    print(
        f"{summary['nodes']} nodes ({summary['usable']} usable), "
        f"{summary['free_gpus']} of {summary['gpus']} GPUs free"
    )
    for line in document["evidence"]:
        print(f"  {clean(line)}")
    levels = [
        level["name"] for level in document["levels"] if level["domains"] > 1 or level["name"] != "nvlink"
    ]
    shown: dict[str, str] = {}
    sums = _sums(document, levels)
    for node in sorted(document["nodes"], key=lambda node: [node["domains"][level] for level in levels]):
        depth = 0
        for level in levels:
            name = node["domains"][level]
            members, free, total = sums[level, name]
            if members == 1 and not wide:
                continue
            if shown.get(level) != name:
                print(
                    f"{'  ' * depth}{clean(level)} {clean(name)}  {members} nodes, {free}/{total} GPUs free"
                )
                shown[level] = name
                for finer in levels[levels.index(level) + 1 :]:
                    shown.pop(finer, None)
            depth += 1
        if wide:
            state = "" if node["usable"] else "  not usable"
            print(f"{'  ' * depth}{clean(node['name'])}  {node['free_gpus']}/{node['gpus']} GPUs free{state}")
    for warning in document["warnings"]:
        print(f"warning: {clean(warning['message'])}")


def _sums(document: Document, levels: list[str]) -> dict[tuple[str, str], tuple[int, int, int]]:
    sums: dict[tuple[str, str], tuple[int, int, int]] = defaultdict(lambda: (0, 0, 0))
    for node in document["nodes"]:
        for level in levels:
            members, free, total = sums[level, node["domains"][level]]
            free += node["free_gpus"] if node["usable"] else 0
            sums[level, node["domains"][level]] = (members + 1, free, total + node["gpus"])
    return sums


def draw(source: Source, *, svg: str | None, width: int) -> int:
    """Draw the fabric in characters, or to an SVG file; the exit code."""
    reading = source.read()
    odd, told = problems_of(reading)
    usage = {name: replace(one, problem=odd.get(name, "")) for name, one in node_usage(reading).items()}
    fabric = reading.world.fabric
    if svg is None:
        coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        print(draw_text(fabric, usage, width=width, colour=coloured, problems=told), end="")
        return YES
    try:
        Path(svg).write_text(draw_svg(fabric, usage, problems=told), encoding="utf-8")
    except OSError as error:
        wanted = f"a file that can be written ({error.strerror})"
        raise InvalidInput(InvalidField("command line", "--svg", svg, wanted)) from error
    print(svg)
    return YES


def node_usage(reading: Reading) -> dict[str, NodeUsage]:
    """Per node its GPUs, how many are used, and by which gangs."""
    gangs: dict[NodeName, list[str]] = defaultdict(list)
    used: dict[NodeName, int] = defaultdict(int)
    known = known_of(reading.groups, reading.workloads)
    for pod in reading.pods:
        if pod.node is None or pod.finished:
            continue
        gpus = sum(amount for name, amount in pod.shape.requests if is_gpu(name))
        used[pod.node] += gpus
        gangs[pod.node] += [_owner(pod, known)] * gpus
    found = {}
    for name, node in reading.world.ledger.nodes.items():
        gpus = sum(amount for resource, amount in node.allocatable.items() if is_gpu(resource))
        why = "cordoned" if node.unschedulable else "" if node.ready else "not ready"
        found[str(name)] = NodeUsage(gpus, used[name], tuple(gangs[name]), why)
    return found


def _owner(pod: Pod, known: Known) -> str:
    try:
        membership = membership_of(pod, known)
    except InvalidInput:
        return ""
    return str(membership.gang) if membership else ""
