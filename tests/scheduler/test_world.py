"""A world and its copies do not see each other's changes."""

from __future__ import annotations

from scheduler.engine.facts import NodeGone, NodesSeen
from scheduler.model import NodeName
from scheduler.world import World
from tests.builders import engine_with, node, two_leaves


def leaves(world: World) -> dict[str, str]:
    return {name: world.fabric.path(name)["leaf"] for name in world.ledger.names}


def test_a_copy_is_of_the_moment_it_was_taken_at_even_if_its_fabric_is_built_later() -> None:
    engine = engine_with(*two_leaves(1))
    copy = engine.world.clone()
    engine.observe(NodesSeen((node("n1", leaf="other"), node("n3", leaf="l3"))))
    engine.observe(NodeGone(NodeName("n2")))
    assert leaves(copy) == {"n1": "l1", "n2": "l2"}
    assert leaves(engine.world) == {"n1": "other", "n3": "l3"}
    assert [len(part.domain_of) for part in copy.view().partitions] == [2, 2]


def test_changes_of_a_copy_before_and_after_its_fabric_is_built() -> None:
    engine = engine_with(*two_leaves(1))
    copy = engine.world.clone()
    copy.upsert_nodes((node("n3", leaf="l1"),))
    assert leaves(copy) == {"n1": "l1", "n2": "l2", "n3": "l1"}
    copy = engine.world.clone()
    assert copy.remove_node(NodeName("n1"))
    assert leaves(copy) == {"n2": "l2"}
    assert copy.clone().fabric.path("n2") == copy.fabric.path("n2")
    assert leaves(engine.world) == {"n1": "l1", "n2": "l2"}
