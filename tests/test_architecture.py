"""The shape of the project: which layer may import which, and where each library is at home."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

LAYERS = (
    ("topology",),
    ("scheduler.containers",),
    ("scheduler.model",),
    (
        "scheduler.texts",
        "scheduler.devices",
        "scheduler.quantity",
        "scheduler.eligibility",
        "scheduler.version",
        "scheduler.memory",
    ),
    ("scheduler.classes",),
    ("scheduler.tracing",),
    ("scheduler.workloads",),
    ("scheduler.placement",),
    ("scheduler.masks", "scheduler.holds"),
    ("scheduler.ledger",),
    ("scheduler.world",),
    ("scheduler.report", "scheduler.surroundings", "scheduler.viewers", "scheduler.evicting"),
    ("scheduler.measures",),
    ("scheduler.engine",),
    ("scheduler.kube",),
    ("scheduler.extender",),
    ("scheduler.rpc",),
    ("scheduler.files", "scheduler.yamlreader", "scheduler.owners", "scheduler.settings"),
    ("scheduler.documents",),
    ("scheduler.expansion",),
    ("scheduler.manifests", "scheduler.fabrics"),
    ("scheduler.sourcelist", "scheduler.objectfeed"),
    ("scheduler.kindsconfig",),
    ("scheduler.metrics", "scheduler.config", "scheduler.show", "scheduler.feeds", "scheduler.doorkeeper"),
    ("scheduler.ports", "scheduler.rights", "scheduler.doctor", "scheduler.mapfeed"),
    ("scheduler.decide", "scheduler.moving", "scheduler.priorities", "scheduler.worlds"),
    ("scheduler.whatif", "scheduler.journal", "scheduler.recorder"),
    ("scheduler.decisions", "scheduler.progress"),
    ("scheduler.questions", "scheduler.cluster", "scheduler.writing", "scheduler.telling"),
    ("scheduler.leading", "scheduler.paranoid", "scheduler.readings"),
    ("scheduler.service",),
    ("scheduler.app",),
    ("scheduler.cli",),
    ("deploy",),
    ("benchmarks",),
)
"""From the bottom up: a module imports from its own prefix and the rows above it, not from its neighbours.

