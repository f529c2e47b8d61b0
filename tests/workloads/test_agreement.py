"""What is told of gangs whose members contradict each other: every fault, with both pods and both values."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scheduler.containers import Container
from scheduler.model import (
    PREFIX,
    Gang,
    GangKey,
    InvalidField,
    InvalidInput,
    Membership,
    Owner,
    Pod,
    PodGroup,
)
from scheduler.workloads.gangs import assemble, membership_of
from tests.builders import members, pod

PLAIN = {GangKey("default", "pg"): PodGroup("default", "pg", "u", 3, None)}


def assembled(*pods: Pod, groups: dict[GangKey, PodGroup] | None = None) -> Gang:
    return assemble([(one, said) for one in pods if (said := membership_of(one, groups or {}))])


def faults(*pods: Pod, groups: dict[GangKey, PodGroup] | None = None) -> tuple[InvalidField, ...]:
    with pytest.raises(InvalidInput) as caught:
        assembled(*pods, groups=groups)
    return caught.value.faults


def owned(one: Pod, name: str) -> Pod:
    return replace(one, owner=Owner("apps/v1", "StatefulSet", name, f"uid-{name}"))


def running(one: Pod, *words: str, image: str = "vllm/vllm-openai") -> Pod:
    return replace(one, containers=(Container("main", image, words),))


def of_group(name: str, group: str = "pg", **more: str) -> Pod:
    return replace(pod(name, **more), pod_group=group)  # type: ignore[arg-type]  # more are annotations


@pytest.mark.parametrize(
    ("one", "other", "field", "value", "wanted"),
    [
        ({"size": 2}, {"size": 3}, PREFIX + "gang-size", "3", "2, as pod default/a says"),
        (
            {"tensor_parallel": "8"},
            {"tensor_parallel": "16"},
            f"annotation {PREFIX}tensor-parallel",
            "16",
            "8, as pod default/a says",
        ),
        (
            {"required": "gang=rack"},
            {"required": "gang=leaf"},
            f"{PREFIX}required and {PREFIX}preferred",
            "required gang=leaf",
            "required gang=rack, as pod default/a says",
        ),
        (
            {"segment_size": "1"},
            {"segment_size": "2"},
            PREFIX + "segment-size",
            "2 (remainder forbid)",
            "1 (remainder forbid), as pod default/a",
        ),
        (
            {"segment_size": "1"},
            {"segment_size": "1", "segment_remainder": "allow"},
            PREFIX + "segment-size",
            "1 (remainder allow)",
            "1 (remainder forbid)",
        ),
        (
            {"policy": "pack"},
            {"policy": "spread"},
            PREFIX + "policy",
            "spread",
            "pack, as pod default/a says",
        ),
        (
            {"group": "x", "group_size": "1"},
            {"group": "x", "group_size": "2"},
            PREFIX + "group-size",
            "2",
            "1, as pod default/a says of the same group",
        ),
    ],
)
def test_members_that_contradict_each_other(
    one: dict[str, str], other: dict[str, str], field: str, value: str, wanted: str
) -> None:
    given = {"gang": "g", "size": 2}
    found = faults(pod("a", **(given | one)), pod("b", **(given | other)))  # type: ignore[arg-type]
    fault = next(fault for fault in found if fault.field == field)
    assert (fault.object, fault.value) == ("pod default/b", value)
    assert wanted in fault.wanted


def roles(**kinds: dict[str, str]) -> list[Pod]:
    """Two pods of 8 GPUs per role."""
    return [
        pod(f"{role}-{at}", gang="g", size=2 * len(kinds), group=role, **more)  # type: ignore[arg-type]
        for role, more in kinds.items()
        for at in range(2)
    ]


def test_every_role_speaks_for_itself() -> None:
    gang = assembled(
        *roles(
            prefill={"required": "gang=spine,group=rack"},
            decode={"required": "gang=spine,group=nvlink", "preferred": "group=leaf"},
            router={},
        )
    )
    said = [(c.scope, c.level, c.required, c.group) for c in gang.constraints]
    assert said == [
        ("gang", "spine", True, None),
        ("group", "rack", True, "prefill"),
        ("group", "nvlink", True, "decode"),
        ("group", "leaf", False, "decode"),
    ]


def test_roles_disagree_on_the_gang_as_a_whole() -> None:
    found = faults(*roles(prefill={"required": "gang=rack"}, decode={"required": "gang=leaf"}))
    assert [fault.object for fault in found] == ["pod default/decode-0"]
    assert found[0].value == "required gang=leaf"


def test_roles_of_unlike_sizes_count_their_own_ranks() -> None:
    gang = assembled(
        *roles(prefill={"tensor_parallel": "8"}, decode={"tensor_parallel": "16", "required": "tp=leaf"})
    )
    sizes = [(name, own.tensor, own.pipeline, own.data) for name, own in gang.by_group]
    assert sizes == [("prefill", 8, 1, 2), ("decode", 16, 1, 1)]
    assert gang.parallelism.tensor is None
    assert [(c.scope, c.level, c.group) for c in gang.constraints] == [("tp", "leaf", "decode")]


def test_a_role_whose_sizes_do_not_multiply_is_named() -> None:
    found = faults(*roles(prefill={"tensor_parallel": "8"}, decode={"tensor_parallel": "32"}))
    assert [fault.object for fault in found] == ["gang default/g group decode"]
    assert "the 16 GPUs of the group (2 pods, 8 GPUs each)" in found[0].wanted


def test_sizes_that_one_role_states_are_the_gangs() -> None:
    gang = assembled(*roles(head={"tensor_parallel": "32"}, worker={}))
    assert (gang.parallelism.tensor, gang.by_group) == (32, ())


def test_constraints_in_another_order_are_the_same() -> None:
    one = pod("a", gang="g", size=2, required="gang=rack,tp=nvlink")
    other = pod("b", gang="g", size=2, required="tp=nvlink,gang=rack")
    assert assembled(one, other).complete


def test_every_fault_is_told_at_once() -> None:
    one = pod("a", gang="g", size=2, rank="0", policy="pack", tensor_parallel="3")
    other = pod("b", gang="g", size=3, rank="7", policy="spread", tensor_parallel="3")
    assert [fault.field for fault in faults(one, other)] == [
        PREFIX + "gang-size",
        PREFIX + "policy",
        PREFIX + "rank",
        f"annotation {PREFIX}tensor-parallel",
    ]


@pytest.mark.parametrize("size", [0, -4, 100_001])
def test_a_size_without_reason(size: int) -> None:
    one = pod("a")
    with pytest.raises(InvalidInput) as caught:
        assemble([(one, Membership(GangKey("default", "g"), "annotations", size=size))])
    fault = caught.value.faults[0]
    assert (fault.object, fault.field, fault.value) == ("gang default/g", PREFIX + "gang-size", str(size))
    assert fault.wanted == "a whole number from 1 to 100000"


def test_a_gang_without_a_size_names_the_annotation() -> None:
    (fault,) = faults(pod("a", gang="g"))
    assert (fault.object, fault.field, fault.value) == ("gang default/g", PREFIX + "gang-size", "")
    assert fault.wanted == "the number of pods of the gang, on each of them"


@pytest.mark.parametrize(
    ("rank", "object_", "wanted"),
    [
        ("2", "pod default/b", "a rank from 0 to 1, for the gang has 2 pods"),
        ("0", "pod default/b", "a rank of its own; pod default/a has rank 0 too"),
    ],
)
def test_ranks_are_unique_and_below_the_size(rank: str, object_: str, wanted: str) -> None:
    (fault,) = faults(pod("a", gang="g", size=2, rank="0"), pod("b", gang="g", size=2, rank=rank))
    assert fault == InvalidField(object_, PREFIX + "rank", rank, wanted)


def test_a_negative_rank() -> None:
    with pytest.raises(InvalidInput, match="a rank from 0 to 1"):
        assemble([(pod("a"), Membership(GangKey("default", "g"), "annotations", size=2, rank=-1))])


def test_two_gangs_of_one_name_are_told_by_their_owners() -> None:
    ours = [owned(one, "blue") for one in members("g", 2)]
    theirs = [
        owned(replace(one, key=one.key._replace(name=f"x-{at}")), "green") for at, one in enumerate(ours)
    ]
    (fault,) = faults(*ours, *theirs)
    assert (fault.object, fault.field, fault.value) == ("gang default/g", PREFIX + "gang-size", "2")
    assert "4, for so many pods say they belong to it: default/g-0" in fault.wanted
    assert "StatefulSet blue and StatefulSet green use one gang name" in fault.wanted


def test_families_that_share_a_gang_name() -> None:
    found = faults(pod("a", gang="pg", size=3), of_group("b"), groups=PLAIN)
    assert [(f.object, f.field, f.value) for f in found] == [
        ("pod default/b", "the family that forms the gang", "PodGroup")
    ]
    assert "two gangs cannot share the name default/pg" in found[0].wanted


@pytest.mark.parametrize("pods", [1, 3])
def test_a_group_has_the_members_that_it_says(pods: int) -> None:
    inside = [pod(f"a-{at}", gang="g", size=3, group="x", group_size="2") for at in range(pods)]
    outside = [pod(f"b-{at}", gang="g", size=3) for at in range(3 - pods)]
    (fault,) = faults(*inside, *outside)
    assert (fault.object, fault.field, fault.value) == ("pod default/a-0", PREFIX + "group-size", "2")
    assert fault.wanted == f"{pods}, for so many pods of the gang are in group 'x'"


def test_a_group_of_a_gang_that_still_forms_may_be_small() -> None:
    assert not assembled(pod("a-0", gang="g", size=3, group="x", group_size="2")).complete


class TestUpstreamPodGroups:
    def test_the_minimum_is_no_limit(self) -> None:
        gang = assembled(*(of_group(f"p-{at}") for at in range(5)), groups=PLAIN)
        assert (gang.size, gang.complete) == (5, True)

    def test_fewer_than_the_minimum_are_incomplete(self) -> None:
        gang = assembled(of_group("p-0"), of_group("p-1"), groups=PLAIN)
        assert (gang.size, gang.complete) == (3, False)

    def test_a_group_that_does_not_exist(self) -> None:
        (fault,) = faults(of_group("p", "other"))
        assert (fault.object, fault.field, fault.value) == (
            "pod default/p",
            "spec.schedulingGroup.podGroupName",
            "other",
        )
        assert fault.wanted == "the name of a PodGroup of namespace default; there is none of this name"

    @pytest.mark.parametrize("count", [0, -1, 100_001])
    def test_a_minimum_without_reason(self, count: int) -> None:
        bad = {GangKey("default", "pg"): PodGroup("default", "pg", "u", count, None)}
        with pytest.raises(InvalidInput) as caught:
            membership_of(of_group("p"), bad)
        (fault,) = caught.value.faults
        assert (fault.object, fault.field) == ("podgroup default/pg", "spec.schedulingPolicy.gang.minCount")
        assert fault.value == str(count)

    def test_the_basic_policy_is_no_gang(self) -> None:
        basic = {GangKey("default", "pg"): PodGroup("default", "pg", "u", None, None)}
        assert membership_of(of_group("p"), basic) is None


class TestProducts:
    @pytest.mark.parametrize(
        ("sizes", "pods", "wanted"),
        [
            ({"tensor_parallel": "8"}, 4, (8, 1, 4)),
            ({"tensor_parallel": "16"}, 4, (16, 1, 2)),
            ({"tensor_parallel": "4"}, 1, (4, 1, 2)),
            ({"tensor_parallel": "8", "pipeline_parallel": "2"}, 4, (8, 2, 2)),
            ({"tensor_parallel": "8", "data_parallel": "4"}, 4, (8, 1, 4)),
            ({"pipeline_parallel": "2"}, 4, (None, 2, None)),
        ],
    )
    def test_what_nobody_states_follows(
        self, sizes: dict[str, str], pods: int, wanted: tuple[int | None, ...]
    ) -> None:
        found = assembled(*members("g", pods, **sizes)).parallelism
        assert (found.tensor, found.pipeline, found.data) == wanted

    @pytest.mark.parametrize(
        ("sizes", "value", "wanted"),
        [
            ({"tensor_parallel": "3"}, "3", "a divisor or a multiple of the 8 GPUs of a pod"),
            ({"tensor_parallel": "12"}, "12", "a divisor or a multiple of the 8 GPUs of a pod"),
            ({"tensor_parallel": "64"}, "tp 64 = 64", "the 32 GPUs of the gang (4 pods, 8 GPUs each)"),
            (
                {"tensor_parallel": "8", "pipeline_parallel": "3"},
                "tp 8 x pp 3 = 24",
                "sizes whose product is the 32 GPUs",
            ),
            (
                {"tensor_parallel": "8", "data_parallel": "2"},
                "tp 8 x dp 2 = 16",
                "sizes whose product is the 32 GPUs",
            ),
        ],
    )
    def test_stated_sizes_that_cannot_be_are_faults(
        self, sizes: dict[str, str], value: str, wanted: str
    ) -> None:
        (fault,) = faults(*members("g", 4, **sizes))
        assert (fault.object, fault.field) == ("gang default/g", f"annotation {PREFIX}tensor-parallel")
        assert fault.value == value
        assert wanted in fault.wanted

    def test_sizes_of_the_engine_that_cannot_be_are_dropped_with_a_warning(self) -> None:
        gang = assembled(*(running(one, "vllm", "serve", "m", "-tp", "24") for one in members("g", 2)))
        assert gang.parallelism.tensor is None
        (warning,) = gang.warnings
        assert "container main: -tp is 'tp 24 = 24'" in warning
        assert "the 16 GPUs of the gang (2 pods, 8 GPUs each)" in warning

    def test_a_leader_without_gpus_counts_for_nothing(self) -> None:
        leader = pod("g-0", gang="g", size=3, gpus=0, tensor_parallel="16")
        workers = [pod(f"g-{at}", gang="g", size=3) for at in (1, 2)]
        assert assembled(leader, *workers).parallelism.data == 1

    def test_unequal_pods_are_not_judged(self) -> None:
        mixed = (pod("g-0", gang="g", size=2, tensor_parallel="8"), pod("g-1", gang="g", size=2, gpus=4))
        assert assembled(*mixed).parallelism.data is None

    def test_a_gang_that_still_forms_is_judged_by_its_size(self) -> None:
        one = pod("g-0", gang="g", size=4, tensor_parallel="8")
        gang = assembled(one)
        assert (gang.complete, gang.parallelism.data) == (False, 4)


class TestStrays:
    def test_a_misspelt_gang_is_told_and_not_scheduled_alone(self) -> None:
        with pytest.raises(InvalidInput) as caught:
            membership_of(pod("p", gnag="g"), {})
        (fault,) = caught.value.faults
        assert (fault.object, fault.field, fault.value) == ("pod default/p", PREFIX + "gnag", "g")
        assert fault.wanted.startswith(f"did you mean {PREFIX}gang?")

    def test_the_short_name_of_a_size_leads_to_its_annotation(self) -> None:
        with pytest.raises(InvalidInput) as caught:
            membership_of(pod("p", gang="g", tp="8"), {})
        (fault,) = caught.value.faults
        assert fault.wanted.startswith(f"did you mean {PREFIX}tensor-parallel?")

    def test_details_of_no_gang(self) -> None:
        with pytest.raises(InvalidInput) as caught:
            membership_of(pod("p", gang_size="4", required="gang=rack"), {})
        (fault,) = caught.value.faults
        assert (fault.field, fault.value) == (PREFIX + "gang", "")
        assert f"{PREFIX}gang-size, {PREFIX}required" in fault.wanted

    def test_what_we_write_ourselves_is_no_stray(self) -> None:
        assert (
            membership_of(pod("p", plan="x", assigned_node="n", assigned_rank="1", mode="compat"), {}) is None
        )

    def test_every_fault_of_its_annotations_is_told_at_once(self) -> None:
        one = pod("p", gang=" ", rank="x", required="rack", segment_remainder="allow")
        with pytest.raises(InvalidInput) as caught:
            membership_of(one, {})
        assert [fault.field for fault in caught.value.faults] == [
            PREFIX + "gang",
            PREFIX + "rank",
            PREFIX + "segment-size",
            PREFIX + "required",
        ]
