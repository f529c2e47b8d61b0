"""What a pod asks of a node, counted as kube-scheduler counts it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.kube.objects import from_dict
from scheduler.model import Pod, PodShape

GPU = "nvidia.com/gpu"


def shape(**spec: Any) -> PodShape:
    found = from_dict("Pod", {"metadata": {"name": "p"}, "spec": spec})
    assert isinstance(found, Pod)
    return found.shape


def asks(always: bool = False, **amounts: Any) -> dict[str, Any]:
    """A container; `always` makes an init container a sidecar."""
    requests = {GPU if name == "gpu" else name: amount for name, amount in amounts.items()}
    return {"resources": {"requests": requests}} | ({"restartPolicy": "Always"} if always else {})


@pytest.mark.parametrize(
    ("text", "resource", "wanted"),
    [
        ("1", "cpu", 1000),
        ("500m", "cpu", 500),
        ("1.5", "cpu", 1500),
        ("1n", "cpu", 1),
        (2, "cpu", 2000),
        (0.5, "cpu", 500),
        ("1Gi", "memory", 1 << 30),
        ("1G", "memory", 10**9),
        ("1e3", "memory", 1000),
        ("1.5Ki", "memory", 1536),
        ("100m", "memory", 1),
        ("9Ei", "memory", 2**63 - 1),
        ("8", GPU, 8),
    ],
)
def test_quantities(text: Any, resource: str, wanted: int) -> None:
    found = shape(containers=[{"resources": {"requests": {resource: text}}}])
    assert found.amount(resource) == wanted


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        ({}, {}),
        ({"containers": [asks(cpu="1"), asks(cpu="2")]}, {"cpu": 3000}),
        ({"containers": [asks(cpu="1")], "initContainers": [asks(cpu="4")]}, {"cpu": 4000}),
        ({"containers": [asks(cpu="3")], "initContainers": [asks(cpu="1"), asks(cpu="2")]}, {"cpu": 3000}),
        # A sidecar runs beside the containers, and beside the init containers after it, not before it.
        ({"containers": [asks(cpu="1")], "initContainers": [asks(always=True, cpu="2")]}, {"cpu": 3000}),
        (
            {"containers": [asks(cpu="1")], "initContainers": [asks(always=True, cpu="2"), asks(cpu="4")]},
            {"cpu": 6000},
        ),
        (
            {"containers": [asks(cpu="1")], "initContainers": [asks(cpu="4"), asks(always=True, cpu="2")]},
            {"cpu": 4000},
        ),
        (
            {"containers": [asks(cpu="1")], "overhead": {"cpu": "250m", "memory": "1Ki"}},
            {"cpu": 1250, "memory": 1024},
        ),
        ({"containers": [{"resources": {"limits": {GPU: "8"}}}]}, {GPU: 8}),
        ({"containers": [{"resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "4"}}}]}, {"cpu": 1000}),
        # Requests of the pod as a whole go before the sum of its containers, for cpu and memory only.
        (
            {"containers": [asks(cpu="1", gpu="2")], "resources": {"requests": {"cpu": "8"}}},
            {"cpu": 8000, GPU: 2},
        ),
        # The marker that makes kube-scheduler ask us is no resource of a node.
        ({"containers": [asks(gpu="1", **{"lockstep.scheduling/gang": "1"})]}, {GPU: 1}),
        ({"containers": [asks(cpu="0", gpu="0")]}, {}),
    ],
)
def test_requests(spec: dict[str, Any], wanted: dict[str, int]) -> None:
    assert dict(shape(**spec).requests) == wanted | {"pods": 1}


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        ({"containers": [{"ports": [{"containerPort": 80}]}]}, ()),
        ({"containers": [{"ports": [{"containerPort": 80, "hostPort": 8080}]}]}, ("TCP/8080",)),
        (
            {"hostNetwork": True, "containers": [{"ports": [{"containerPort": 80, "protocol": "UDP"}]}]},
            ("UDP/80",),
        ),
    ],
)
def test_host_ports(spec: dict[str, Any], wanted: tuple[str, ...]) -> None:
    assert shape(**spec).host_ports == wanted


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["cpu", "memory", GPU]), st.integers(0, 64), min_size=1))
def test_requests_are_sorted_and_order_does_not_matter(amounts: dict[str, int]) -> None:
    forward, backward = dict(sorted(amounts.items())), dict(sorted(amounts.items(), reverse=True))
    one = shape(containers=[{"resources": {"requests": forward}}])
    assert one == shape(containers=[{"resources": {"requests": backward}}])
    assert list(one.requests) == sorted(one.requests)
