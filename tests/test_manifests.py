"""Files, snapshots and workloads: what is read, and what is told of broken ones."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler import manifests
from scheduler.model import InvalidInput
from scheduler.workloads import kinds

POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": []}}

KINDS = tuple(dict.fromkeys(one.kind for one in kinds.KINDS if one.expand))

WORDS = (
    "replicas",
    "template",
    "metadata",
    "labels",
    "annotations",
    "spec",
    "leaderWorkerTemplate",
    "size",
    "workerTemplate",
    "leaderTemplate",
    "subGroupPolicy",
    "subGroupSize",
    "ordinals",
    "containers",
    "parallelism",
)


def write(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text)
    return str(folder / name)


def lws(**spec: Any) -> dict[str, Any]:
    template = {"spec": {"containers": [{"name": "c", "image": "i"}]}}
    return {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "metadata": {"name": "m"},
        "spec": {"replicas": 2, "leaderWorkerTemplate": {"size": 3, "workerTemplate": template, **spec}},
    }


def expanded(*objects: Any) -> manifests.Expanded:
    return manifests.workloads(manifests.documents(objects, name="f"))


def test_json_yaml_lists_and_folders_are_the_same_to_us(tmp_path: Path) -> None:
    one = write(tmp_path, "a.json", json.dumps({"kind": "List", "items": [POD]}))
    two = write(tmp_path, "b.yaml", "---\n" + json.dumps(POD).replace('"p"', '"q"') + "\n---\n")
    found = manifests.load([one, two])
    assert [document.object["metadata"]["name"] for document in found] == ["p", "q"]
    assert len(manifests.load([str(tmp_path)])) == 2


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [("a.yaml", "a: b\n  c: [\n", 2), ("a.json", '{"a": \n 1,}', 2), ("a.yaml", "kind: Pod\n\tx: 1\n", 2)],
)
def test_broken_files_name_their_line(tmp_path: Path, name: str, text: str, line: int) -> None:
    file = write(tmp_path, name, text)
    with pytest.raises(InvalidInput) as caught:
        manifests.load([file])
    assert caught.value.faults[0].object.startswith(f"{file}:{line}")


def test_files_that_are_not_there() -> None:
    with pytest.raises(InvalidInput, match="No such file"):
        manifests.load(["nowhere.yaml"])


def test_a_leader_worker_set_becomes_the_pods_its_controller_makes() -> None:
    found = expanded(lws())
    assert [str(pod.key) for pod in found.pods] == [
        "default/m-0", "default/m-0-1", "default/m-0-2", "default/m-1", "default/m-1-1", "default/m-1-2",
    ]  # fmt: skip
    assert found.faults == ()


@pytest.mark.parametrize(
    ("kind", "spec", "names"),
    [
        ("StatefulSet", {"replicas": 2}, ["w-0", "w-1"]),
        ("Job", {"parallelism": 2, "completionMode": "Indexed"}, ["w-0", "w-1"]),
        ("Deployment", {"replicas": 1}, ["w-0"]),
        ("StatefulSet", {}, ["w-0"]),
        ("Deployment", {"replicas": 0}, []),
    ],
)
def test_kubernetes_own_workloads(kind: str, spec: dict[str, Any], names: list[str]) -> None:
    group = {"StatefulSet": "apps/v1", "Deployment": "apps/v1", "Job": "batch/v1"}[kind]
    template = {"spec": {"containers": [{"name": "c", "image": "i"}]}}
    made = {
        "apiVersion": group,
        "kind": kind,
        "metadata": {"name": "w"},
        "spec": {"template": template, **spec},
    }
    assert [pod.key.name for pod in expanded(made).pods] == names


@pytest.mark.parametrize("size", [-1, 0, 10_000_000, "three", 2.5])
def test_sizes_out_of_reason_name_field_and_value(size: Any) -> None:
    (fault,) = expanded(lws(size=size)).faults
    assert fault.field == "spec.leaderWorkerTemplate.size"
    assert fault.value == str(size)


def test_unknown_kinds_name_those_that_are_known() -> None:
    (fault,) = expanded({"kind": "FluxJob", "metadata": {"name": "x"}}).faults
    assert (fault.field, fault.value) == ("kind", "FluxJob")
    assert "LeaderWorkerSet" in fault.wanted


def test_one_bad_object_of_a_snapshot_costs_only_itself() -> None:
    node = {"kind": "Node", "metadata": {"name": "n"}, "status": {"allocatable": {"cpu": "8"}}}
    empty = {"kind": "Node", "metadata": {"name": "broken"}, "status": {}}
    odd = {"kind": "Node", "metadata": {"name": "odd"}, "status": {"allocatable": {"cpu": "lots"}}}
    found = manifests.snapshot(
        manifests.documents([node, empty, odd, {"kind": "Secret", "metadata": {}}], name="s")
    )
    assert [one.name for one in found.nodes] == ["n"]
    assert [(fault.object, fault.field) for fault in found.faults] == [
        ("node broken", "status.allocatable"),
        ("node odd", "status.allocatable[cpu]"),
    ]
    assert found.ignored == {"Secret": 1}


def test_two_objects_of_one_name() -> None:
    (fault,) = expanded(POD, POD).faults
    assert fault.field == "metadata.name"


class TestFiles:
    def test_a_folder_is_read_in_natural_order(self, tmp_path: Path) -> None:
        for at in (10, 2, 1):
            write(tmp_path, f"w-{at}.yaml", json.dumps({"kind": "Pod", "metadata": {"name": f"w-{at}"}}))
        write(tmp_path, "notes.txt", "not read")
        found = manifests.load([str(tmp_path)])
        assert [document.object["metadata"]["name"] for document in found] == ["w-1", "w-2", "w-10"]

    def test_an_empty_folder(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidInput, match=r"a folder with \.yaml, \.yml, \.json files"):
            manifests.load([str(tmp_path)])

    def test_standard_input(self, monkeypatch: pytest.MonkeyPatch) -> None:
        given = io.TextIOWrapper(io.BytesIO(json.dumps(POD).encode()))
        monkeypatch.setattr("sys.stdin", given)
        (found,) = manifests.load(["-"])
        assert (found.place, found.kind) == ("standard input, document 1", "Pod")

    def test_several_json_documents_in_one_file(self, tmp_path: Path) -> None:
        two = json.dumps(POD) + "\n\n" + json.dumps({"kind": "List", "items": [POD]}) + " \n"
        found = manifests.load([write(tmp_path, "a.json", two)])
        assert [document.place.rpartition("/")[2] for document in found] == [
            "a.json, document 1",
            "a.json, document 2, item 1",
        ]

    def test_items_of_a_typed_list_do_not_repeat_their_kind(self) -> None:
        given = {"kind": "PodList", "items": [{"metadata": {"name": "a"}}, 5, {"metadata": 3}, {"kind": ""}]}
        found = manifests.workloads(manifests.documents([given], name="f"))
        assert [one.key.name for one in found.pods] == ["a"]
        assert [(fault.object, fault.field, fault.value) for fault in found.faults] == [
            ("f, document 1, item 2", "document", "5"),
            ("f, document 1, item 3", "metadata", "3"),
            ("f, document 1, item 4", "kind", ""),
        ]

    def test_a_time_stamp_without_quotes_is_text(self, tmp_path: Path) -> None:
        text = "kind: Pod\nmetadata: {name: a, creationTimestamp: 2026-01-02T03:04:05Z}\n"
        (pod,) = manifests.workloads(manifests.load([write(tmp_path, "a.yaml", text)])).pods
        assert pod.created == "2026-01-02T03:04:05Z"

    @pytest.mark.parametrize(
        ("name", "data", "place", "value"),
        [
            ("a.yaml", b"a: 1\nb: [\n", "a.yaml:3", ""),
            ("a.yaml", b"a: 1\nb: {c: d\ne: f}\n", "a.yaml:3", "e: f}"),
            ("a.json", b'{"kind": "Pod",\n "metadata": }', "a.json:2", '"metadata": }'),
            ("a.json", b'{"kind": "Pod"', "a.json:1", '{"kind": "Pod"'),
            ("a.yaml", b"kind: Pod\nmetadata: &m {labels: *m}\n", "a.yaml:2", "metadata: &m {labels: *m}"),
            (
                "a.yaml",
                b"kind: !!python/object:os.system x\n",
                "a.yaml:1",
                "kind: !!python/object:os.system x",
            ),
            ("a.yaml", b"t: !!timestamp abc\n", "a.yaml", "t: !!timestamp abc"),
            ("a.yaml", b"\xff\xfe\x00", "a.yaml", "\ufffd\ufffd\x00"),
            ("a.json", b"[" * 100_000, "a.json:1", "[" * 60),
        ],
    )
    def test_broken_files_name_file_line_and_text(
        self, tmp_path: Path, name: str, data: bytes, place: str, value: str
    ) -> None:
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InvalidInput) as caught:
            manifests.load([str(tmp_path / name)])
        (fault,) = caught.value.faults
        assert (fault.object, fault.field) == (f"{tmp_path}/{place}", "file")
        assert fault.value == value
        assert "JSON" in fault.wanted

    @pytest.mark.parametrize("text", ["hello", "5", "[1]", "- a\n- b\n"])
    def test_a_file_of_something_else(self, tmp_path: Path, text: str) -> None:
        with pytest.raises(InvalidInput, match="a Kubernetes object with kind and metadata"):
            manifests.load([write(tmp_path, "a.yaml", text)])


class TestSnapshots:
    def test_kinds_of_another_group_are_not_ours(self) -> None:
        other = {
            "apiVersion": "scheduling.example.com/v1beta1",
            "kind": "PodGroup",
            "metadata": {"name": "g"},
        }
        ours = other | {"apiVersion": "scheduling.k8s.io/v1beta1"}
        found = manifests.snapshot(manifests.documents([other, ours, POD], name="s"))
        assert (len(found.pod_groups), len(found.pods)) == (1, 1)
        assert found.ignored == {"PodGroup": 1}

    def test_an_item_that_is_no_object_costs_only_itself(self) -> None:
        given = {"kind": "List", "items": [POD, None, {"kind": "Pod"}]}
        found = manifests.snapshot(manifests.documents([given], name="s"))
        assert len(found.pods) == 1
        assert [fault.field for fault in found.faults] == ["document", "metadata"]

    @pytest.mark.parametrize(
        ("changed", "field"),
        [
            ({"apiVersion": 3}, "apiVersion"),
            ({"metadata": {"name": "p", "namespace": 0}}, "metadata.namespace"),
            ({"metadata": {"name": "p", "uid": False}}, "metadata.uid"),
        ],
    )
    def test_what_says_which_object_it_is_must_be_text(self, changed: dict[str, Any], field: str) -> None:
        read = manifests.documents([POD | changed, POD], name="s")
        assert [fault.field for fault in manifests.snapshot(read).faults] == [field]
        found = manifests.workloads(read)
        assert ([fault.field for fault in found.faults], len(found.pods)) == ([field], 1)


class TestWorkloads:
    def test_namespaces_and_uids(self) -> None:
        own = {"kind": "Pod", "metadata": {"name": "q", "namespace": "ml", "uid": "real"}}
        found = manifests.workloads(manifests.documents([POD, own], name="f"), namespace="team")
        assert [(str(pod.key), pod.uid) for pod in found.pods] == [
            ("team/p", "manifest/team/p"),
            ("ml/q", "real"),
        ]

    @pytest.mark.parametrize(
        ("kind", "spec", "field", "value"),
        [
            ("StatefulSet", {"replicas": -1}, "spec.replicas", "-1"),
            ("StatefulSet", {"ordinals": {"start": -2}}, "spec.ordinals.start", "-2"),
            ("StatefulSet", {"ordinals": [1]}, "spec.ordinals", "[1]"),
            ("Deployment", {"replicas": "many"}, "spec.replicas", "many"),
            ("ReplicaSet", {"replicas": 100_001}, "spec.replicas", "100001"),
            ("Job", {"parallelism": -3}, "spec.parallelism", "-3"),
            ("Job", {"completions": 1.5}, "spec.completions", "1.5"),
            ("Job", {"template": None}, "spec.template", ""),
            (
                "Deployment",
                {"template": {"metadata": {"annotations": []}}},
                "spec.template.metadata.annotations",
                "[]",
            ),
        ],
    )
    def test_what_cannot_be_names_field_and_value(
        self, kind: str, spec: dict[str, Any], field: str, value: str
    ) -> None:
        (fault,) = expanded({"kind": kind, "metadata": {"name": "w"}, "spec": {"template": {}} | spec}).faults
        assert (fault.object, fault.field, fault.value) == (f"{kind.lower()} default/w", field, value)
        assert fault.wanted

    @pytest.mark.parametrize(
        ("spec", "names", "indexed"),
        [
            ({"parallelism": 2}, ["w-0", "w-1"], False),
            ({"parallelism": 4, "completions": 3}, ["w-0", "w-1", "w-2"], False),
            ({"parallelism": 2, "completionMode": "Indexed", "completions": 2}, ["w-0", "w-1"], True),
        ],
    )
    def test_jobs(self, spec: dict[str, Any], names: list[str], indexed: bool) -> None:
        found = expanded({"kind": "Job", "metadata": {"name": "w"}, "spec": {"template": {}} | spec})
        assert [pod.key.name for pod in found.pods] == names
        labels = found.pods[1].labels
        assert labels["batch.kubernetes.io/job-name"] == "w"
        assert labels.get("batch.kubernetes.io/job-completion-index") == ("1" if indexed else None)
        (warning,) = found.warnings
        assert (
            warning
            == f"job default/w: its real pods have a random suffix in place of -0 to -{len(names) - 1}"
        )

    def test_a_stateful_set_counts_from_its_first_ordinal(self) -> None:
        spec = {"replicas": 2, "ordinals": {"start": 5}, "template": {}}
        found = expanded({"kind": "StatefulSet", "metadata": {"name": "w"}, "spec": spec})
        assert [pod.labels["apps.kubernetes.io/pod-index"] for pod in found.pods] == ["5", "6"]
        assert found.warnings == ()

    @pytest.mark.parametrize(
        ("given", "field", "value", "wanted"),
        [
            ({"metadata": {}}, "metadata.name", "", "a name"),
            ({"metadata": {"name": 5}}, "metadata.name", "5", "a name"),
            ({"metadata": {"name": "a", "namespace": 7}}, "metadata.namespace", "7", "as text"),
            ({"metadata": {"name": "a"}, "spec": 3}, "spec", "3", "an object"),
            ({"metadata": {"name": "a", "labels": {"x": 1}}}, "metadata.labels[x]", "1", "in quotes"),
        ],
    )
    def test_broken_pods(self, given: dict[str, Any], field: str, value: str, wanted: str) -> None:
        (fault,) = expanded({"kind": "Pod", **given}).faults
        assert (fault.field, fault.value) == (field, value)
        assert wanted in fault.wanted

    def test_a_kind_of_another_group(self) -> None:
        given = {"apiVersion": "batch.example.com/v1alpha1", "kind": "Job", "metadata": {"name": "w"}}
        (fault,) = expanded(given).faults
        assert (fault.object, fault.field) == ("job default/w", "apiVersion")
        assert fault.value == "batch.example.com/v1alpha1"

    def test_a_pod_that_a_workload_would_make_too(self) -> None:
        pod = {"kind": "Pod", "metadata": {"name": "m-0"}}
        (fault,) = expanded(pod, lws()).faults
        assert fault.object == "pod default/m-0 (f, document 2)"
        assert fault.wanted == "another name: f, document 1 has the same object"

    def test_one_bad_document_costs_only_itself(self) -> None:
        found = expanded(lws(size=-1), POD, {"kind": "Mystery", "metadata": {"name": "s"}})
        assert [str(pod.key) for pod in found.pods] == ["default/p"]
        assert [fault.field for fault in found.faults] == ["spec.leaderWorkerTemplate.size", "kind"]

    @settings(deadline=None, max_examples=200)
    @given(
        st.sampled_from([*KINDS, "Pod", "PodGroup"]),
        st.recursive(
            st.none() | st.booleans() | st.integers(-3, 5) | st.floats() | st.text(max_size=4),
            lambda inner: (
                st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4)
            ),
            max_leaves=12,
        ),
    )
    def test_no_manifest_breaks_us(self, kind: str, spec: Any) -> None:
        found = expanded({"kind": kind, "metadata": {"name": "w"}, "spec": spec})
        for fault in found.faults:
            assert fault.object
            assert fault.wanted


def test_kinds_that_make_no_pods_are_named_and_left_out() -> None:
    found = expanded({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}}, POD)
    assert (len(found.pods), found.faults) == (1, ())
    assert found.warnings == ("f, document 1: a Service makes no pods and was left out",)


def test_a_namesake_that_makes_pods_is_not_left_out() -> None:
    found = expanded(
        {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "metadata": {"name": "s"}}, POD
    )
    assert [(fault.field, fault.value) for fault in found.faults] == [("kind", "Service")]
