"""LeaderWorkerSets: the pods that their controller makes, and what those pods say of their gang."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler import manifests
from scheduler.model import PREFIX, Constraint, Gang, GangKey, InvalidField, InvalidInput, Pod
from scheduler.workloads.gangs import assemble, membership_of
from scheduler.workloads.keys import LWS
from scheduler.workloads.leaderworkerset import LEADER_EXCLUDED, subgroup_index
from tests.builders import pod

TEMPLATE = {"spec": {"containers": [{"name": "main", "resources": {"limits": {"nvidia.com/gpu": "8"}}}]}}

VLLM = """
apiVersion: leaderworkerset.x-k8s.io/v1
kind: LeaderWorkerSet
metadata:
  name: vllm
  annotations:
    leaderworkerset.sigs.k8s.io/exclusive-topology: example.com/rack
spec:
  replicas: 2
  leaderWorkerTemplate:
    size: 2
    restartPolicy: RecreateGroupOnPodRestart
    leaderTemplate:
      metadata: {labels: {role: leader}}
      spec:
        containers:
        - name: vllm-leader
          image: vllm/vllm-openai:latest
          env:
          - name: HF_TOKEN
            valueFrom: {secretKeyRef: {name: hf, key: token}}
          command:
          - sh
          - -c
          - "bash /vllm-workspace/examples/online_serving/multi-node-serving.sh leader
             --ray_cluster_size=$(LWS_GROUP_SIZE);
             vllm serve meta-llama/Llama-3.1-405B-Instruct --port 8080
             --tensor-parallel-size 8 --pipeline-parallel-size 2"
          resources: {limits: {nvidia.com/gpu: "8", memory: 1124Gi}}
    workerTemplate:
      spec:
        containers:
        - name: vllm-worker
          image: vllm/vllm-openai:latest
          command:
          - sh
          - -c
          - "bash /vllm-workspace/examples/online_serving/multi-node-serving.sh worker
             --ray_address=$(LWS_LEADER_ADDRESS)"
          resources: {limits: {nvidia.com/gpu: "8", memory: 1124Gi}}
"""

SGLANG = """
apiVersion: leaderworkerset.x-k8s.io/v1
kind: LeaderWorkerSet
metadata: {name: sglang}
spec:
  replicas: 1
  leaderWorkerTemplate:
    size: 2
    workerTemplate:
      spec:
        containers:
        - name: sglang
          image: lmsysorg/sglang:latest
          command: [python3, -m, sglang.launch_server, --model-path, deepseek-ai/DeepSeek-R1, --tp, "16",
                    --dist-init-addr, "$(LWS_LEADER_ADDRESS):20000", --nnodes, $(LWS_GROUP_SIZE),
                    --node-rank, $(LWS_WORKER_INDEX)]
          resources: {limits: {nvidia.com/gpu: "8"}}
"""

NIM = """
apiVersion: leaderworkerset.x-k8s.io/v1
kind: LeaderWorkerSet
metadata: {name: nim}
spec:
  leaderWorkerTemplate:
    size: 2
    workerTemplate:
      spec:
        containers:
        - name: nim
          image: nvcr.io/nim/deepseek-ai/deepseek-r1:latest
          env:
          - {name: NIM_TENSOR_PARALLEL_SIZE, value: "8"}
          - {name: NIM_PIPELINE_PARALLEL_SIZE, value: "2"}
          resources: {limits: {nvidia.com/gpu: "8"}}
