"""Objects that describe the fabric: read again and again, and told to the engine when they change."""

from __future__ import annotations

import asyncio
import json
from typing import Any, cast

from scheduler.engine.engine import Engine
from scheduler.engine.facts import FabricSeen, NodesSeen
from scheduler.fabrics import Sources, resources_of
from scheduler.kube.client import ApiClient, Reply, Unclear
from scheduler.objectfeed import ObjectFeed, Objects
from scheduler.placement.problem import Assignment, Rejection
from scheduler.world import World
from tests.builders import members as gang
from tests.builders import plan_all, see, two_leaves
from topology.combined import SourceEntry

ENTRIES = (SourceEntry("objects", "hypernode"), SourceEntry("labels"))


def hypernode(name: str, *nodes: str, version: str = "1") -> dict[str, Any]:
    members = [{"type": "Node", "selector": {"exactMatch": {"name": node}}} for node in nodes]
    return {
        "apiVersion": "topology.volcano.sh/v1alpha1",
        "kind": "HyperNode",
        "metadata": {"name": name, "resourceVersion": version},
        "spec": {"tier": 1, "tierName": "island", "members": members},
    }


class Server:
    """Answers every list with what it is given."""

    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = []
        self.status = 200

    async def request(self, method: str, path: str, *, timeout_s: float) -> Reply:
        assert (method, path) == ("GET", "/apis/topology.volcano.sh/v1alpha1/hypernodes")
        if not self.status:
            raise Unclear("no answer")
        kind = {"kind": "HyperNodeList", "apiVersion": "topology.volcano.sh/v1alpha1"}
        bare = [{key: one[key] for key in ("metadata", "spec")} for one in self.items]
        return Reply(self.status, json.dumps({**kind, "items": bare}).encode())


def test_only_changes_are_told_and_trouble_changes_nothing() -> None:
    server, heard = Server(), list[Objects]()
    feed = ObjectFeed(cast("ApiClient", server), resources_of(ENTRIES), heard.append)

    def look(status: int = 200, *items: dict[str, Any]) -> int:
        server.status, server.items = status, list(items)
        asyncio.run(feed.look())
        return len(heard)

    assert look(404) == 1
    assert heard == [()]
    assert look(200, hypernode("a", "n1")) == 2
    assert heard[1][0]["kind"] == "HyperNode"
    assert look(200, hypernode("a", "n1", version="2")) == 2
    assert look(0) == look(500) == look(403) == 2
    assert look(200, hypernode("a", "n2")) == 3


def test_the_engine_plans_again_when_the_fabric_is_another_one() -> None:
    sources = Sources(ENTRIES)
    engine = Engine(World(sources=sources))
    engine.observe(NodesSeen(two_leaves(2)))
    see(engine, *gang("g", 2, required="gang=island"))
    assert plan_all(engine) == []
    assert "the levels of this cluster are" in str(next(iter(engine.gangs.values())).invalid)
    engine.observe(FabricSeen((*[hypernode("a", "n1"), hypernode("b", "n2", "n3"), hypernode("c", "n4")],)))
    (answer,) = plan_all(engine)
    assert isinstance(answer, Assignment)
    assert engine.world.fabric.path("n2")["island"] == "b"
    assert sorted(answer.nodes) == [1, 2]
    copy = engine.world.clone()
    assert copy.fabric.path("n3") == engine.world.fabric.path("n3")


def test_a_refused_gang_gets_another_turn_when_the_fabric_changes() -> None:
    islands = [hypernode("a", "n1"), hypernode("b", "n2", "n3"), hypernode("c", "n4")]
    sources = Sources(ENTRIES, objects=islands)
    engine = Engine(World(sources=sources))
    engine.observe(NodesSeen(two_leaves(2)))
    see(engine, *gang("g", 3, required="gang=island"))
    (answer,) = plan_all(engine)
    assert isinstance(answer, Rejection)
    engine.observe(FabricSeen((*[hypernode("a", "n1", "n2", "n4"), hypernode("b", "n3")],)))
    (answer,) = plan_all(engine)
    assert isinstance(answer, Assignment)
