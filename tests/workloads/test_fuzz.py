"""Whatever labels and annotations say, a pod has a gang, has none, or is told what is wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler import manifests
from scheduler.model import InvalidInput
from scheduler.owners import of_kind
from scheduler.workloads import keys
from scheduler.workloads.gangs import assemble, membership_of
from scheduler.workloads.kinds import KINDS, Kind
from tests.builders import pod

KEYS = (
    *keys.NAMING,
    *keys.INDEX_LABELS,
    *(
        keys.LWS + one
        for one in ("size", "group-index", "subgroup-size", "subgroup-index", "exclusive-topology")
    ),
    *(keys.JOBSET + one for one in ("restart-attempt", "global-replicas", "job-index", "replicatedjob-name")),
    *(keys.KUEUE + one for one in ("pod-group-name", "pod-group-total-count", "podset-slice-size")),
    *(keys.KOORDINATOR + one for one in ("groups", "network-topology-spec", "min-available", "total-number")),
    *(keys.YUNIKORN + one for one in ("app-id", "task-groups", "task-group-name")),
    keys.VOLCANO + "network-topology-highest-tier",
    keys.RAY + "replica-host-index",
)
VALUES = st.sampled_from(["0", "1", "2", "-1", "x", "", "9" * 30, "[]", "{}", '[{"minMember": 2}]', "null"])
SAID = st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=8)


@settings(deadline=None, max_examples=300)
@given(SAID, SAID)
def test_any_labels_and_annotations(labels: dict[str, str], annotations: dict[str, str]) -> None:
    one = replace(pod("p"), labels=labels, annotations=annotations)
    try:
        membership = membership_of(one, {})
        if membership is not None:
            assemble([(one, membership)])
    except InvalidInput as error:
        assert all(fault.object and fault.wanted for fault in error.faults)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 200_000) | st.text(max_size=3) | st.just("2"),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            [
                "replicas", "template", "spec", "metadata", "name", "cliques", "podCliqueScalingGroups",
                "cliqueNames", "minAvailable", "minMember", "replicatedJobs", "roles", "tasks",
                "workerGroupSpecs", "headGroupSpec", "groupName", "numOfHosts", "services", "components",
                "multinode", "nodeCount", "podgroups", "topologyConstraint", "pack", "subGroups",
                "pytorchReplicaSpecs", "Worker", "executor", "driver", "predictor", "workerSpec",
                "multiNode", "parallelism", "schedulingPolicy", "gang", "networkTopology",
            ]
        ),
        inner,
        max_size=5,
    ),
    max_leaves=16,
)  # fmt: skip


@settings(deadline=None, max_examples=400)
@given(st.sampled_from(KINDS), ANYTHING)
def test_any_object_of_any_kind(kind: Kind, spec: Any) -> None:
    version = f"{kind.group}/{kind.versions[0]}" if kind.group else kind.versions[0]
    document = {"apiVersion": version, "kind": kind.kind, "metadata": {"name": "w"}, "spec": spec}
    found = manifests.workloads(manifests.documents([document], name="f"))
    assert all(fault.object and fault.wanted for fault in found.faults)
    try:
        of_kind(kind, document)
    except InvalidInput as error:
        assert error.faults
