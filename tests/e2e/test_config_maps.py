"""Sizes that stand only in a ConfigMap: a real API server has it, and gives it under the shipped rights."""

from __future__ import annotations

import json

import pytest

from deploy.local.lab import PODS, Lab
from scheduler.cli import listing
from scheduler.cli.output import Format
from tests.e2e.workloads import domains, fill, lws, lws_pods, pod_spec

MAPS = "/api/v1/namespaces/default/configmaps"


def test_a_group_whose_tensor_parallel_size_stands_in_a_config_map_lies_in_one_domain(
    cluster: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two nodes are free in each of three domains: four pods without known sizes would be spread over two."""
    client, names = cluster.client, lws_pods("sized", size=4)
    metadata = {"name": "sizes", "namespace": "default"}
    client.apply([{"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"RANKS": "16"}}])
    fill(cluster, left=2)
    spec = pod_spec()
    spec["containers"][0] |= {
        "image": "vllm/vllm-openai:v0.11.0",
        "args": ["--model", "m", "--tensor-parallel-size", "$(VLLM_RANKS)"],
        "envFrom": [{"prefix": "VLLM_", "configMapRef": {"name": "sizes"}}],
    }
    try:
        client.apply(lws("sized", size=4, template={"workerTemplate": {"spec": spec}}))
        cluster.eventually(lambda: _state(cluster) == "blocked", what="the refusal")
        assert not cluster.nodes_of(names)
        for number in (1, 2):
            client.delete(f"{PODS}/fill-nvl-2-0{number}")
        nodes = cluster.wait_bound(names)
    finally:
        client.delete(f"{MAPS}/sizes")
    assert len(domains(cluster, nodes.values())) == 1
    told = _explained(cluster, capsys)
    assert "ConfigMap sizes, key RANKS" in told and "--tensor-parallel-size" in told


def _state(lab: Lab) -> str:
    return "".join(gang["state"] for gang in lab.ask("/v1/gangs")["gangs"])


def _explained(lab: Lab, capsys: pytest.CaptureFixture[str]) -> str:
    """What `lockstep explain` says of the only gang."""
    (gang,) = lab.ask("/v1/gangs")["gangs"]
    source = listing.Gangs(listing.Server(lab.url, None, None), [], None)
    capsys.readouterr()
    listing.explain(source, gang["gang"], output=Format.JSON)
    text = capsys.readouterr().out
    json.loads(text)
    return text
