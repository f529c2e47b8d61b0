"""End-to-end tests run against a real etcd, kube-apiserver and kube-scheduler on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.controlplane import ControlPlane
from deploy.local.lab import PODS, Lab
from tests.drills.real import LOG_BROKEN
from tests.e2e.workloads import WORKLOADS
from topology.synthetic import nvl72

_HERE = Path(__file__).parent
_PARANOID = {"service": {"paranoid": True}}
_COMPILED = {"service": {"paranoid": True, "compiled": True}}


@pytest.hookimpl(tryfirst=True)  # before `-m` selects by marker
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything in this folder, and run it last: the cheap tests have the first word."""
    here = [item for item in items if item.path.is_relative_to(_HERE)]
    for item in here:
        item.add_marker(pytest.mark.e2e)
    items.sort(key=lambda item: item.path.is_relative_to(_HERE))


@pytest.fixture(scope="session")
def controlplane(request: pytest.FixtureRequest) -> Iterator[ControlPlane]:
    """One running control plane for the session, without a scheduler; its logs stay when a test failed."""
    with ControlPlane() as plane:
        yield plane
        plane.keep = request.session.testsfailed > 0


@pytest.fixture(scope="session")
def shared_lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """Ten NVL72 racks (180 nodes, 720 GPUs) with Lockstep beside the scheduler."""
    with Lab(config=_PARANOID) as lab:
        lab.add_nodes(nvl72(10))
        lab.start()
        yield lab
        lab.plane.keep = request.session.testsfailed > 0


@pytest.fixture
def lab(shared_lab: Lab) -> Iterator[Lab]:
    """The shared lab, running and empty before and after."""
    yield shared_lab
    clean(shared_lab)


@pytest.fixture(scope="session")
def shared_cluster(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """Three NVLink domains of 4 nodes with 4 GPUs, alive by KWOK, with the workload controllers."""
    with Lab(controllers=("lws", "jobset", "kwok"), config=_COMPILED) as lab:
        lab.add_nodes(nvl72(3, nodes_per_rack=4))
        lab.start()
        yield lab
        lab.plane.keep = request.session.testsfailed > 0


@pytest.fixture
def cluster(shared_cluster: Lab) -> Iterator[Lab]:
    """The shared cluster with workload controllers, running and empty before and after."""
    yield shared_cluster
    shared_cluster.eventually(lambda: _emptied(shared_cluster), what="all workloads to be gone", pause_s=0.3)
    clean(shared_cluster)


def _emptied(lab: Lab) -> bool:
    """Delete what is there; a controller that was slow to hear of it may make things once more."""
    there = [owners for owners in (*WORKLOADS, PODS) if lab.client.get(owners)["items"]]
    for owners in there:
        lab.client.delete(owners, propagationPolicy="Background", gracePeriodSeconds="0")
    return not there


def clean(lab: Lab) -> None:
    """Nothing left of a test: no pods, no cordons, both programs running; no promise was broken."""
    lab.client.delete(PODS, gracePeriodSeconds="0")
    lab.eventually(lambda: not lab.client.get(PODS)["items"], what="all pods to be gone")
    for node in lab.client.get("/api/v1/nodes")["items"]:
        if node["spec"].get("unschedulable"):
            lab.cordon(node["metadata"]["name"], unschedulable=False)
    lab.start_missing()
    lab.eventually(lambda: not lab.ask("/v1/gangs")["gangs"], what="all gangs to be forgotten")
    told = lab.log.read_text(encoding="utf-8", errors="replace").splitlines()
    assert not [line for line in told if LOG_BROKEN in line]
