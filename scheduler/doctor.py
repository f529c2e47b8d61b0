"""What is wrong with an installation: pure checks over what was read of it.

Every check is one of the misconfigurations that kube-scheduler or Kubernetes accept without a word.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from scheduler.config import Config
from scheduler.model import GATE

MARKER = "lockstep.scheduling/gang"
OLDEST_MINOR = 33
GATE_MINOR = 36

Severity = Literal["error", "warning"]
Document = Mapping[str, Any]

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: a stable code, where it stands, what it leads to, what would be right."""

    code: str
    severity: Severity
    where: str
    message: str
    fix: str


def scheduler_findings(document: Document, config: Config, *, name: str) -> Iterator[Finding]:
    """What is wrong with a KubeSchedulerConfiguration; `name` stands for its file."""
    kind = document.get("kind")
    if kind != "KubeSchedulerConfiguration":
        yield Finding(
            "NotASchedulerConfiguration",
            "error",
            f"{name}: kind",
            f"this is {kind!r}, not a configuration of kube-scheduler",
            "kind: KubeSchedulerConfiguration",
        )
        return
    extenders = [one for one in document.get("extenders") or [] if isinstance(one, Mapping)]
    yield from _sampling(document, name)
    yield from _together(extenders, name)
    ours = [(at, one) for at, one in enumerate(extenders) if is_ours(one)]
    if not ours:
        yield Finding(
            "NoExtender",
            "error",
            f"{name}: extenders",
            "no entry is Lockstep's: kube-scheduler never asks it",
            "the entry of deploy/manifests/scheduler-config.yaml",
        )
    for at, entry in ours:
        yield from _entry(entry, config, f"{name}: extenders[{at}]")


def is_ours(entry: Document) -> bool:
    """Whether an entry is Lockstep's: it has our marker resource, or our path."""
    named = {one.get("name") for one in _managed(entry)}
    return MARKER in named or str(entry.get("urlPrefix", "")).rstrip("/").endswith("/extender")


def _managed(entry: Document) -> list[Document]:
    return [one for one in entry.get("managedResources") or [] if isinstance(one, Mapping)]


def _sampling(document: Document, name: str) -> Iterator[Finding]:
    """kube-scheduler stops filtering after a share of the nodes, and the planned one is rarely among them."""
    fix = "percentageOfNodesToScore: 100"
    places = [("", document)]
    places += [(f"profiles[{at}].", one) for at, one in enumerate(document.get("profiles") or [])]
    for prefix, place in places:
        value = place.get("percentageOfNodesToScore")
        if (prefix and value is None) or value == 100:
            continue
        told = f"{value} %" if value else "a share that shrinks with the cluster"
        yield Finding(
            "NodesSampled",
            "error",
            f"{name}: {prefix}percentageOfNodesToScore",
            f"kube-scheduler shows Lockstep {told} of the nodes that fit: planned nodes are not among them",
            fix,
        )


def _together(extenders: Sequence[Document], name: str) -> Iterator[Finding]:
    binders = [at for at, one in enumerate(extenders) if one.get("bindVerb")]
    if len(binders) > 1:
        yield Finding(
            "DuplicateBinder",
            "error",
            f"{name}: extenders{binders}",
            "only one extender may bind; kube-scheduler does not start",
            "bindVerb in Lockstep's entry alone",
        )
    counted = Counter(str(one.get("name")) for entry in extenders for one in _managed(entry))
    for resource, count in sorted(counted.items()):
        if count > 1:
            yield Finding(
                "ManagedResourceTwice",
                "error",
                f"{name}: extenders[].managedResources",
                f"{resource} stands {count} times; kube-scheduler does not start",
                f"{resource} in one entry, once",
            )


def _entry(entry: Document, config: Config, where: str) -> Iterator[Finding]:
    yield from _transport(entry, where)
    yield from _times(entry, config, where)
    yield from _resources(entry, where)
    if entry.get("ignorable"):
        yield Finding(
            "Ignorable",
            "error",
            f"{where}.ignorable",
            "while Lockstep is away gang members are placed one by one, without it",
            "ignorable: false",
        )
    if not entry.get("nodeCacheCapable"):
        yield Finding(
            "WholeNodes",
            "error",
            f"{where}.nodeCacheCapable",
            "every call carries all nodes as objects: tens of MB in a large cluster",
            "nodeCacheCapable: true",
        )
    for verb in ("filterVerb", "bindVerb", "preemptVerb"):
        if not entry.get(verb):
            lost = {
                "filterVerb": "kube-scheduler chooses nodes without the plan",
                "bindVerb": "members are bound one by one: nothing holds the gang together",
                "preemptVerb": "members of gangs are evicted one by one",
            }[verb]
            wanted = f"{verb}: {verb.removesuffix('Verb')}"
            yield Finding("VerbMissing", "error", f"{where}.{verb}", lost, wanted)
    weight = entry.get("weight", 0)
    if entry.get("prioritizeVerb") and (not isinstance(weight, int) or weight <= 0):
        yield Finding(
            "Weight",
            "error",
            f"{where}.weight",
            f"it is {weight!r}; kube-scheduler does not start with prioritizeVerb and no positive weight",
            "weight: 5",
        )


