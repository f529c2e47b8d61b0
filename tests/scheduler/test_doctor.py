"""Each misconfiguration that kube-scheduler or Kubernetes take without a word, found by its code."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from scheduler.config import Config
from scheduler.doctor import policy_findings, scheduler_findings, version_findings

MANIFESTS = Path(__file__).parents[2] / "deploy" / "manifests"
SHIPPED = yaml.safe_load((MANIFESTS / "scheduler-config.yaml").read_text())
GATE = [one for one in yaml.safe_load_all((MANIFESTS / "gate.yaml").read_text()) if one]
Change = Callable[[dict[str, Any], dict[str, Any]], object]


def codes(document: dict[str, Any]) -> set[str]:
    return {finding.code for finding in scheduler_findings(document, Config(), name="file")}


def test_nothing_is_wrong_with_what_is_shipped() -> None:
    assert codes(SHIPPED) == set()


CASES: dict[str, Change] = {
    "DuplicateBinder": lambda d, e: d["extenders"].append({"urlPrefix": "http://a", "bindVerb": "b"}),
    "ManagedResourceTwice": lambda d, e: d["extenders"].append(
        {"managedResources": e["managedResources"][:1]}
    ),
    "HttpsWithoutCA": lambda d, e: e.update(urlPrefix="https://127.0.0.1:8888/extender"),
    "HttpsInNameOnly": lambda d, e: e.update(enableHTTPS=True),
    "Insecure": lambda d, e: e.update(tlsConfig={"insecure": True}),
    "PlainHttp": lambda d, e: e.update(urlPrefix="http://lockstep.example:8888/extender"),
    "NodesSampled": lambda d, e: d.pop("percentageOfNodesToScore"),
    "TimeoutsCross": lambda d, e: e.pop("httpTimeout"),
    "TimeoutsDiffer": lambda d, e: e.update(httpTimeout="1m"),
    "Ignorable": lambda d, e: e.update(ignorable=True),
    "WholeNodes": lambda d, e: e.pop("nodeCacheCapable"),
    "Weight": lambda d, e: e.pop("weight"),
    "VerbMissing": lambda d, e: e.pop("bindVerb"),
    "MarkerMissing": lambda d, e: e["managedResources"].pop(),
    "MarkerCounted": lambda d, e: e["managedResources"][-1].update(ignoredByScheduler=False),
    "ResourceIgnored": lambda d, e: e["managedResources"][0].update(ignoredByScheduler=True),
    "EveryPod": lambda d, e: e.pop("managedResources"),
    "NoExtender": lambda d, e: d.pop("extenders"),
    "NotASchedulerConfiguration": lambda d, e: d.update(kind="Pod"),
}


@pytest.mark.parametrize("code", CASES)
def test_a_misconfiguration_is_found_by_its_code(code: str) -> None:
    document = copy.deepcopy(SHIPPED)
    CASES[code](document, document["extenders"][0])
    assert codes(document) == {code}


def test_the_gate_policy_must_be_there_and_bound() -> None:
    policies = [one for one in GATE if one["kind"] == "MutatingAdmissionPolicy"]
    bindings = [one for one in GATE if one["kind"] == "MutatingAdmissionPolicyBinding"]
    assert list(policy_findings(policies, bindings)) == []
    assert {one.code for one in policy_findings(policies, [])} == {"GateNotBound"}
    assert {one.code for one in policy_findings([], [])} == {"NoGatePolicy", "NoMarkerPolicy"}


@pytest.mark.parametrize(("minor", "code"), [("32", "TooOld"), ("35+", "GatePolicyOff"), ("37", "")])
def test_versions_that_lack_something_are_told(minor: str, code: str) -> None:
    found = [one.code for one in version_findings({"minor": minor, "gitVersion": f"v1.{minor}.0"})]
    assert found == ([code] if code else [])
