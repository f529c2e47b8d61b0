"""Every kind as an unmodified manifest: the pods that its controller would make, and the gangs they form."""

from __future__ import annotations

from pathlib import Path

import pytest

from scheduler import manifests
from scheduler.model import Gang, GangKey
from scheduler.workloads.gangs import assemble, membership_of
from scheduler.workloads.kinds import KINDS, rights

FOLDER = Path(__file__).parent / "manifests"


def expanded(name: str) -> manifests.Expanded:
    found = manifests.workloads(manifests.load([str(FOLDER / f"{name}.yaml")]))
    assert found.faults == ()
    return found


def gangs_of(found: manifests.Expanded) -> dict[str, Gang]:
    known = {one.key: one for one in found.workloads}
    known |= {GangKey(one.namespace, one.name): one for one in found.pod_groups}
    parts: dict[str, list] = {}
    for pod in found.pods:
        membership = membership_of(pod, known)
        if membership is not None:
            parts.setdefault(membership.gang.name, []).append((pod, membership))
    return {name: assemble(members) for name, members in parts.items()}


def sizes(gang: Gang) -> tuple[int | None, int | None, int | None]:
    return gang.parallelism.tensor, gang.parallelism.pipeline, gang.parallelism.data


@pytest.mark.parametrize(
    ("name", "source", "gangs"),
    [
        (
            "vllm-lws-deepseek-r1",
            "LeaderWorkerSet",
            {
                "deepseek-r1-0": "deepseek-r1-0 deepseek-r1-0-1",
                "deepseek-r1-1": "deepseek-r1-1 deepseek-r1-1-1",
            },
        ),
        ("sglang-lws-tp16", "LeaderWorkerSet", {"sglang-0": "sglang-0 sglang-0-1"}),
        (
            "disaggregated-pd",
            "DisaggregatedSet",
            {
                "pd-0": "pd-0-decode-0 pd-0-decode-0-1 pd-0-prefill-0 pd-0-prefill-1",
                "pd-1": "pd-1-decode-0 pd-1-decode-0-1 pd-1-prefill-0 pd-1-prefill-1",
            },
        ),
        (
            "jobset-two-jobs",
            "JobSet",
            {
                "pretrain": "pretrain-driver-0-0 pretrain-workers-0-0 pretrain-workers-0-1 "
                "pretrain-workers-1-0 pretrain-workers-1-1"
            },
        ),
        (
            "jobset-exclusive",
            "JobSet",
            {"apart": "apart-workers-0-0 apart-workers-0-1 apart-workers-1-0 apart-workers-1-1"},
        ),
        (
            "pytorchjob",
            "Kubeflow job",
            {"llama": "llama-master-0 llama-worker-0 llama-worker-1 llama-worker-2"},
        ),
        ("mpijob", "Kubeflow job", {"nccl": "nccl-launcher nccl-worker-0 nccl-worker-1"}),
        (
            "trainjob",
            "JobSet",
            {"finetune": "finetune-node-0-0 finetune-node-0-1 finetune-node-0-2 finetune-node-0-3"},
        ),
        (
            "rayjob-multihost",
            "RayCluster",
            {
                "eval": "eval-head eval-gpu-worker-0 eval-gpu-worker-1 eval-gpu-worker-2 eval-gpu-worker-3",
            },
        ),
        (
            "rayservice",
            "RayCluster",
            {"chat": "chat-head chat-small-worker-0 chat-small-worker-1 chat-small-worker-2"},
        ),
        (
            "podcliqueset",
            "PodGang",
            {
                "disagg-0": "disagg-0-decode-0-leader-0 disagg-0-decode-0-worker-0 "
                "disagg-0-decode-1-leader-0 disagg-0-decode-1-worker-0 disagg-0-router-0"
            },
        ),
        (
            "dynamo-v1alpha1",
            "PodGang",
            {
                "graph-0": "graph-0-decode-0-decode-ldr-0 graph-0-decode-0-decode-wkr-0 graph-0-frontend-0 "
                "graph-0-prefill-0 graph-0-prefill-1"
            },
        ),
        (
            "dynamo-v1beta1",
            "PodGang",
            {"graph-0": "graph-0-decode-0-decode-ldr-0 graph-0-decode-0-decode-wkr-0"},
        ),
        (
            "volcanojob",
            "Volcano PodGroup",
            {"horovod": "horovod-master-0 horovod-worker-0 horovod-worker-1 horovod-worker-2"},
        ),
        (
            "sparkapplication",
            "SparkApplication",
            {"etl": "etl-driver etl-exec-1 etl-exec-2 etl-exec-3"},
        ),
        (
            "nimservice",
            "LeaderWorkerSet",
            {"deepseek-r1-lws-0": "deepseek-r1-lws-0 deepseek-r1-lws-0-1"},
        ),
        (
            "nimservice-2.0",
            "LeaderWorkerSet",
            {"deepseek-r1-lws-0": "deepseek-r1-lws-0 deepseek-r1-lws-0-1"},
        ),
        ("inferenceservice", "InferenceService", {"llama": "llama-predictor-0 llama-predictor-worker-0"}),
        ("indexed-job", "Job", {"torch": "torch-0 torch-1 torch-2 torch-3"}),
        ("statefulset-sglang", "StatefulSet", {"sgl": "sgl-0 sgl-1"}),
        ("kueue-pod-group", "Kueue pod group", {"plain": "member-0 member-1"}),
    ],
)
def test_every_kind_becomes_its_gangs(name: str, source: str, gangs: dict[str, str]) -> None:
    found = gangs_of(expanded(name))
    assert {key: " ".join(m.pod.name for m in gang.members) for key, gang in found.items()} == gangs
    assert {gang.source for gang in found.values()} == {source}
    assert all(gang.complete for gang in found.values())
    assert [gang.warnings for gang in found.values() if gang.warnings] == []