A new module is placed by the longest prefix that is named here.
"""

ONLY = {
    "scheduler.kube": (
        "scheduler.containers",
        "scheduler.model",
        "scheduler.quantity",
        "scheduler.workloads.keys",
    ),
    "deploy.local": ("topology.synthetic", "scheduler.manifests"),
    "deploy.examples": ("scheduler.rpc.lockstep",),
    "deploy": (),
}
"""Who may use less than what stands above: reading objects knows nothing of deciding, and what
sets up a cluster goes by the public commands (the demo's pods are those that `plan` expands). An
example shows what anybody can write who has the stubs."""

HOMES = {
    "networkx": ("topology",),
    "numpy": (
        "topology",
        "scheduler.placement",
        "scheduler.masks",
        "scheduler.ledger",
        "scheduler.surroundings",
        "scheduler.measures",
        "scheduler.engine",
        "scheduler.recorder",
        "benchmarks",
    ),
    "numba": ("scheduler.placement",),
    "ortools": ("scheduler.placement",),
    "kubernetes": ("scheduler.kube",),
    "msgspec": ("scheduler.kube", "scheduler.extender", "scheduler.files"),
    "aiohttp": ("scheduler.extender", "scheduler.kube", "scheduler.ports"),
    "grpc": ("scheduler.rpc", "deploy.examples"),
    "grpc_health": ("scheduler.rpc",),
    "grpc_reflection": ("scheduler.rpc",),
    "grpc_tools": ("scheduler.rpc.stubs",),
    "google": ("scheduler.rpc", "deploy.examples"),
    "prometheus_client": ("scheduler.metrics",),
    "opentelemetry": ("scheduler.tracing",),
    "typer": ("scheduler.cli",),
    "matplotlib": ("benchmarks",),
    "rich": ("scheduler.cli", "benchmarks"),
    "yaml": (
        "scheduler.files",
        "scheduler.config",
        "scheduler.kindsconfig",
        "scheduler.yamlreader",
        "scheduler.sourcelist",
        "scheduler.cli",
        "deploy",
        "benchmarks",
    ),
}
"""The packages that may import each library; nothing else outside the standard library is allowed."""

OURS = ("topology", "scheduler", "deploy", "benchmarks")
LONGEST_MODULE = 300
LONGEST_FUNCTION = 60
LONGER = {"scheduler.model": 303, "scheduler.ledger": 374, "scheduler.engine.engine": 400}
"""Modules over the limit, with their ceilings: these may shrink, not grow, and no name may be added."""


def modules() -> Iterator[tuple[str, Path]]:
    """Every module of ours; gRPC stubs are written by a generator and keep no rules."""
    for package in OURS:
        for path in sorted((ROOT / package).rglob("*.py")):
            if "_pb2" in path.stem:
                continue
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""
            yield from (f"{module}.{alias.name}" for alias in node.names)


def inside(module: str, prefix: str) -> bool:
    return module == prefix or module.startswith(prefix + ".")


def place_of(module: str) -> tuple[int, str] | None:
    """Row and prefix of a module in LAYERS, the longest prefix that fits."""
    fitting = [(row, own) for row, prefixes in enumerate(LAYERS) for own in prefixes if inside(module, own)]
    return max(fitting, key=lambda place: len(place[1]), default=None)


def fault(module: str, target: str) -> str:
    """What is wrong with this import; empty when nothing is."""
    top = target.split(".", maxsplit=1)[0]
    if top in OURS:
        return _fault_of_layers(module, target)
    if top in HOMES:
        at_home = any(inside(module, home) for home in HOMES[top])
        return "" if at_home else f"{module} imports {top}, which is at home in {', '.join(HOMES[top])}"
    known = top in sys.stdlib_module_names
    return "" if known else f"{module} imports {top}, a library without a home: give it one in HOMES"


def _fault_of_layers(module: str, target: str) -> str:
    own, used = place_of(module), place_of(target)
    if own is None or used is None:
        return f"{target if own else module} has no layer: say in LAYERS where it stands"
    if inside(target, own[1]):
        return ""
    if used[0] >= own[0]:
        return f"{module} may not import {target}: {used[1]} does not stand above {own[1]} in LAYERS"
    allowed = next((ONLY[prefix] for prefix in sorted(ONLY, reverse=True) if inside(module, prefix)), None)
    if allowed is None or any(inside(target, one) for one in allowed):
        return ""
    return f"{module} may not import {target}: of ours it may use only {', '.join(allowed) or 'itself'}"


MODULES = list(modules())


@pytest.mark.parametrize(("name", "path"), MODULES, ids=[name for name, _ in MODULES])
def test_imports_point_down_and_libraries_stay_at_home(name: str, path: Path) -> None:
    faults = [found for target in imports(path) if (found := fault(name, target))]
    assert not faults, "\n".join(["move the code, not the table:", *faults])


@pytest.mark.parametrize(
    ("module", "target", "why"),
    [
        ("scheduler.placement.place", "scheduler.model.Gang", ""),
        ("scheduler.placement.place", "scheduler.placement.dp", ""),
        ("scheduler.placement.place", "scheduler.engine.engine", "does not stand above"),
        ("topology.model", "scheduler.model.Gang", "does not stand above"),
        ("scheduler.devices", "scheduler.quantity.parse", "does not stand above"),
        ("scheduler.nowhere", "scheduler.model.Gang", "scheduler.nowhere has no layer"),
        ("scheduler.cli.main", "scheduler.nowhere.Thing", "scheduler.nowhere.Thing has no layer"),
        ("scheduler.kube.objects", "scheduler.workloads.keys.kept", ""),
        ("scheduler.kube.objects", "scheduler.workloads.gangs.assemble", "may use only"),
        ("deploy.local.lab", "topology.synthetic.mixed", ""),
        ("deploy.local.lab", "scheduler.engine.engine.Engine", "may use only"),
        ("deploy.helm", "scheduler.model.Gang", "may use only itself"),
        ("benchmarks.speed", "scheduler.service.Service", ""),
        ("scheduler.engine.engine", "ortools.sat", "at home in scheduler.placement"),
        ("scheduler.engine.engine", "requests", "a library without a home"),
        ("scheduler.engine.engine", "json", ""),
    ],
)
def test_a_wrong_import_is_told(module: str, target: str, why: str) -> None:
    found = fault(module, target)
    assert why in found if why else found == ""


@pytest.mark.parametrize(("name", "path"), MODULES, ids=[name for name, _ in MODULES])
def test_modules_and_functions_are_short_enough_to_read(name: str, path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    lines = text.count("\n")
    assert lines <= LONGER.get(name, LONGEST_MODULE), f"{name} has {lines} lines: split it"
    assert name not in LONGER or lines > LONGEST_MODULE, f"{name} is short now: take it out of LONGER"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.body[0].lineno + 1
            assert length <= LONGEST_FUNCTION, f"{name}.{node.name} has {length} lines"


MACHINE_PATH = re.compile(r"(?<![\w.])/(work|root|home|Users)" + "/")
INDEX_HOST = re.compile(
    "(" + "|".join(["pypi", "test[.]pypi", "crates", "sum[.]golang", "proxy[.]golang", "deb[.]debian"]) + ")"
    r"[.](org|io|net)|pythonhosted[.]|registry[.]npmjs|index[-_]" + "url"
)


def test_no_file_names_a_machine_or_a_package_index() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    faults = []
    for file in listed.splitlines():
        path = ROOT / file
        text = path.read_text(encoding="utf-8", errors="ignore") if path.is_file() else ""
        for number, line in enumerate(text.splitlines(), start=1):
            found = MACHINE_PATH.search(line) or INDEX_HOST.search(line)
            if found:
                faults.append(f"{file}:{number} names {found.group()!r}")
    assert not faults, "\n".join(faults)
