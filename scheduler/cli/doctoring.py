"""`lockstep doctor`: reads an installation, from a file or a live cluster, and tells what is wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import yaml

from scheduler import doctor
from scheduler.cli.access import Asked
from scheduler.cli.exits import BAD_INPUT, STALE, YES
from scheduler.cli.output import Format, clean, emit
from scheduler.config import Config, load_config
from scheduler.doctor import Finding
from scheduler.fabrics import resources_of
from scheduler.kube.client import Access, ApiClient, NoAccess, Unclear
from scheduler.kube.objects import decode_list
from scheduler.kube.reviews import Act, review
from scheduler.model import InvalidField, InvalidInput, Node
from scheduler.objectfeed import read_objects
from scheduler.rights import Need, missing, needed
from scheduler.worlds import world_of
from topology.reading import ERROR, NOTE

SCHEMA = "lockstep.doctor/v1"
_POLICIES = "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies"
_BINDINGS = "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicybindings"


@dataclass(frozen=True, slots=True)
class Installation:
    """Where an installation is looked for: `account` is Lockstep's service account, namespace/name."""

    account: str = "lockstep-system/lockstep"
    scheduler_config: str | None = None
    live: bool = True

    @property
    def user(self) -> str:
        namespace, _, name = self.account.partition("/")
        return f"system:serviceaccount:{namespace}:{name}"


@dataclass(slots=True)
class _Seen:
    """What was found, what could not be looked at, and what was."""

    findings: list[Finding] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    checked: list[str] = field(default_factory=list)


def diagnose(
    where: Installation,
    *,
    config: str | None,
    access: Asked,
    output: Format,
    strict: bool,
) -> int:
    """Tell every finding; the exit code."""
    configured, seen = load_config(config), _Seen()
    if where.scheduler_config:
        _check_scheduler(seen, _document(where.scheduler_config), configured, where.scheduler_config)
    if where.live:
        try:
            asyncio.run(_look(seen, access.load(), where, configured))
        except (NoAccess, Unclear) as error:
            seen.unseen.append(f"the cluster: {error}")
    _tell(seen, output)
    wrong = any(one.severity == "error" or strict for one in seen.findings)
    return BAD_INPUT if wrong else STALE if seen.unseen else YES


def _document(file: str) -> Any:
    try:
        with open(file, encoding="utf-8") as source:  # noqa: PTH123
            return yaml.safe_load(source) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        wanted = "a file with a KubeSchedulerConfiguration"
        raise InvalidInput(InvalidField(file, "file", str(error).splitlines()[0], wanted)) from error


def _check_scheduler(seen: _Seen, document: Any, config: Config, name: str) -> None:
    seen.checked.append(f"scheduler configuration {name}")
    if not isinstance(document, dict):
        document = {}
    seen.findings += doctor.scheduler_findings(document, config, name=name)


async def _look(seen: _Seen, access: Access, where: Installation, config: Config) -> None:
    async with ApiClient(access) as client:
        version = await _get(client, "/version", seen)
        if version is not None:
            seen.checked.append(f"Kubernetes {version.get('gitVersion', '')}")
            seen.findings += doctor.version_findings(version)
        await _rights(seen, client, where, config)
        await _policies(seen, client)
        if where.scheduler_config is None:
            await _shipped(seen, client, where, config)
        await _labels(seen, client, config)


async def _get(client: ApiClient, path: str, seen: _Seen) -> dict[str, Any] | None:
    """A document; None when it is not there or may not be read, which is noted."""
    reply = await client.request("GET", path)
    if reply.status == 404:
        return None
    if not reply.ok:
        seen.unseen.append(f"{path}: {reply.status}, the right to read it is missing")
        return None
    found: dict[str, Any] = json.loads(reply.body)
    return found


