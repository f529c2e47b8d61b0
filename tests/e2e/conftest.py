"""End-to-end tests run against a real etcd, kube-apiserver and kube-scheduler on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.controlplane import ControlPlane

_HERE = Path(__file__).parent


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
