"""What real kube-schedulers asked, replayed byte for byte against the extender on a socket.

The recordings are made by `python -m tests.contract.recording`, one a version of Kubernetes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scheduler.engine.facts import NodesSeen
from tests.builders import node
from tests.contract.test_extender_server import Running, run

FILES = sorted(Path(__file__).with_name("recorded").glob("v*.json"))


def calls(file: Path, *verbs: str) -> list[Any]:
    found = [call for call in json.loads(file.read_text(encoding="utf-8"))["calls"] if call["verb"] in verbs]
    assert {call["names_only"] for call in found} == {True, False}, "both ways of naming nodes were recorded"
    return found


def sent_nodes(body: Any) -> list[str]:
    """Names of the nodes of a filter call."""
    return body["NodeNames"] or [one["metadata"]["name"] for one in body["Nodes"]["items"]]


def candidates(body: Any) -> dict[str, set[str]]:
    """Uids of the victims by node of a preempt call."""
    victims = body["NodeNameToMetaVictims"] or {
        name: {"Pods": [{"UID": pod["metadata"]["uid"]} for pod in one["Pods"] or []]}
        for name, one in body["NodeNameToVictims"].items()
    }
    return {name: {pod["UID"] for pod in one["Pods"] or []} for name, one in victims.items()}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_recorded_filter_call_is_answered_in_its_own_form(file: Path) -> None:
    async def test(running: Running) -> None:
        for call in calls(file, "filter"):
            body = json.loads(call["body"])
            names = sent_nodes(body)
            running.service.observe(NodesSeen(tuple(node(name) for name in names)))
            reply = await running.post("filter", call["body"].encode())
            assert set(reply) == set(call["reply"])
            kept = sent_nodes(reply) if reply["NodeNames"] or reply["Nodes"] else []
            assert reply["Error"] == ""
            assert {*kept, *reply["FailedNodes"], *reply["FailedAndUnresolvableNodes"]} == set(names)
            assert (reply["NodeNames"] is None) == (body["NodeNames"] is None)
            if reply["Nodes"] and kept:
                by_name = {one["metadata"]["name"]: one for one in body["Nodes"]["items"]}
                assert all(by_name[one["metadata"]["name"]] == one for one in reply["Nodes"]["items"])

    run(test)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_recorded_bind_call_is_answered(file: Path) -> None:
    async def test(running: Running) -> None:
        for call in calls(file, "bind"):
            reply = await running.post("bind", call["body"].encode())
            assert set(reply) == {"Error"}
            assert isinstance(reply["Error"], str)

    run(test)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_recorded_preempt_call_names_nobody_new(file: Path) -> None:
    async def test(running: Running) -> None:
        for call in calls(file, "preempt"):
            sent = candidates(json.loads(call["body"]))
            reply = await running.post("preempt", call["body"].encode())
            assert set(reply) == {"NodeNameToMetaVictims"}
            for name, victims in candidates({**reply, "NodeNameToVictims": {}}).items():
                assert victims <= sent[name]

    run(test)


def test_every_supported_version_was_recorded() -> None:
    assert {file.stem.rpartition(".")[0] for file in FILES} >= {"v1.34", "v1.35", "v1.36", "v1.37"}