@pytest.mark.parametrize(
    ("name", "gang", "wanted"),
    [
        ("vllm-lws-deepseek-r1", "deepseek-r1-0", (8, 2, 1)),
        ("sglang-lws-tp16", "sglang-0", (16, 1, 1)),
        ("pytorchjob", "llama", (8, 2, 2)),
        ("trainjob", "finetune", (8, 1, 4)),
        ("nimservice", "deepseek-r1-lws-0", (8, 2, 1)),
        ("nimservice-2.0", "deepseek-r1-lws-0", (8, 2, 1)),
        ("inferenceservice", "llama", (4, 2, 1)),
        ("statefulset-sglang", "sgl", (16, 1, 1)),
        ("dynamo-v1beta1", "graph-0", (16, 1, 1)),
    ],
)
def test_the_engine_says_its_sizes(name: str, gang: str, wanted: tuple[int, int, int]) -> None:
    assert sizes(gangs_of(expanded(name))[gang]) == wanted


def test_roles_keep_their_own_sizes() -> None:
    found = dict(gangs_of(expanded("disaggregated-pd"))["pd-0"].by_group)
    assert {group: sizes.tensor for group, sizes in found.items()} == {
        "prefill-0": 8,
        "prefill-1": 8,
        "decode-0": 16,
    }


def test_constraints_of_upstreams_are_understood() -> None:
    def wishes(name: str, gang: str) -> list[tuple[str, str, bool, str | None]]:
        return [(c.scope, c.level, c.required, c.group) for c in gangs_of(expanded(name))[gang].constraints]

    assert wishes("jobset-exclusive", "apart") == [("group", "example.com/rack", True, None)]
    assert [c.alone for c in gangs_of(expanded("jobset-exclusive"))["apart"].constraints] == [True]
    assert wishes("podcliqueset", "disagg-0") == [("gang", "rack", True, None)]
    assert wishes("volcanojob", "horovod") == [("gang", "tier:1", True, None)]
    assert wishes("kueue-pod-group", "plain") == [("gang", "example.com/rack", True, None)]
    assert wishes("dynamo-v1beta1", "graph-0") == [("group", "rack", True, "graph-0-decode-0")]


def test_an_elastic_gang_starts_with_its_fewest() -> None:
    found = expanded("rayservice")
    owner = next(one for one in found.workloads if one.key.kind == "RayCluster.ray.io")
    assert (owner.size, owner.least) == (2, True)


def test_rights_follow_from_the_kinds() -> None:
    assert ("jobset.x-k8s.io", "jobsets") in rights()
    assert rights(["jobset", "ray"]) == (("jobset.x-k8s.io", "jobsets"), ("ray.io", "rayclusters"))
    assert len({kind.name for kind in KINDS}) == len(KINDS)
