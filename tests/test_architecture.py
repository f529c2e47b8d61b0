"""The shape of the project: which layer may import which, and where each library is at home."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

LAYERS = (
    ("topology",),
    ("scheduler.model",),
    ("scheduler.devices", "scheduler.quantity", "scheduler.eligibility", "scheduler.version"),
    ("scheduler.workloads",),
    ("scheduler.placement",),
    ("scheduler.ledger",),
    ("scheduler.world", "scheduler.report"),
    ("scheduler.engine",),
    ("scheduler.kube",),
    ("scheduler.extender",),
    ("scheduler.rpc",),
    ("scheduler.files",),
    ("scheduler.manifests",),
    ("scheduler.metrics", "scheduler.config", "scheduler.show", "scheduler.feeds"),
    ("scheduler.whatif",),
    ("scheduler.service",),
    ("scheduler.app",),
    ("scheduler.cli",),
    ("deploy",),
    ("benchmarks",),
)
"""From the bottom up: a module imports from its own layer and from those above it in this list."""

BELOW_WORKLOADS = {"scheduler.kube": ("scheduler.engine", "scheduler.placement", "scheduler.ledger")}
"""What a layer may not use although it stands lower: reading objects knows nothing of deciding."""

HOMES = {
    "networkx": ("topology",),
    "numpy": ("topology", "scheduler.placement", "scheduler.ledger", "scheduler.engine", "benchmarks"),
    "ortools": ("scheduler.placement",),
    "kubernetes": ("scheduler.kube",),
    "msgspec": ("scheduler.kube", "scheduler.extender", "scheduler.files", "scheduler.whatif"),
    "aiohttp": ("scheduler.extender", "scheduler.kube", "scheduler.app"),
    "grpc": ("scheduler.rpc",),
    "prometheus_client": ("scheduler.metrics",),
    "typer": ("scheduler.cli",),
    "rich": ("scheduler.cli",),
    "yaml": ("scheduler.files", "scheduler.config", "scheduler.cli", "deploy", "benchmarks"),
}
"""The packages that may import each library; nothing else outside the standard library is allowed."""

OURS = ("topology", "scheduler", "deploy", "benchmarks")
LONGEST_MODULE = 400
LONGEST_FUNCTION = 60


def modules() -> Iterator[tuple[str, Path]]:
    for package in OURS:
        for path in sorted((ROOT / package).rglob("*.py")):
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


def layer_of(module: str) -> int | None:
    for number, prefixes in enumerate(LAYERS):
        if any(module == prefix or module.startswith(prefix + ".") for prefix in prefixes):
            return number
    return None


MODULES = list(modules())


@pytest.mark.parametrize(("name", "path"), MODULES, ids=[name for name, _ in MODULES])
def test_imports_point_down_and_libraries_stay_at_home(name: str, path: Path) -> None:
    own = layer_of(name)
    if name in ("scheduler", ""):
        return
    assert own is not None, f"{name} has no layer: give it one in LAYERS"
    for target in imports(path):
        top = target.split(".")[0]
        if top in OURS:
            wanted = layer_of(target)
            assert wanted is not None, f"{name} imports {target}, which has no layer"
            assert wanted <= own, f"{name} may not import {target}: it stands higher"
            for banned in next((b for k, b in BELOW_WORKLOADS.items() if name.startswith(k)), ()):
                assert not target.startswith(banned), f"{name} may not import {target}"
        elif top in HOMES:
            homes = HOMES[top]
            assert any(name == home or name.startswith(home + ".") for home in homes), (
                f"{name} imports {top}, which is at home in {', '.join(homes)}"
            )
        else:
            assert top in _standard_library(), f"{name} imports {top}, which is not a library of this project"


def _standard_library() -> frozenset[str]:
    import sys

    return sys.stdlib_module_names


@pytest.mark.parametrize(("name", "path"), MODULES, ids=[name for name, _ in MODULES])
def test_modules_and_functions_are_short_enough_to_read(name: str, path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= LONGEST_MODULE, f"{name} has {text.count(chr(10))} lines: split it"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.body[0].lineno + 1
            assert length <= LONGEST_FUNCTION, f"{name}.{node.name} has {length} lines"


def test_no_file_names_a_machine_or_a_package_index() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    banned = re.compile("/" + r"work/|/" + r"root/|index[-_]" + r"url|" + "pypi" + r"\.org")
    for file in listed.splitlines():
        path = ROOT / file
        if path.suffix in (".sum",) or not path.is_file():
            continue
        text = path.read_text(encoding="utf-8", errors="ignore")
        found = banned.search(text)
        assert found is None, f"{file} names {found.group()!r}" if found else ""
