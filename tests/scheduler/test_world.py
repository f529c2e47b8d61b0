"""A world and its copies do not see each other's changes."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.engine.facts import NodeGone, NodesSeen
from scheduler.model import NodeName
from scheduler.placement.formulate import formulate
from scheduler.placement.place import place
from scheduler.placement.problem import Assignment, Limits, Rejection
from scheduler.workloads.gangs import assemble, membership_of
from scheduler.world import World
from tests.builders import engine_with, members, node, two_leaves


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


STEPS = st.lists(
    st.tuples(
        st.sampled_from(("n1", "n2", "n3", "n4")),
        st.none()
        | st.tuples(st.sampled_from("ab"), st.sampled_from(("", "r1", "r2")), st.sampled_from("zy")),
    ),
    max_size=15,
)


@settings(deadline=None)
@given(STEPS)
def test_labels_that_change_one_by_one_give_what_a_new_world_sees(
    steps: list[tuple[str, tuple[str, str, str] | None]],
) -> None:
    kept, present = World(), {}
    for name, labels in steps:
        if labels is None:
            present.pop(name, None)
            kept.remove_node(NodeName(name))
        else:
            leaf, rack, zone = labels
            marks = {
                "fabric.topograph.run/tier-0": leaf,
                "example.com/rack": rack,
                "topology.kubernetes.io/zone": zone,
            }
            present[name] = replace(node(name), labels={key: value for key, value in marks.items() if value})
            kept.upsert_nodes((present[name],))
        fresh = World()
        fresh.upsert_nodes(present.values())
        assert kept.fabric.spec == fresh.fabric.spec
        assert {name: kept.fabric.path(name) for name in present} == {
            name: fresh.fabric.path(name) for name in present
        }


def test_a_change_that_tells_of_no_level_keeps_the_fabric() -> None:
    world = World()
    world.upsert_nodes(two_leaves(2))
    fabric = world.fabric
    one = node("n1")
    world.upsert_nodes((replace(one, labels={**one.labels, "nvidia.com/gpu.count": "8"}),))
    assert world.fabric is fabric
    assert world.fabric.generation == 4


def test_nodes_that_share_their_gpus_hold_no_tensor_parallel_group() -> None:
    def answer(tensor: str, world: World) -> Assignment | Rejection:
        annotations = {"lockstep.scheduling/tensor-parallel": tensor} if tensor else {}
        pods = [replace(one, annotations={**one.annotations, **annotations}) for one in members("g", 2)]
        gang = assemble([(one, found) for one in pods if (found := membership_of(one, {}))])
        return place(formulate(gang, world.view()), limits=Limits())

    world = World()
    shared = [
        replace(one, labels={**one.labels, "nvidia.com/gpu.sharing-strategy": "time-slicing"})
        for one in two_leaves(1)
    ]
    world.upsert_nodes(shared)
    assert isinstance(answer("", world), Assignment)
    assert isinstance(answer("1", world), Assignment)
    refused = answer("8", world)
    assert isinstance(refused, Rejection)
    assert "GPUs are shared among pods" in refused.message
    assert isinstance(answer("8", world.clone()), Rejection)
    world.upsert_nodes(two_leaves(1))
    assert isinstance(answer("8", world), Assignment)
