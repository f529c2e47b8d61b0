"""What pods say of their gang, family by family, and what is told of those that say it wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scheduler.containers import Container
from scheduler.model import PREFIX, GangKey, InvalidInput, Parallelism, Pod, PodGroup
from scheduler.workloads.gangs import assemble, membership_of
from scheduler.workloads.leaderworkerset import LWS, subgroup_index
from tests.builders import members, pod

GROUP = {GangKey("default", "pg"): PodGroup("default", "pg", "u", 3, "example.com/rack")}


def lws_pod(rank: int, *, size: int = 4, **more: str) -> Pod:
    name = "m-0" if rank == 0 else f"m-0-{rank}"
    base = pod(name, gpus=8)
    labels = {LWS + "name": "m", LWS + "group-index": "0", LWS + "worker-index": str(rank)}
    labels[LWS + "template-revision-hash"] = more.pop("revision", "r1")
    annotations = {LWS + "size": str(size)} | {LWS + key.replace("_", "-"): v for key, v in more.items()}
    return replace(base, labels=labels, annotations=annotations)


def faults(*pods: Pod) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        assemble([(one, found) for one in pods if (found := membership_of(one, {}))])
    return [str(fault) for fault in caught.value.faults]


def gang_of(*pods: Pod) -> object:
    return assemble([(one, found) for one in pods if (found := membership_of(one, GROUP))])


def test_a_pod_without_any_of_it_has_no_gang() -> None:
    assert membership_of(pod("p"), {}) is None


def test_annotations_say_it_all() -> None:
    one = pod(
        "w-3", gang="g", size=4, group="a", rank="3", required="gang=rack, tp=nvlink", preferred="gang=leaf"
    )
    found = membership_of(one, {})
    assert found is not None
    assert (found.gang, found.size, found.rank, found.group) == (GangKey("default", "g"), 4, 3, "a")
    assert [(c.scope, c.level, c.required) for c in found.constraints] == [
        ("gang", "rack", True),
        ("tp", "nvlink", True),
        ("gang", "leaf", False),
    ]


def test_an_upstream_pod_group() -> None:
    found = membership_of(replace(pod("p"), pod_group="pg"), GROUP)
    assert found is not None
    assert (found.size, found.source) == (3, "PodGroup")
    assert [(c.level, c.required) for c in found.constraints] == [("example.com/rack", True)]


def test_a_leader_worker_set_with_its_revision() -> None:
    found = membership_of(lws_pod(2, exclusive_topology="example.com/rack"), {})
    assert found is not None
    assert found.gang == GangKey("default", "m-0-r1")
    assert (found.size, found.rank) == (4, 2)
    assert found.constraints[0].level == "example.com/rack"
    assert membership_of(lws_pod(2, revision="r2"), {}) != found


@pytest.mark.parametrize(
    ("size", "per_group", "policy", "wanted"),
    [
        (4, 2, "", [0, 0, 1, 1]),
        (5, 2, "", [0, 0, 0, 1, 1]),
        (5, 2, "LeaderExcluded", [None, 0, 0, 1, 1]),
        (6, 3, "LeaderWorker", [0, 0, 0, 1, 1, 1]),
    ],
)
def test_sub_groups_are_counted_as_the_controller_counts(
    size: int, per_group: int, policy: str, wanted: list[int | None]
) -> None:
    assert [subgroup_index(size, per_group, rank, policy=policy) for rank in range(size)] == wanted


def test_our_annotations_go_first_and_add_to_others() -> None:
    both = replace(lws_pod(1), annotations={**lws_pod(1).annotations, PREFIX + "tensor-parallel": "16"})
    found = membership_of(both, {})
    assert found is not None
    assert (found.source, found.parallelism.tensor) == ("LeaderWorkerSet", 16)
    named = replace(both, annotations={**both.annotations, PREFIX + "gang": "own", PREFIX + "gang-size": "2"})
    assert (membership_of(named, {}) or found).source == "annotations"


@pytest.mark.parametrize(
    ("command", "args", "env", "wanted"),
    [
        (("vllm", "serve", "m"), ("--tensor-parallel-size", "8", "-pp", "2"), (), (8, 2)),
        (
            ("sh", "-c", "ray start; vllm serve m --tensor-parallel-size=8 \\\n --pipeline-parallel-size 2"),
            (),
            (),
            (8, 2),
        ),
        (("python3", "-m", "sglang.launch_server"), ("--tp", "16", "--nnodes", "2"), (), (16, None)),
        ((), (), (("NIM_TENSOR_PARALLEL_SIZE", "8"), ("NIM_PIPELINE_PARALLEL_SIZE", "2")), (8, 2)),
        (("trtllm-serve", "m"), ("--tp_size", "8"), (), (8, None)),
        (("vllm", "serve", "m", "-tp", "$(TP)"), (), (("TP", "4"),), (4, None)),
        (("vllm", "serve", "m", "-tp", "$UNKNOWN"), (), (), (None, None)),
        (("my-server", "-tp", "cheese"), (), (), (None, None)),
    ],
)
def test_engine_settings_are_read(
    command: tuple[str, ...],
    args: tuple[str, ...],
    env: tuple[tuple[str, str], ...],
    wanted: tuple[int | None, int | None],
) -> None:
    one = replace(pod("g-0", gang="g", size=1), containers=(Container("main", "image", command, args, env),))
    found = membership_of(one, {})
    assert found is not None
    assert (found.parallelism.tensor, found.parallelism.pipeline) == wanted


def test_a_size_that_is_no_number_is_a_fault() -> None:
    one = replace(
        pod("g-0", gang="g", size=1),
        containers=(Container("main", "vllm", ("vllm", "serve", "m", "-tp", "x8")),),
    )
    with pytest.raises(InvalidInput, match="container main"):
        membership_of(one, {})


def test_the_leader_states_the_sizes_for_all() -> None:
    leader = replace(
        lws_pod(0), containers=(Container("main", "vllm", ("vllm", "serve", "m", "-tp", "16", "-pp", "2")),)
    )
    gang = assemble([(one, m) for one in (leader, *map(lws_pod, (1, 2, 3))) if (m := membership_of(one, {}))])
    assert (gang.parallelism.tensor, gang.parallelism.pipeline, gang.parallelism.data) == (16, 2, 1)
    assert dict(gang.parallelism.sources)["tp"].startswith("container main")


def test_ranks_are_numbers_and_not_text() -> None:
    gang = assemble([(one, m) for one in members("w", 12) if (m := membership_of(one, {}))])
    assert [member.pod.name for member in gang.members] == [f"w-{at}" for at in range(12)]


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("gang-size", "-1", "whole number"),
        ("gang-size", "99999999999", "whole number"),
        ("gang-size", "four", "whole number"),
        ("rank", "-1", "whole number"),
        ("required", "rack", "scope=level"),
        ("required", "pod=rack", "scope=level"),
        ("segment-remainder", "maybe", "forbid or allow"),
        ("mode", "fast", "gated or compat"),
        ("tensor-paralel", "8", "tensor-parallel"),
    ],
)
def test_a_broken_annotation_names_object_field_value_and_what_would_be_right(
    key: str, value: str, wanted: str
) -> None:
    one = pod("p", gang="g", size=2)
    with pytest.raises(InvalidInput) as caught:
        membership_of(replace(one, annotations={**one.annotations, PREFIX + key: value}), {})
    fault = caught.value.faults[0]
    assert (fault.object, fault.field, fault.value) == (
        "pod default/p",
        PREFIX + key,
        value.split(",", maxsplit=1)[0],
    )
    assert wanted in fault.wanted


def test_members_that_disagree() -> None:
    one, other = pod("a", gang="g", size=2), pod("b", gang="g", size=3)
    (fault,) = faults(one, other)
    assert "default/b" in fault
    assert "'3'" in fault
    assert "default/a" in fault


def test_two_ranks_alike() -> None:
    (fault,) = faults(pod("a", gang="g", size=2, rank="0"), pod("b", gang="g", size=2, rank="0"))
    assert "default/b" in fault
    assert "default/a" in fault


def test_more_members_than_the_size() -> None:
    one = [pod(f"p{at}", gang="g", size=2) for at in range(3)]
    (fault,) = faults(*one)
    assert "gang-size is '2'" in fault


def test_a_gang_without_a_size() -> None:
    (fault,) = faults(pod("a", gang="g"))
    assert "gang-size" in fault


def test_products_that_are_not_the_gpus() -> None:
    (fault,) = faults(*members("g", 2, tensor_parallel="8", pipeline_parallel="3"))
    assert "tp 8 x pp 3 = 24" in fault
    assert "16 GPUs" in fault


def test_what_nobody_states_is_derived_and_said_so() -> None:
    gang = assemble(
        [(one, m) for one in members("g", 4, tensor_parallel="8") if (m := membership_of(one, {}))]
    )
    assert (gang.parallelism.pipeline, gang.parallelism.data) == (1, 4)
    assert "derived" in dict(gang.parallelism.sources)["dp"]
    assert gang.parallelism != Parallelism()