"""


def document(
    *, annotations: dict[str, str] | None = None, spec: Any = None, **template: Any
) -> dict[str, Any]:
    return {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "metadata": {"name": "m", "annotations": annotations or {}},
        "spec": {"leaderWorkerTemplate": {"size": 4, "workerTemplate": TEMPLATE} | template} | (spec or {}),
    }


def expanded(given: Any) -> manifests.Expanded:
    return manifests.workloads(manifests.documents([given], name="f"))


def fault_of(given: Any) -> InvalidField:
    (fault,) = expanded(given).faults
    return fault


def gangs_of(text: str) -> list[Gang]:
    found = expanded(yaml.safe_load(text))
    assert found.faults == ()
    together: dict[GangKey, list[Any]] = {}
    for one in found.pods:
        said = membership_of(one, {})
        assert said is not None
        together.setdefault(said.gang, []).append((one, said))
    return [assemble(members) for members in together.values()]


def labelled(rank: int, *, size: int = 4, **annotations: str) -> Pod:
    labels = {"name": "m", "group-index": "1", "worker-index": str(rank), "template-revision-hash": "abc"}
    given = {"size": str(size)} | {key.replace("_", "-"): value for key, value in annotations.items()}
    return replace(
        pod(f"m-1-{rank}"),
        labels={LWS + key: value for key, value in labels.items()},
        annotations={LWS + key: value for key, value in given.items()},
    )


def with_label(one: Pod, key: str, value: str | None) -> Pod:
    labels = {name: text for name, text in one.labels.items() if name != LWS + key}
    return replace(one, labels=labels | ({LWS + key: value} if value is not None else {}))


class TestUnmodifiedManifests:
    def test_vllm_states_its_sizes_on_the_leader_only(self) -> None:
        gangs = gangs_of(VLLM)
        assert [str(gang.key) for gang in gangs] == ["default/vllm-0", "default/vllm-1"]
        for gang in gangs:
            found = gang.parallelism
            assert (found.tensor, found.pipeline, found.data) == (8, 2, 1)
            assert dict(found.sources)["tp"] == "container vllm-leader: --tensor-parallel-size"
            assert dict(found.sources)["dp"] == "derived: 16 GPUs / (tp x pp)"
            assert gang.constraints == (
                Constraint("gang", "example.com/rack", True, f"annotation {LWS}exclusive-topology"),
            )
            assert (gang.complete, gang.warnings) == (True, ())

    def test_sglang_states_them_on_every_pod(self) -> None:
        (gang,) = gangs_of(SGLANG)
        assert (gang.parallelism.tensor, gang.parallelism.pipeline, gang.parallelism.data) == (16, 1, 1)

    def test_nim_states_them_in_the_environment(self) -> None:
        (gang,) = gangs_of(NIM)
        assert (gang.parallelism.tensor, gang.parallelism.pipeline, gang.parallelism.data) == (8, 2, 1)
        assert dict(gang.parallelism.sources)["pp"] == "container nim: env NIM_PIPELINE_PARALLEL_SIZE"

    def test_our_annotations_in_the_template_add_to_it(self) -> None:
        changed = yaml.safe_load(NIM)
        template = changed["spec"]["leaderWorkerTemplate"]["workerTemplate"]
        given = {
            PREFIX + "required": "tp=nvlink",
            PREFIX + "tensor-parallel": "16",
            PREFIX + "pipeline-parallel": "1",
        }
        template["metadata"] = {"annotations": given}
        (gang,) = gangs_of(yaml.safe_dump(changed))
        assert (gang.source, gang.parallelism.tensor, gang.parallelism.pipeline) == ("LeaderWorkerSet", 16, 1)
        assert [(one.scope, one.level) for one in gang.constraints] == [("tp", "nvlink")]


class TestExpansion:
    def test_names_labels_and_annotations(self) -> None:
        found = expanded(document(spec={"replicas": 2}, size=2)).pods
        assert [one.key.name for one in found] == ["m-0", "m-0-1", "m-1", "m-1-1"]
        assert found[3].uid == "manifest/default/m-1-1"
        assert found[3].labels == {
            LWS + "name": "m",
            LWS + "group-index": "1",
            LWS + "worker-index": "1",
            "apps.kubernetes.io/pod-index": "1",
        }
        assert found[3].annotations == {LWS + "size": "2", LWS + "leader-name": "m-1"}
        assert found[2].annotations == {LWS + "size": "2"}

    def test_defaults_are_those_of_the_api(self) -> None:
        given = document()
        del given["spec"]["leaderWorkerTemplate"]["size"]
        assert [one.key.name for one in expanded(given).pods] == ["m-0"]

    def test_the_leader_template_is_the_leaders_only(self) -> None:
        own = {"metadata": {"annotations": {PREFIX + "policy": "pack"}}, "spec": TEMPLATE["spec"]}
        leader, worker = expanded(document(size=2, leaderTemplate=own)).pods
        assert (leader.annotations.get(PREFIX + "policy"), worker.annotations.get(PREFIX + "policy")) == (
            "pack",
            None,
        )

    @pytest.mark.parametrize(
        ("size", "policy", "wanted"),
        [
            (4, {"subGroupSize": 2}, ["0", "0", "1", "1"]),
            (5, {"subGroupSize": 2}, ["0", "0", "0", "1", "1"]),
            (5, {"subGroupSize": 2, "subGroupPolicyType": "LeaderWorker"}, ["0", "0", "0", "1", "1"]),
            (5, {"subGroupSize": 2, "subGroupPolicyType": LEADER_EXCLUDED}, ["leader", "0", "0", "1", "1"]),
            (3, {"subGroupSize": 1}, ["0", "1", "2"]),
        ],
    )
    def test_sub_groups(self, size: int, policy: dict[str, Any], wanted: list[str]) -> None:
        found = expanded(document(size=size, subGroupPolicy=policy))
        assert found.faults == ()
        assert [(membership_of(one, {}) or pytest.fail()).group for one in found.pods] == wanted

    def test_exclusive_topology_is_required(self) -> None:
        keys = {LWS + "exclusive-topology": "rack", LWS + "subgroup-exclusive-topology": "block"}
        found = expanded(document(annotations=keys, subGroupPolicy={"subGroupSize": 2})).pods
        for one in found:
            said = membership_of(one, {})
            assert said is not None
            assert [(c.scope, c.level, c.required) for c in said.constraints] == [
                ("gang", "rack", True),
                ("group", "block", True),
            ]

    @pytest.mark.parametrize(
        ("given", "field", "value"),
        [
            (document(spec={"replicas": -1}), "spec.replicas", "-1"),
            (document(spec={"replicas": 100_001}), "spec.replicas", "100001"),
            (document(spec={"replicas": True}), "spec.replicas", "True"),
            (document(size=0), "spec.leaderWorkerTemplate.size", "0"),
            (document(size="4"), "spec.leaderWorkerTemplate.size", "4"),
            (
                document(spec={"replicas": 50_001}),
                "spec.replicas x spec.leaderWorkerTemplate.size",
                "200004",
            ),
            (document(workerTemplate=None), "spec.leaderWorkerTemplate.workerTemplate", ""),
            (document(workerTemplate=[1]), "spec.leaderWorkerTemplate.workerTemplate", "[1]"),
            (document(leaderTemplate="x"), "spec.leaderWorkerTemplate.leaderTemplate", "x"),
            (document(subGroupPolicy=3), "spec.leaderWorkerTemplate.subGroupPolicy", "3"),
            (
                document(subGroupPolicy={"subGroupSize": 0}),
                "spec.leaderWorkerTemplate.subGroupPolicy.subGroupSize",
                "0",
            ),
            (
                document(subGroupPolicy={"subGroupPolicyType": "Leader", "subGroupSize": 2}),
                "spec.leaderWorkerTemplate.subGroupPolicy.subGroupPolicyType",
                "Leader",
            ),
            (document(spec={"leaderWorkerTemplate": 1}), "spec.leaderWorkerTemplate", "1"),
            (
                document(size=1, workerTemplate={"metadata": {"labels": 5}}),
                "spec.leaderWorkerTemplate.workerTemplate.metadata.labels",
                "5",
            ),
        ],
    )
    def test_what_cannot_be_names_field_and_value(self, given: Any, field: str, value: str) -> None:
        fault = fault_of(given)
        assert (fault.object, fault.field, fault.value) == ("leaderworkerset default/m", field, value)
        assert fault.wanted

    @pytest.mark.parametrize(
        ("size", "policy", "wanted"),
        [
            (6, {"subGroupSize": 4}, "a divisor of 6 or of 5, for the size is 6"),
            (
                6,
                {"subGroupSize": 2, "subGroupPolicyType": LEADER_EXCLUDED},
                "a divisor of 5, for the size is 6",
            ),
            (1, {"subGroupSize": 2}, "a divisor of 1 or of 0, for the size is 1"),
        ],
    )
    def test_sub_groups_that_the_controller_refuses(self, size: int, policy: Any, wanted: str) -> None:
        fault = fault_of(document(size=size, subGroupPolicy=policy))
        assert fault.field == "spec.leaderWorkerTemplate.subGroupPolicy.subGroupSize"
        assert fault.wanted == wanted


class TestMembership:
    def test_the_revision_is_part_of_the_gang(self) -> None:
        one = membership_of(labelled(0), {})
        other = membership_of(with_label(labelled(0), "template-revision-hash", "def"), {})
        assert one is not None
        assert other is not None
        assert (one.gang, other.gang) == (GangKey("default", "m-1-abc"), GangKey("default", "m-1-def"))

    def test_the_leader_alone_knows_the_whole_size(self) -> None:
        said = membership_of(labelled(0), {})
        assert said is not None
        gang = assemble([(labelled(0), said)])
        assert (gang.size, gang.complete, gang.members[0].rank) == (4, False, 0)

    @pytest.mark.parametrize(
        ("key", "value", "wanted"),
        [
            ("worker-index", None, "was it down when the pod was made?"),
            ("group-index", None, "was it down when the pod was made?"),
            ("worker-index", "x", "a whole number from 0 to 100000"),
            ("group-index", "-1", "a whole number from 0 to 100000"),
        ],
    )
    def test_labels_that_the_webhook_writes(self, key: str, value: str | None, wanted: str) -> None:
        with pytest.raises(InvalidInput) as caught:
            membership_of(with_label(labelled(1), key, value), {})
        (fault,) = caught.value.faults
        assert (fault.object, fault.field, fault.value) == ("pod default/m-1-1", LWS + key, value or "")
        assert wanted in fault.wanted

    def test_every_missing_key_is_told(self) -> None:
        bare = replace(pod("p"), labels={LWS + "name": "m"})
        with pytest.raises(InvalidInput) as caught:
            membership_of(bare, {})
        assert [f.field for f in caught.value.faults] == [
            LWS + "group-index",
            LWS + "worker-index",
            LWS + "size",
        ]

    def test_a_worker_index_beyond_the_size(self) -> None:
        said = membership_of(labelled(4), {})
        assert said is not None
        with pytest.raises(InvalidInput) as caught:
            assemble([(labelled(4), said)])
        (fault,) = caught.value.faults
        assert (fault.field, fault.value) == (LWS + "worker-index", "4")

    @pytest.mark.parametrize(("size", "rank", "label"), [(4, 3, "0"), (5, 4, "2"), (4, 0, "1")])
    def test_a_sub_group_label_against_the_arithmetic(self, size: int, rank: int, label: str) -> None:
        one = with_label(labelled(rank, size=size, subgroup_size="2"), "subgroup-index", label)
        with pytest.raises(InvalidInput) as caught:
            membership_of(one, {})
        (fault,) = caught.value.faults
        assert (fault.field, fault.value) == (LWS + "subgroup-index", label)
        assert f"for worker {rank} of {size} in sub-groups of 2" in fault.wanted


@settings(deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.sampled_from(["", "LeaderWorker", LEADER_EXCLUDED]))
def test_sub_groups_are_equal_but_for_the_leader(groups: int, per_group: int, policy: str) -> None:
    excluded = policy == LEADER_EXCLUDED
    size = groups * per_group + excluded
    found = [subgroup_index(size, per_group, rank, policy=policy) for rank in range(size)]
    assert found[0] is None if excluded else found[0] == 0
    workers = found[1:] if excluded else found
    assert workers == [at for at in range(groups) for _ in range(per_group)]


@settings(deadline=None)
@given(st.integers(1, 12), st.integers(2, 12))
def test_a_leader_beside_whole_sub_groups_joins_the_first(groups: int, per_group: int) -> None:
    size = groups * per_group + 1
    found = [subgroup_index(size, per_group, rank) for rank in range(size)]
    assert found == [0, *(at for at in range(groups) for _ in range(per_group))]
