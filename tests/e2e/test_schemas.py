"""The manifests of our tests and examples, judged by the real API server under the released CRDs."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.local.api import Object, load_documents
from deploy.local.kinds import open_crd, real_crds
from deploy.local.lab import Lab
from scheduler.workloads.kinds import KINDS, Kind

ROOT = Path(__file__).parents[2]
MANIFESTS = sorted(
    [*(ROOT / "tests/workloads/manifests").glob("*.yaml"), *(ROOT / "deploy/examples").glob("*.yaml")]
)
CORE = ("", "apps", "batch", "scheduling.k8s.io")
CONTROLLED = ("leaderworkerset.x-k8s.io", "jobset.x-k8s.io")


@pytest.fixture(scope="module")
def every_kind(shared_cluster: Lab) -> Lab:
    """The cluster with a CRD for every kind that is read: a released one, or else an open one."""
    ours = [crd for crd in real_crds() if crd["spec"]["names"]["kind"] != "MPIJob"]  # v2beta1 is another's
    there = {(crd["spec"]["group"], crd["spec"]["names"]["kind"]) for crd in ours}
    unknown = [
        one for one in KINDS if one.group not in (*CORE, *CONTROLLED) and (one.group, one.kind) not in there
    ]
    shared_cluster.client.apply([*ours, *map(open_one, unknown)])
    return shared_cluster


def open_one(kind: Kind) -> Object:
    return open_crd(
        group=kind.group,
        kind=kind.kind,
        plural=kind.plural,
        versions=kind.versions,
        namespaced=kind.namespaced,
    )


@pytest.mark.parametrize("file", MANIFESTS, ids=lambda file: file.name)
def test_the_api_server_takes_the_manifest(every_kind: Lab, file: Path) -> None:
    documents = load_documents(file)
    assert documents
    for document in documents:
        stored = every_kind.client.apply(document, dry_run=True)
        assert dropped(document["spec"], stored[0]["spec"]) == []


def dropped(given: object, stored: object, at: str = "spec") -> list[str]:
    """Fields that the schema does not know, which the API server left out without a word."""
    if isinstance(given, dict):
        pairs = [(f"{at}.{key}", value, key) for key, value in given.items()]
        there = stored if isinstance(stored, dict) else {}
    elif isinstance(given, list):
        pairs = [(f"{at}[{number}]", value, number) for number, value in enumerate(given)]
        there = dict(enumerate(stored)) if isinstance(stored, list) else {}
    else:
        return []
    found = []
    for path, value, key in pairs:
        found += dropped(value, there[key], path) if key in there else [path]
    return found