async def _rights(seen: _Seen, client: ApiClient, where: Installation, config: Config) -> None:
    """What the API server says of Lockstep's own account; the asker needs the right to ask that."""
    needs = needed(config)
    held: dict[Act, bool] = {}
    for need in needs:
        asked = {"user": where.user, "groups": _groups(where.account), **need.act.attributes}
        try:
            status = await review(client, "authorization.k8s.io", "SubjectAccessReview", asked)
        except Unclear as error:
            seen.unseen.append(f"rights of {where.account}: {error}")
            return
        held[need.act] = status.get("allowed") is True
    seen.checked.append(f"{len(needs)} rights of service account {where.account}")
    seen.findings += (_missing_right(need, where.account) for need in missing(needs, held))


def _groups(account: str) -> list[str]:
    namespace = account.partition("/")[0]
    return ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"]


def _missing_right(need: Need, account: str) -> Finding:
    severity: doctor.Severity = "error" if need.essential else "warning"
    return Finding(
        "RightMissing", severity, f"service account {account}", str(need), "apply deploy/manifests/rbac.yaml"
    )


async def _policies(seen: _Seen, client: ApiClient) -> None:
    policies, bindings = await _get(client, _POLICIES, seen), await _get(client, _BINDINGS, seen)
    if policies is None or bindings is None:
        if not any("mutatingadmission" in one for one in seen.unseen):
            seen.findings += doctor.policy_findings([], [])
        return
    seen.checked.append("admission policies")
    seen.findings += doctor.policy_findings(policies["items"], bindings["items"])


async def _shipped(seen: _Seen, client: ApiClient, where: Installation, config: Config) -> None:
    """The scheduler's configuration of the chart, and Lockstep's own, from their ConfigMap."""
    namespace, _, name = where.account.partition("/")
    path = f"/api/v1/namespaces/{namespace}/configmaps/{name}"
    found = await _get(client, path, seen)
    text = (found or {}).get("data", {}).get("scheduler-config.yaml")
    if text is None:
        seen.unseen.append(f"no {path}: name the scheduler's configuration with --scheduler-config")
        return
    _check_scheduler(seen, yaml.safe_load(text), config, f"configmap {namespace}/{name}")


async def _labels(seen: _Seen, client: ApiClient, config: Config) -> None:
    """What is odd about the fabric, from all the sources that the configuration lists."""
    reply = await client.request("GET", "/api/v1/nodes", timeout_s=120)
    if not reply.ok:
        seen.unseen.append(f"nodes: {reply.status}")
        return
    found = decode_list(reply.body, "Node")
    world = world_of(config, await read_objects(client, resources_of(config.sources)))
    world.upsert_nodes(item for item in found.items if isinstance(item, Node))
    seen.checked.append(f"labels of {len(world.ledger.nodes)} nodes")
    for warning in world.fabric.warnings():
        code, fix = "Labels" + _camel(warning.code), "labels as `lockstep topology lint` explains them"
        seen.findings.append(Finding(code, "warning", "nodes", warning.message, fix))
    for odd in world.findings:
        if odd.severity != NOTE:
            severity: doctor.Severity = "error" if odd.severity == ERROR else "warning"
            fix = "sources that agree; `lockstep topology lint` shows all that they say"
            seen.findings.append(Finding("Fabric" + odd.code, severity, odd.where, odd.message, fix))


def _camel(code: str) -> str:
    return "".join(part.capitalize() for part in str(code).replace("_", "-").split("-"))


def _tell(seen: _Seen, output: Format) -> None:
    document = {
        "schema": SCHEMA,
        "healthy": not any(one.severity == "error" for one in seen.findings),
        "checked": seen.checked,
        "findings": [asdict(one) for one in seen.findings],
        "not_checked": seen.unseen,
    }
    emit(
        document,
        output,
        table=lambda _: print("\n".join(_lines(seen))),
        names=lambda: [one.code for one in seen.findings],
    )


def _lines(seen: _Seen) -> Iterator[str]:
    for one in seen.checked:
        yield f"checked: {clean(one)}"
    for finding in seen.findings:
        yield f"{finding.severity}: {clean(finding.message)}  [{finding.code}]"
        yield f"  at {clean(finding.where)}"
        yield f"  right would be: {clean(finding.fix)}"
    for unseen in seen.unseen:
        yield f"not checked: {clean(unseen)}"
    if not seen.findings:
        yield "nothing wrong was found" if not seen.unseen else "nothing wrong was found in what was checked"
