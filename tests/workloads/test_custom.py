"""Kinds that a configuration describes: read like those that are built in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler import manifests
from scheduler.config import parse_config
from scheduler.model import InvalidInput, Owner
from scheduler.owners import read
from scheduler.workloads.gangs import assemble, membership_of
from scheduler.workloads.kinds import KINDS, Kind, rights

CONFIG = """
apiVersion: lockstep.scheduling/v1alpha1
kind: LockstepConfiguration
workloads:
  families: [jobset]
  kinds:
  - apiVersion: example.com/v1
    kind: TrainRun
    plural: trainruns
    templates:
    - {group: driver, path: spec.driver}
    - {group: worker, path: "spec.pools[0].template", replicas: "spec.pools[0].count"}
    least: spec.atLeast
    required: spec.place.level
    indexLabel: example.com/index
    groupLabel: example.com/role
"""

RUN: dict[str, Any] = {
    "apiVersion": "example.com/v1",
    "kind": "TrainRun",
    "metadata": {"name": "run"},
    "spec": {
        "driver": {"spec": {"containers": [{"name": "d"}]}},
        "pools": [
            {
                "count": 3,
                "template": {
                    "spec": {"containers": [{"name": "w", "resources": {"limits": {"nvidia.com/gpu": "8"}}}]}
                },
            }
        ],
        "place": {"level": "rack"},
    },
}


def kinds(text: str = CONFIG) -> tuple[Kind, ...]:
    return parse_config(text, name="c").kinds


def expanded(document: dict[str, Any]) -> manifests.Expanded:
    return manifests.workloads(manifests.documents([document], name="f"), kinds=kinds())


def test_a_custom_kind_becomes_its_gang() -> None:
    found = expanded(RUN)
    assert found.faults == ()
    known = {one.key: one for one in found.workloads}
    gang = assemble([(pod, m) for pod in found.pods if (m := membership_of(pod, known))])
    assert [m.pod.name for m in gang.members] == [
        "run-driver-0",
        "run-worker-0",
        "run-worker-1",
        "run-worker-2",
    ]
    assert (gang.source, gang.size) == ("TrainRun", 4)
    assert [(c.scope, c.level, c.required) for c in gang.constraints] == [("gang", "rack", True)]


def test_live_pods_are_numbered_by_the_label_of_the_mapping_at_any_height_below() -> None:
    found = expanded(RUN)
    run = found.workloads[0]
    between = read(
        {
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": {
                "name": "run-set",
                "ownerReferences": [
                    {"apiVersion": "example.com/v1", "kind": "TrainRun", "name": "run", "controller": True}
                ],
            },
            "spec": {"replicas": 2, "podManagementPolicy": "Parallel"},
        }
    )
    assert between is not None
    pod = replace(
        found.pods[1],
        owner=Owner("apps/v1", "StatefulSet", "run-set", "u"),
        labels={"example.com/index": "3", "example.com/role": "worker"},
    )
    membership = membership_of(pod, {run.key: run, between.key: between})
    assert membership is not None
    assert (membership.gang.name, membership.rank, membership.group) == ("run", 3, "worker")


def test_families_are_chosen_and_rights_follow() -> None:
    assert rights(kinds=kinds()) == (("example.com", "trainruns"), ("jobset.x-k8s.io", "jobsets"))
    assert parse_config(CONFIG.partition("workloads")[0], name="c").kinds == KINDS


@pytest.mark.parametrize(
    ("old", "new", "field", "value"),
    [
        ("example.com/v1", "v1", "workloads.kinds[0].apiVersion", "v1"),
        ("[jobset]", "[jobsets]", "workloads.families", "jobsets"),
        ("spec.atLeast", "spec..x", "workloads.kinds[0].least", "spec..x"),
        ("path: spec.driver", "paths: spec.driver", "workloads.kinds[0].templates[0].paths", "paths"),
        ("example.com/index", "-x", "workloads.kinds[0].indexLabel", "-x"),
        ("plural: trainruns", "plural: ''", "workloads.kinds[0].plural", ""),
    ],
)
def test_what_is_wrong_is_told_with_its_line(old: str, new: str, field: str, value: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        kinds(CONFIG.replace(old, new, 1))
    fault = caught.value.faults[0]
    assert (fault.field, fault.value) == (field, value)
    assert fault.object.startswith("c:")


def test_a_kind_that_is_built_in_or_told_twice_is_refused() -> None:
    twice = CONFIG + CONFIG.partition("  kinds:\n")[2]
    with pytest.raises(InvalidInput, match="every kind once"):
        kinds(twice)
    known = CONFIG.replace("example.com/v1", "jobset.x-k8s.io/v1").replace("TrainRun", "JobSet")
    with pytest.raises(InvalidInput, match="is read already"):
        kinds(known)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"pools": [{"count": -1}]}, "spec.pools[0].count"),
        ({"pools": {}}, "spec.pools[0].count"),
        ({"driver": "x"}, "spec.driver"),
        ({"atLeast": "two"}, "spec.atLeast"),
    ],
)
def test_an_object_that_is_not_as_described_names_the_path(change: dict[str, Any], field: str) -> None:
    (fault,) = expanded(RUN | {"spec": RUN["spec"] | change}).faults
    assert fault.field == field


@settings(deadline=None, max_examples=100)
@given(
    st.recursive(
        st.none() | st.integers(-2, 3) | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=2)
            | st.dictionaries(
                st.sampled_from(["driver", "pools", "count", "template", "place", "level", "atLeast"]),
                inner,
                max_size=4,
            )
        ),
        max_leaves=10,
    )
)
def test_any_object_gives_pods_or_faults(spec: Any) -> None:
    found = expanded(RUN | {"spec": spec})
    assert found.pods or found.faults or not found.faults
    for fault in found.faults:
        assert fault.object
        assert fault.wanted
