"""Sizes read from unmodified engine settings, and where each of them was read."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.containers import Container
from scheduler.model import GangKey, InvalidField, InvalidInput, Membership, Parallelism, Pod
from scheduler.workloads.gangs import assemble, membership_of
from scheduler.workloads.keys import LWS
from scheduler.workloads.launchers import doubts_of, nodes_of, world_of
from scheduler.workloads.parallelism import of_pod
from scheduler.workloads.worlds import doubts
from tests.builders import members, pod

VLLM, SGLANG, TRTLLM = (
    "vllm/vllm-openai:v0.11",
    "lmsysorg/sglang:latest",
    "nvcr.io/nvidia/tensorrt-llm/release",
)

SCRIPT = """
# vllm serve old --tensor-parallel-size 2
set -e; export X="a b"
ray start --head --port=6379 --num-gpus 8 &&
vllm serve "meta/llama; 405b" \\
  --tensor-parallel-size 8 \\
  --pipeline_parallel_size 2 --json '{"a": 1}'>/log
"""


def container(
    *words: str, image: str = "image", env: dict[str, str] | None = None, name: str = "main"
) -> Container:
    return Container(name, image, words, (), tuple((env or {}).items()))


def read(*containers: Container, annotations: dict[str, str] | None = None) -> Parallelism:
    return of_pod(holding(*containers, annotations=annotations))


def holding(*containers: Container, annotations: dict[str, str] | None = None) -> Pod:
    return replace(pod("p"), containers=containers, annotations=annotations or {})


def sizes(found: Parallelism) -> tuple[int | None, int | None, int | None, int | None]:
    return found.tensor, found.pipeline, found.data, found.expert


@pytest.mark.parametrize(
    ("image", "words", "wanted"),
    [
        (VLLM, ("serve", "m", "--tensor-parallel-size", "8"), (8, None, None, None)),
        (VLLM, ("serve", "m", "--tensor-parallel-size=8", "-pp=2"), (8, 2, None, None)),
        (VLLM, ("serve", "m", "-tp", "8", "-pp", "2", "-dp", "4"), (8, 2, 4, None)),
        (VLLM, ("serve", "-tp", "8", "-dp", "4", "--enable-expert-parallel"), (8, None, 4, 32)),
        (VLLM, ("serve", "-dp", "16", "--enable-expert-parallel"), (None, None, 16, 16)),
        (VLLM, ("serve", "-tp", "$X", "-dp", "16", "--enable-expert-parallel"), (None, None, 16, None)),
        (VLLM, ("serve", "--enable-expert-parallel"), (None, None, None, None)),
        (VLLM, ("serve", "-tp", "2", "-tp", "4"), (4, None, None, None)),
        (SGLANG, ("--tp", "16", "--ep", "8", "--nnodes", "2"), (16, None, None, 8)),
        (SGLANG, ("--tp-size", "8", "--pp-size", "2", "--dp-size", "2", "--ep-size", "4"), (8, 2, 2, 4)),
        (SGLANG, ("--tp=16", "--dp", "16", "--enable-dp-attention"), (16, None, None, None)),
        (TRTLLM, ("trtllm-serve", "m", "--tp_size", "8", "--pp_size=2", "--ep_size", "4"), (8, 2, None, 4)),
        (TRTLLM, ("trtllm-llmapi-launch", "trtllm-serve", "m", "--tp_size", "16"), (16, None, None, None)),
        ("tgi/text-generation-inference", ("--num-shard", "4"), (4, None, None, None)),
        (
            "megatron",
            ("--tensor-model-parallel-size", "4", "--pipeline-model-parallel-size", "2"),
            (4, 2, None, None),
        ),
        ("unknown", ("run", "--tensor-parallel-size", "8"), (8, None, None, None)),
        ("unknown", ("run", "-tp", "8", "--tp", "4", "-pp", "x"), (None, None, None, None)),
        ("unknown", ("python", "-m", "sglang.launch_server", "--tp", "8"), (8, None, None, None)),
        (SGLANG, ("serve", "/models/vllm-test", "--tp", "8"), (8, None, None, None)),
    ],
)
def test_flags(image: str, words: tuple[str, ...], wanted: tuple[int | None, ...]) -> None:
    assert sizes(read(container(*words, image=image))) == wanted


@pytest.mark.parametrize(
    ("env", "image", "wanted"),
    [
        ({"NIM_TENSOR_PARALLEL_SIZE": "8", "NIM_PIPELINE_PARALLEL_SIZE": "2"}, "nim", (8, 2, None, None)),
        ({"NIM_TENSOR_PARALLEL_SIZE": ""}, "nim", (None, None, None, None)),
        ({"NUM_SHARD": "4"}, "ghcr.io/huggingface/text-generation-inference", (4, None, None, None)),
        ({"NUM_SHARD": "4"}, "database", (None, None, None, None)),
    ],
)
def test_environment(env: dict[str, str], image: str, wanted: tuple[int | None, ...]) -> None:
    assert sizes(read(container(image=image, env=env))) == wanted


def test_every_size_says_where_it_was_read() -> None:
    found = read(
        container("-tp", "8", "--pipeline_parallel_size=2", image=VLLM, env={"NIM_DATA_PARALLEL_SIZE": "1"})
    )
    assert found.sources == (
        ("tp", "container main: -tp"),
        ("pp", "container main: --pipeline_parallel_size"),
        ("dp", "container main: env NIM_DATA_PARALLEL_SIZE"),
    )


@pytest.mark.parametrize(
    "words",
    [
        ("sh", "-c", SCRIPT),
        ("/bin/bash", "-lc", SCRIPT),
        ("env", "A=1", "bash", "-exc", SCRIPT),
        ("bash", "-c", "bash -c 'vllm serve -tp 8 -pp 2; sleep 1'"),
        ("bash", "-c", "vllm serve -tp 8 -pp 2;echo it's done"),
        ("bash", "-c", "vllm serve -tp 8 -pp 2&&echo done|cat"),
    ],
)
def test_scripts_are_split_as_a_shell_would(words: tuple[str, ...]) -> None:
    assert sizes(read(container(*words))) == (8, 2, None, None)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("$(TP)", 4),
        ("$TP", 4),
        ("${TP}", 4),
        ("${NONE:-16}", 16),
        ("$(INDIRECT)", 4),
        ("$(LWS_GROUP_SIZE)", 2),
        ("$NONE", None),
        ("$(nproc)", None),
        ("$((TP * 2))", None),
        ("`nproc`", None),
        ("$(LOOP)", None),
    ],
)
def test_variables(text: str, wanted: int | None) -> None:
    env = {"TP": "4", "INDIRECT": "$(TP)", "LOOP": "$(LOOP)"}
    one = container("serve", "-tp", text, image=VLLM, env=env)
    assert read(one, annotations={LWS + "size": "2"}).tensor == wanted


@pytest.mark.parametrize(
    "text", ["x8", "0", "-1", "2.5", "", "auto", "100001", "--pp", "8x", "٨", "9" * 5000]
)
def test_a_literal_that_is_no_size_names_container_flag_and_value(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read(container("serve", f"--tensor-parallel-size={text}", image=VLLM))
    assert caught.value.faults == (
        InvalidField(
            "pod default/p", "container main: --tensor-parallel-size", text, "a whole number from 1 to 100000"
        ),
    )


def test_two_containers_that_contradict_each_other() -> None:
    one, other = container("-tp", "8", image=VLLM), container("--tp", "4", image=SGLANG, name="second")
    with pytest.raises(InvalidInput) as caught:
        read(one, other)
    assert caught.value.faults == (
        InvalidField("pod default/p", "container second: --tp", "4", "8, as container main: -tp says"),
    )
    assert of_pod(holding(one, other), known=("tp",)).tensor is None


def test_every_fault_of_a_pod_is_told() -> None:
    with pytest.raises(InvalidInput) as caught:
        read(container("-tp", "a", "-pp", "b", image=VLLM))
    assert [fault.value for fault in caught.value.faults] == ["a", "b"]


@settings(deadline=None)
@given(st.lists(st.text(max_size=30), max_size=6), st.text(max_size=20))
def test_any_command_line_gives_sizes_or_faults(words: list[str], script: str) -> None:
    one = container("bash", "-c", script, *words, "vllm", "-tp", script)
    try:
        found = read(one)
    except InvalidInput as error:
        assert error.faults
    else:
        assert found.tensor is None or found.tensor >= 1


@pytest.mark.parametrize(
    ("image", "words", "wanted"),
    [
        ("nemo", ("python", "train.py", "model.tensor_model_parallel_size=8", "trainer.num_nodes=4"), 8),
        ("nemo", ("python", "train.py", "++model.tensor_model_parallel_size=4"), 4),
        ("i", ("sh", "-c", "export TP=8; exec vllm serve m -tp $TP"), 8),
        ("i", ("sh", "-c", "TP=4 vllm serve m -tp ${TP}"), 4),
        ("i", ("deepspeed", "--num_nodes", "2", "train.py", "--tensor-model-parallel-size", "2"), 2),
        (VLLM, ("serve", "m", "-tp", "8", "--data-parallel-size-local", "4"), 8),
    ],
)
def test_more_engines_and_scripts(image: str, words: tuple[str, ...], wanted: int) -> None:
    assert read(container(*words, image=image)).tensor == wanted


def test_a_flag_given_twice_is_told_and_the_last_one_counts() -> None:
    found = read(container("-tp", "2", "-tp", "4", image=VLLM))
    assert found.tensor == 4
    assert found.sources == (
        ("tp", "container main: -tp (given twice: first 2, then 4; the last one counts)"),
    )


def test_a_variable_that_nobody_knows_is_told() -> None:
    found = read(container("-tp", "$GPUS", image=VLLM))
    assert found.tensor is None
    assert found.sources == (("tp", "container main: -tp is $GPUS, which only the running container knows"),)


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (("torchrun", "--nnodes=4", "x.py"), 4),
        (("torchrun", "--nnodes", "1:4", "x.py"), 4),
        (("deepspeed", "--num_nodes=2"), 2),
        (("python", "trainer.num_nodes=8"), 8),
        (("torchrun", "--nnodes=$N"), 1),
        (("serve",), 1),
    ],
)
def test_the_nodes_that_an_engine_is_told_of(words: tuple[str, ...], wanted: int) -> None:
    assert nodes_of(holding(container(*words))) == wanted


def test_an_elastic_launcher_is_content_with_any_number_between() -> None:
    elastic = container("torchrun", "--nnodes=2:6", "x.py")
    pods = [replace(pod(f"e-{at}"), containers=(elastic,)) for at in range(8)]

    def told(count: int) -> list[str]:
        key = GangKey("default", "e")
        return list(doubts([(one, Membership(key, "Job", size=count)) for one in pods[:count]]))

    assert [told(count) for count in (2, 4, 6)] == [[], [], []]
    assert told(8) == ["pod default/e-0 tells its engine of 2 to 6 nodes; its gang has 8 pods"]


@pytest.mark.parametrize(
    ("words", "ranks"),
    [
        (("torchrun", "--nnodes=2", "--nproc_per_node=8", "train.py"), 16),
        (("torchrun", "--nproc-per-node", "4", "train.py"), 4),
        (("torchrun", "--nnodes", "2", "--nproc-per-node=gpu"), None),
        (("torchrun", "--nnodes=$N", "--nproc-per-node=8"), None),
        (("torchrun", "--nnodes=1:4", "--nproc-per-node=8"), None),
        (("torchrun", "--nnodes=4:4", "--nproc-per-node=8"), 32),
        (("deepspeed", "--num_nodes", "3", "--num_gpus", "8", "train.py"), 24),
        (("python", "pretrain.py", "trainer.num_nodes=4", "++trainer.devices=8"), 32),
        (("python3", "launch_triton_server.py", "--world_size=16"), 16),
        (("bash", "-c", "/usr/bin/mpirun --allow-run-as-root -np 12 trtllm-serve m"), 12),
        (("python", "-n", "4"), None),
    ],
)
def test_the_ranks_that_a_launcher_starts(words: tuple[str, ...], ranks: int | None) -> None:
    found = world_of(holding(container(*words)))
    assert (found.ranks if found else None) == ranks


def with_gpus(count: int, *words: str, image: str = VLLM, env: dict[str, str] | None = None) -> Pod:
    return replace(pod("p", gpus=count), containers=(container(*words, image=image, env=env),))


@pytest.mark.parametrize(
    ("one", "wanted"),
    [
        (
            with_gpus(4, "-tp", "8", env={"NCCL_MNNVL_ENABLE": "0"}),
            "NCCL_MNNVL_ENABLE=0 turns NVLink between",
        ),
        (with_gpus(4, "-tp", "8", env={"NCCL_MNNVL_ENABLE": "1"}), None),
        (with_gpus(8, "-tp", "8", env={"NCCL_MNNVL_ENABLE": "0"}), None),
        (with_gpus(8, "-tp", "8", env={"NCCL_P2P_DISABLE": "1"}), "NCCL_P2P_DISABLE=1 keeps tp 8"),
        (with_gpus(8, "-tp", "8", env={"NCCL_NVLS_ENABLE": "0"}), None),
        (
            with_gpus(8, "-tp", "4", "-dp", "4", "-dpl", "4"),
            "-dpl 4 x tp 4 x pp 1 = 16 ranks in a pod; it has 8",
        ),
        (with_gpus(8, "-tp", "2", "-dp", "8", "--data-parallel-size-local", "4"), None),
        (
            with_gpus(8, "--data-parallel-size=6", "-tp=2", "--data-parallel-size-local=4"),
            "--data-parallel-size-local 4 does not divide --data-parallel-size 6",
        ),
        (
            with_gpus(8, "--tp", "8", "--dp-size", "3", "--enable-dp-attention", image=SGLANG),
            "--dp-size 3 with --enable-dp-attention does not divide --tp 8",
        ),
        (with_gpus(8, "--tp", "8", "--dp", "4", "--enable-dp-attention", image=SGLANG), None),
    ],
)
def test_settings_that_do_not_go_together_are_told_with_container_and_word(
    one: Pod, wanted: str | None
) -> None:
    found = list(doubts_of(one, of_pod(one)))
    assert bool(found) == (wanted is not None), found
    if wanted is not None:
        assert found[0].startswith("pod default/p container main: ") and wanted in found[0]


def test_a_world_that_is_not_the_gang_is_told_with_the_three_numbers() -> None:
    words = ("torchrun", "--nnodes=2", "--nproc-per-node=8", "x.py")
    pods = [replace(one, containers=(container(*words),)) for one in members("g", 3)]
    gang = assemble([(one, membership_of(one, {})) for one in pods])  # type: ignore[misc]
    assert any(
        "--nnodes 2 x --nproc-per-node 8 = 16 ranks; its gang has 3 pods with 24 GPUs together" in text
        for text in gang.warnings
    )
