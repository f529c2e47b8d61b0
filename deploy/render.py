"""The plain manifests, made from the chart: `python -m deploy.render`; a test compares the two.

`deploy/manifests` is also a kustomize base. What is optional there (objects that need the
Prometheus operator) stands in a folder of its own.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from deploy.local import tools

ROOT = Path(__file__).parent
CHART = ROOT / "chart" / "lockstep"
MANIFESTS = ROOT / "manifests"
NAMESPACE = "lockstep-system"

_MONITORING = {name: {"enabled": True} for name in ("serviceMonitor", "prometheusRule", "dashboards")}
_VALUES: dict[str, Any] = {"createNamespace": True, "monitoring": _MONITORING}

_FILES = {
    "rbac.yaml": ("namespace", "rbac"),
    "gate.yaml": ("gate",),
    "lockstep.yaml": ("scheduler-rbac", "configmap", "deployment", "service"),
    "monitoring/monitoring.yaml": ("monitoring",),
}
"""By file, the templates of the chart that it holds."""

_SOURCE = re.compile(r"^# Source: lockstep/templates/(.+)\.yaml\n", re.MULTILINE)
_HEADER = "# Made from deploy/chart/lockstep by `python -m deploy.render`; change it there.\n"


def rendered(values: Mapping[str, Any] | None = None) -> dict[str, str]:
    """Text of every manifest by its path under deploy/manifests; `values` over those of the manifests."""
    text = tools.template(CHART, {**_VALUES, **(values or {})}, namespace=NAMESPACE)
    parts = _templates(text)
    found = {
        file: _HEADER + "---\n".join(parts[name] for name in names if name in parts)
        for file, names in _FILES.items()
    }
    found["scheduler-config.yaml"] = _HEADER + _configuration(parts["configmap"], "scheduler-config.yaml")
    found["kustomization.yaml"] = _kustomization("rbac.yaml", "gate.yaml", "lockstep.yaml")
    found["monitoring/kustomization.yaml"] = _kustomization("monitoring.yaml")
    return found


def _templates(text: str) -> dict[str, str]:
    """The rendered text by template."""
    pieces = _SOURCE.split(text)[1:]
    return {name: _tidy(body) for name, body in zip(pieces[::2], pieces[1::2], strict=True)}


def _tidy(text: str) -> str:
    lines = [line.rstrip() for line in text.removesuffix("---\n").splitlines()]
    return "\n".join(line for line in lines if line) + "\n"


def _configuration(configmap: str, key: str) -> str:
    """One file of the ConfigMap, with its comments."""
    node = yaml.safe_load(configmap)["data"][key]
    return str(node).rstrip() + "\n"


def _kustomization(*resources: str) -> str:
    document = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": list(resources),
    }
    return _HEADER + yaml.safe_dump(document, sort_keys=False)


def main() -> int:
    """Write what has changed; the exit code."""
    for file, text in rendered().items():
        path = MANIFESTS / file
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(f"written: {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
