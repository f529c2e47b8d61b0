"""What those who read our files would say of them: Helm of the chart, kustomize of the base, Prometheus
of rules and queries, Grafana's types of the dashboard."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.local.build import KUBERNETES_VERSION, TOOLS, binary_of

_TIMEOUT_S = 120.0


class Refused(ValueError):
    """A reader does not take it; the message is its own."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of `helm lint`; `severity` is info, warning or error."""

    severity: str
    path: str
    message: str


@dataclass(frozen=True, slots=True)
class Scrape:
    """What a service answered on /metrics, and when (Unix seconds)."""

    time_s: float
    text: str


def lint(chart: Path, values: Mapping[str, Any] | None = None) -> list[Finding]:
    """What `helm lint` says of a chart with these values over its own."""
    answer = _run("lint", chart, values, namespace="lockstep-system")
    return [Finding(**one) for one in json.loads(answer)]


def template(
    chart: Path, values: Mapping[str, Any] | None = None, *, namespace: str = "lockstep-system"
) -> str:
    """What `helm template lockstep CHART` prints. Raises Refused, for values against the schema too."""
    return _run("template", chart, values, namespace=namespace)


def check_rules(text: str) -> None:
    """`promtool check rules` on the text of a file. Raises Refused with every fault."""
    _tool(["rules"], text)


def kustomized(folder: Path) -> str:
    """What `kubectl kustomize FOLDER` prints. Raises Refused."""
    return _tool(["kustomize", str(folder)], "")


def check_dashboard(text: str) -> None:
    """A dashboard against Grafana's types: no unknown field, none missing. Raises Refused."""
    _tool(["dashboard"], text)


def evaluate(
    scrapes: Sequence[Scrape],
    queries: Sequence[str],
    *,
    labels: Mapping[str, str],
    step_s: float,
) -> dict[str, list[dict[str, Any]]]:
    """Series by query, as a range query over all scrapes answers; raises Refused for a query that fails.

    `labels` are those that scraping adds to every series, as `job` and `instance`.
    """
    question = {
        "scrapes": [{"time_ms": round(one.time_s * 1000), "text": one.text} for one in scrapes],
        "labels": dict(labels),
        "queries": list(queries),
        "start_ms": round(scrapes[0].time_s * 1000),
        "end_ms": round(scrapes[-1].time_s * 1000),
        "step_ms": round(step_s * 1000),
    }
    answers = json.loads(_tool(["evaluate"], json.dumps(question)))
    faults = [f"{one['query']}: {one['error']}" for one in answers if one["error"]]
    if faults:
        raise Refused("\n".join(faults))
    return {one["query"]: one["series"] for one in answers}


def _run(tool: str, chart: Path, values: Mapping[str, Any] | None, *, namespace: str) -> str:
    return _tool([tool, str(chart), namespace, KUBERNETES_VERSION], json.dumps(values or {}))


def _tool(arguments: Sequence[str], given: str) -> str:
    command = [str(binary_of(TOOLS)), *arguments]
    result = subprocess.run(
        command, input=given, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
    )
    if result.returncode != 0:
        raise Refused(result.stderr.strip())
    return result.stdout
