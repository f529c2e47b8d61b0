"""Decoding lists, watches and single objects: what is read, and that a bad object costs only itself."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from scheduler.kube.objects import Kind, decode_event, decode_list, from_dict, pod_from_bytes
from scheduler.model import (
    InvalidField,
    InvalidInput,
    Node,
    NodeName,
    NodeTerm,
    Owner,
    Pod,
    PodGroup,
    Requirement,
    Taint,
    Toleration,
)

LWS = "leaderworkerset.sigs.k8s.io/"


def node(name: str = "n1", **status: Any) -> dict[str, Any]:
    given = {"allocatable": {"cpu": "7910m", "memory": "2Gi", "pods": "110", "nvidia.com/gpu": "8"}} | status
    return {"metadata": {"name": name}, "spec": None, "status": given}


def pod(name: str = "p", *, metadata: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "ml", **(metadata or {})}, "spec": spec}


def encoded(*items: Any, version: str = "17") -> bytes:
    return json.dumps({"kind": "List", "metadata": {"resourceVersion": version}, "items": items}).encode()


def event(kind: str, obj: Any) -> bytes:
    return json.dumps({"type": kind, "object": obj}).encode()


def decoded(**spec: Any) -> Pod:
    found = from_dict("Pod", pod(**spec))
    assert isinstance(found, Pod)
    return found


def fault_of(data: dict[str, Any], kind: Kind = "Pod") -> InvalidField:
    """The one fault, which must be the same for bytes and for a parsed manifest."""
    found = decode_list(encoded(data), kind)
    assert found.items == ()
    with pytest.raises(InvalidInput) as caught:
        from_dict(kind, data)
    assert caught.value.faults == found.faults
    (fault,) = found.faults
    return fault


class TestLists:
    def test_the_good_items_in_their_order_with_the_version(self) -> None:
        found = decode_list(encoded(node("b"), node("a")), "Node")
        assert [one.name for one in found.items if isinstance(one, Node)] == ["b", "a"]
        assert (found.faults, found.resource_version) == ((), "17")

    def test_a_bad_item_is_a_fault_and_the_others_are_read(self) -> None:
        found = decode_list(encoded(node("a"), node("b", allocatable={"cpu": "many"}), node("c")), "Node")
        assert [one.name for one in found.items if isinstance(one, Node)] == ["a", "c"]
        (fault,) = found.faults
        assert (fault.object, fault.field, fault.value) == ("node b", "status.allocatable[cpu]", "many")
        assert "500m" in fault.wanted

    @pytest.mark.parametrize("item", [5, None, "x", [], {"metadata": 3}])
    def test_an_item_that_is_no_object_is_a_fault(self, item: Any) -> None:
        found = decode_list(encoded(node("a"), item), "Node")
        assert (len(found.items), len(found.faults)) == (1, 1)

    @pytest.mark.parametrize("text", ['{"items": null}', "{}", '{"metadata": {}, "items": []}'])
    def test_empty_lists(self, text: str) -> None:
        assert decode_list(text.encode(), "Pod").items == ()

    @pytest.mark.parametrize("data", [b"", b"no", b'{"items": 5}', b"[]", b'{"items": [', b"\xff"])
    def test_what_is_no_list_raises_with_its_text(self, data: bytes) -> None:
        with pytest.raises(InvalidInput) as caught:
            decode_list(data, "Pod")
        (fault,) = caught.value.faults
        assert (fault.object, fault.field) == ("list of Pod", "body")
        assert fault.value == data.decode(errors="replace")


class TestWatches:
    @pytest.mark.parametrize("kind", ["ADDED", "MODIFIED", "DELETED"])
    def test_changes_carry_the_object_its_key_and_version(self, kind: str) -> None:
        found = decode_event(event(kind, pod("p", metadata={"resourceVersion": "9"})), "Pod")
        assert isinstance(found.item, Pod)
        assert (found.type, found.key, found.resource_version, found.fault) == (kind, ("ml", "p"), "9", None)

    def test_a_bookmark_is_only_a_version(self) -> None:
        found = decode_event(event("BOOKMARK", {"metadata": {"resourceVersion": "31"}}), "Pod")
        assert (found.type, found.item, found.resource_version) == ("BOOKMARK", None, "31")

    def test_an_expired_watch_gives_its_code(self) -> None:
        status = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
        found = decode_event(event("ERROR", status), "Pod")
        assert (found.type, found.code, found.item) == ("ERROR", 410, None)

    def test_a_bad_object_is_a_fault_that_says_which_it_was(self) -> None:
        found = decode_event(event("MODIFIED", pod("p", nodeName=7)), "Pod")
        assert (found.type, found.item, found.key) == ("MODIFIED", None, ("ml", "p"))
        assert found.fault is not None
        assert (found.fault.object, found.fault.field) == ("pod ml/p", "spec.nodeName")

    @pytest.mark.parametrize("line", [b"", b"{", b'{"type": "ADDED", "object": 5}', b"null", b"\xff\xfe"])
    def test_a_line_that_cannot_be_read_is_an_error_without_a_code(self, line: bytes) -> None:
        found = decode_event(line, "Pod")
        assert (found.type, found.code) == ("ERROR", 0)
        assert found.fault is not None

    def test_an_unknown_type_names_those_that_are_known(self) -> None:
        found = decode_event(event("RENAMED", pod()), "Pod")
        assert found.fault == InvalidField(
            "watch of Pod", "type", "RENAMED", "one of ADDED, MODIFIED, DELETED, BOOKMARK, ERROR"
        )


class TestNodes:
    def test_amounts_in_base_units(self) -> None:
        found = from_dict("Node", node())
        assert isinstance(found, Node)
        assert found.allocatable == {"cpu": 7910, "memory": 2 << 30, "pods": 110, "nvidia.com/gpu": 8}

    @pytest.mark.parametrize(
        ("conditions", "ready"),
        [
            (None, True),
            ([], True),
            ([{"type": "Ready", "status": "True"}], True),
            ([{"type": "Ready", "status": "False"}], False),
            ([{"type": "Ready", "status": "Unknown"}], False),
            ([{"type": "DiskPressure", "status": "False"}], True),
        ],
    )
    def test_ready_as_kube_scheduler_takes_it(self, conditions: Any, ready: bool) -> None:
        found = from_dict("Node", node(conditions=conditions))
        assert isinstance(found, Node)
        assert found.ready is ready

    def test_taints_labels_and_cordon(self) -> None:
        given = node()
        given["metadata"]["labels"] = {"rack": "r1"}
        given["spec"] = {"unschedulable": True, "taints": [{"key": "gpu", "effect": "NoSchedule"}]}
        found = from_dict("Node", given)
        assert isinstance(found, Node)
        assert (found.labels, found.unschedulable) == ({"rack": "r1"}, True)
        assert found.taints == (Taint("gpu", "", "NoSchedule"),)

    def test_a_node_without_amounts_is_a_fault(self) -> None:
        fault = fault_of(node(allocatable=None), "Node")
        assert (fault.object, fault.field, fault.value) == ("node n1", "status.allocatable", "")


class TestPods:
    @pytest.mark.parametrize(
        ("given", "field", "value", "wanted"),
        [
            (pod(containers=5), "spec.containers", "5", "a list"),
            (pod(containers=[{"args": ["-tp", 8]}]), "spec.containers[0].args[1]", "8", "text"),
            (
                pod(metadata={"annotations": {"a": 4}}),
                "metadata.annotations[a]",
                "4",
                "text (numbers in quotes)",
            ),
            (pod(priority="high"), "spec.priority", "high", "a whole number"),
            (
                pod(containers=[{"resources": {"requests": {"cpu": "-1"}}}]),
                "spec.containers[0].resources.requests[cpu]",
                "-1",
                "zero or more",
            ),
            (
                pod(initContainers=[{"resources": {"limits": {"memory": "1GB"}}}]),
                "spec.initContainers[0].resources.limits[memory]",
                "1GB",
                "1.5Gi",
            ),
            (pod(overhead={"cpu": ""}), "spec.overhead[cpu]", "", "a Kubernetes quantity"),
        ],
    )
    def test_a_fault_names_object_field_value_and_what_would_be_right(
        self, given: dict[str, Any], field: str, value: str, wanted: str
    ) -> None:
        fault = fault_of(given)
        assert (fault.object, fault.field, fault.value) == ("pod ml/p", field, value)
        assert wanted in fault.wanted

    def test_every_bad_amount_of_a_container_is_told(self) -> None:
        found = decode_list(
            encoded(pod(containers=[{"resources": {"requests": {"cpu": "a", "memory": "b"}}}])), "Pod"
        )
        assert [fault.value for fault in found.faults] == ["a", "b"]

    def test_a_pod_without_a_name(self) -> None:
        with pytest.raises(InvalidInput, match=r"metadata\.name"):
            from_dict("Pod", {"metadata": {}, "spec": {}})

    def test_metadata_that_no_family_reads_is_dropped(self) -> None:
        given = {
            "labels": {"app": "x", LWS + "name": "m", "apps.kubernetes.io/pod-index": "3"},
            "annotations": {"note": "long", "lockstep.scheduling/gang": "g"},
        }
        found = decoded(metadata=given)
        assert found.labels == {LWS + "name": "m", "apps.kubernetes.io/pod-index": "3"}
        assert found.annotations == {"lockstep.scheduling/gang": "g"}

    def test_the_controlling_owner_goes_before_the_first(self) -> None:
        owners = [
            {"apiVersion": "v1", "kind": "Pod", "name": "leader", "uid": "1"},
            {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "set", "uid": "2", "controller": True},
        ]
        assert decoded(metadata={"ownerReferences": owners}).owner == Owner(
            "apps/v1", "StatefulSet", "set", "2"
        )
        assert (
            decoded(metadata={"ownerReferences": owners[:1]}).owner or Owner("", "", "", "")
        ).name == "leader"
        assert decoded().owner is None

    def test_null_lists_as_go_clients_write_them(self) -> None:
        found = decoded(
            containers=None, initContainers=None, tolerations=None, affinity=None, nodeSelector=None
        )
        assert found.shape.requests == (("pods", 1),)

    def test_pods_that_a_hand_wrote_without_uid_are_told_apart(self) -> None:
        found = {
            decoded_pod.uid
            for decoded_pod in (from_dict("Pod", pod("p")), from_dict("Pod", pod("q")))
            if isinstance(decoded_pod, Pod)
        }
        assert len(found) == 2

    def test_state_of_a_pod(self) -> None:
        given = pod(
            "p",
            metadata={"uid": "u", "deletionTimestamp": "2026-01-01T00:00:00Z"},
            nodeName="n7",
            schedulerName="other",
            schedulingGates=[{"name": "lockstep.scheduling/gang"}],
            schedulingGroup={"podGroupName": "pg"},
            priority=5,
        )
        given["status"] = {"phase": "Running", "nominatedNodeName": "n8"}
        found = from_dict("Pod", given)
        assert isinstance(found, Pod)
        assert (found.node, found.nominated, found.scheduler) == (NodeName("n7"), NodeName("n8"), "other")
        assert (found.gates, found.pod_group, found.priority) == (("lockstep.scheduling/gang",), "pg", 5)
        assert (found.phase, found.deleting, found.uid) == ("Running", True, "u")

    @pytest.mark.parametrize(
        ("more", "read"),
        [
            ({}, True),
            ({"nodeName": "n1"}, False),
            ({"nodeName": "n1", "metadata": {"labels": {LWS + "name": "m"}}}, True),
            ({"nodeName": "n1", "schedulingGroup": {"podGroupName": "g"}}, True),
        ],
    )
    def test_engine_settings_are_kept_where_somebody_may_read_them(
        self, more: dict[str, Any], read: bool
    ) -> None:
        found = decoded(containers=[{"name": "main", "args": ["-tp", "8"]}], **more)
        assert bool(found.containers) is read

    def test_env_from_elsewhere_has_no_value(self) -> None:
        env = [{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {"fieldRef": {}}}]
        assert decoded(containers=[{"name": "main", "env": env}]).containers[0].env == (("A", "1"),)

    def test_bytes_of_an_extender_request(self) -> None:
        assert str(pod_from_bytes(msgspec.Raw(json.dumps(pod()).encode())).key) == "ml/p"

    def test_other_kinds_name_those_that_are_known(self) -> None:
        with pytest.raises(InvalidInput, match="Node, Pod, PodGroup"):
            from_dict("Service", {})


class TestPodGroups:
    @pytest.mark.parametrize(
        ("spec", "wanted"),
        [
            ({"schedulingPolicy": {"gang": {"minCount": 4}}}, (4, None)),
            ({"schedulingPolicy": {"basic": {}}}, (None, None)),
            (
                {
                    "schedulingPolicy": {"gang": {"minCount": 2}},
                    "schedulingConstraints": {"topology": [{"key": "example.com/rack"}]},
                },
                (2, "example.com/rack"),
            ),
            (None, (None, None)),
        ],
    )
    def test_the_policy_and_the_one_topology_key(
        self, spec: Any, wanted: tuple[int | None, str | None]
    ) -> None:
        found = from_dict("PodGroup", {"metadata": {"name": "g", "namespace": "ml"}, "spec": spec})
        assert isinstance(found, PodGroup)
        assert (found.min_count, found.topology_key) == wanted


class TestShapes:
    def test_selectors_tolerations_and_affinity(self) -> None:
        required = {
            "nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]}]
        }
        found = decoded(
            nodeSelector={"z": "1", "a": "2"},
            tolerations=[{"key": "gpu", "operator": "Exists"}, {}],
            affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}},
        ).shape
        assert found.node_selector == (("a", "2"), ("z", "1"))
        assert found.tolerations == (Toleration("gpu", "Exists"), Toleration())
        assert found.affinity == (NodeTerm((Requirement("a", "In", ("b",)),)),)

    def test_equal_shapes_are_one_object(self) -> None:
        assert decoded(nodeSelector={"a": "1"}).shape is decoded(nodeSelector={"a": "1"}).shape