def _transport(entry: Document, where: str) -> Iterator[Finding]:
    url, tls = str(entry.get("urlPrefix", "")), entry.get("tlsConfig") or {}
    secure = url.startswith("https://")
    if entry.get("enableHTTPS") and not secure:
        yield Finding(
            "HttpsInNameOnly",
            "error",
            f"{where}.enableHTTPS",
            "the address says http, and that is what is spoken",
            "an urlPrefix that begins with https://",
        )
    if secure and not (tls.get("caFile") or tls.get("caData")):
        yield Finding(
            "HttpsWithoutCA",
            "error",
            f"{where}.tlsConfig",
            "without a CA kube-scheduler does not check who answers",
            "tlsConfig.caFile, or caData",
        )
    if tls.get("insecure"):
        yield Finding(
            "Insecure",
            "error",
            f"{where}.tlsConfig.insecure",
            "kube-scheduler does not check who answers",
            "a CA in its place",
        )
    host = re.sub(r"^https?://", "", url).split("/", 1)[0]
    loopback = host.startswith(("127.", "localhost", "[::1]"))
    if not secure and not loopback:
        yield Finding(
            "PlainHttp",
            "warning",
            f"{where}.urlPrefix",
            f"{host} is asked without TLS: whoever reaches that port can bind pods",
            "https with a client certificate, or loopback",
        )


def _times(entry: Document, config: Config, where: str) -> Iterator[Finding]:
    stated = entry.get("httpTimeout")
    theirs, ours = seconds(stated) if stated else 5.0, config.service.http_timeout_s
    if theirs is None or theirs == ours:
        return
    if theirs < ours:
        yield Finding(
            "TimeoutsCross",
            "error",
            f"{where}.httpTimeout",
            f"kube-scheduler waits {theirs:g} s, Lockstep holds Bindings as if it waited {ours} s: "
            "they may be written after the scheduler has given the node to others",
            f"httpTimeout: {ours}s, or service.httpTimeout: {theirs:g}s in Lockstep's configuration",
        )
    else:
        yield Finding(
            "TimeoutsDiffer",
            "warning",
            f"{where}.httpTimeout",
            f"kube-scheduler waits {theirs:g} s, Lockstep counts on {ours} s: gangs get less than they could",
            "the same time in both",
        )


def seconds(text: object) -> float | None:
    """A Go duration (20s, 1m30s, 500ms) in seconds; None when it is none."""
    parts = _DURATION.findall(str(text))
    if not parts or "".join(number + unit for number, unit in parts) != str(text):
        return None
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def _resources(entry: Document, where: str) -> Iterator[Finding]:
    managed = {str(one.get("name")): bool(one.get("ignoredByScheduler")) for one in _managed(entry)}
    where = f"{where}.managedResources"
    if not managed:
        yield Finding(
            "EveryPod",
            "warning",
            where,
            "kube-scheduler asks about every pod, Lockstep's own included: while it is away nothing starts",
            f"the GPU resources and {MARKER}",
        )
        return
    if MARKER not in managed:
        yield Finding(
            "MarkerMissing",
            "error",
            where,
            "Lockstep is not asked about gang members without GPUs: they start on their own",
            f"{{name: {MARKER}, ignoredByScheduler: true}}",
        )
    elif not managed[MARKER]:
        yield Finding(
            "MarkerCounted",
            "error",
            where,
            f"no node has {MARKER}: pods that request it fit nowhere",
            f"{{name: {MARKER}, ignoredByScheduler: true}}",
        )
    for name, ignored in managed.items():
        if name != MARKER and ignored:
            yield Finding(
                "ResourceIgnored",
                "error",
                where,
                f"kube-scheduler does not count {name}, in any profile",
                f"{{name: {name}, ignoredByScheduler: false}}",
            )


def policy_findings(policies: Sequence[Document], bindings: Sequence[Document]) -> Iterator[Finding]:
    """Whether a MutatingAdmissionPolicy puts our gate on pods, and is bound."""
    bound = {one.get("spec", {}).get("policyName") for one in bindings}
    ours = [one for one in policies if GATE in str(one.get("spec", {}).get("mutations", ""))]
    gating = [one for one in ours if "schedulingGates" in str(one["spec"]["mutations"])]
    where = "mutatingadmissionpolicies"
    fix = "apply deploy/manifests/gate.yaml, or put the gate into the pod templates"
    if not gating:
        message = "no admission policy puts the gate on gang members: without one in the pod template "
        yield Finding("NoGatePolicy", "error", where, message + "they are scheduled one by one", fix)
    for one in gating:
        name = one.get("metadata", {}).get("name", "")
        if name not in bound:
            yield Finding(
                "GateNotBound", "error", f"{where}/{name}", "the policy has no binding: it does nothing", fix
            )
    if not any("limits" in str(one["spec"]["mutations"]) for one in ours):
        message = "no admission policy puts the marker on members without GPUs: nobody asks about them"
        yield Finding("NoMarkerPolicy", "warning", where, message, fix)


def version_findings(version: Document) -> Iterator[Finding]:
    """Whether this version of Kubernetes has what is needed; `version` as /version answers."""
    digits = re.sub(r"\D.*", "", str(version.get("minor", "")))
    minor = int(digits) if digits else 0
    where = f"Kubernetes {version.get('gitVersion', '')}"
    if minor and minor < OLDEST_MINOR:
        message = "older schedulers do not wake pods that an extender has turned away: gangs wait for minutes"
        yield Finding("TooOld", "error", where, message, f"1.{OLDEST_MINOR} or later")
    elif minor and minor < GATE_MINOR:
        message = "MutatingAdmissionPolicy is not on by default"
        fix = f"1.{GATE_MINOR} or later, or the gate in the pod templates"
        yield Finding("GatePolicyOff", "warning", where, message, fix)
