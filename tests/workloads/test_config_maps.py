"""What ConfigMaps add to the environment of a container, as the kubelet would, and where it is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from scheduler.containers import ConfigMap, Container, filled
from scheduler.kube.objects import from_dict
from scheduler.model import Pod
from scheduler.settings import config_map_of, with_settings
from scheduler.workloads.elsewhere import maps_of, unknown_of
from scheduler.workloads.parallelism import of_pod

VLLM, NIM = "vllm/vllm-openai:v0.11", "nvcr.io/nim/meta/llama3-70b:1.8"
TP = "NIM_TENSOR_PARALLEL_SIZE"


def live(*, gpus: int = 8, image: str = NIM, **container: Any) -> Pod:
    limits = {"limits": {"nvidia.com/gpu": str(gpus)}} if gpus else {}
    spec = {"containers": [{"name": "main", "image": image, "resources": limits, **container}]}
    one = from_dict(
        "Pod", {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "d"}, "spec": spec}
    )
    assert isinstance(one, Pod)
    return one


def whole(name: str, **more: Any) -> dict[str, Any]:
    return {
        "configMapRef": {"name": name, **({"optional": True} if more.pop("optional", False) else {})},
        **more,
    }


def keyed(variable: str, *, name: str = "sizes", key: str = "tp", optional: bool = False) -> dict[str, Any]:
    return {
        "name": variable,
        "valueFrom": {"configMapKeyRef": {"name": name, "key": key, "optional": optional}},
    }


def read(one: Pod, maps: Mapping[str, Mapping[str, Any]]) -> Container:
    """The container of a pod with these ConfigMaps; what is not among them is not there."""
    (container,) = one.containers
    return filled(container, lambda name: ConfigMap(maps.get(name)))


@pytest.mark.parametrize(
    ("container", "wanted"),
    [
        ({"envFrom": [whole("a"), whole("b")]}, "2"),
        ({"envFrom": [whole("b"), whole("a")]}, "1"),
        ({"envFrom": [whole("a")], "env": [{"name": "X", "value": "9"}]}, "9"),
        ({"envFrom": [whole("a")], "env": [keyed("X", name="b", key="X")]}, "2"),
        ({"env": [{"name": "X", "value": "9"}, keyed("X", name="b", key="X")]}, "2"),
        ({"env": [keyed("X", name="b", key="X"), {"name": "X", "value": "9"}]}, "9"),
        ({"envFrom": [whole("a", prefix="P_")]}, None),
        ({"envFrom": [whole("a")], "env": [keyed("X", name="none", optional=True)]}, None),
    ],
)
def test_what_counts_of_several_is_what_counts_for_the_kubelet(
    container: dict[str, Any], wanted: str | None
) -> None:
    found = read(live(**container), {"a": {"X": "1"}, "b": {"X": "2"}})
    assert dict(found.env).get("X") == wanted and not found.unread
    assert len(dict(found.env)) == len(found.env)


@pytest.mark.parametrize(
    ("container", "why"),
    [
        ({"envFrom": [whole("none")]}, "there is none"),
        ({"envFrom": [whole("none", optional=True)]}, None),
        ({"env": [keyed(TP, name="none")]}, "there is none"),
        ({"env": [keyed(TP, key="pp")]}, "it has no key pp"),
        ({"env": [keyed(TP, key="pp", optional=True)]}, None),
    ],
)
def test_what_is_not_there_is_told_unless_it_need_not_be(container: dict[str, Any], why: str | None) -> None:
    found = read(live(**container), {"sizes": {"tp": "8"}})
    assert [one.why for one in found.unread] == ([why] if why else [])


def test_a_second_reading_replaces_the_first() -> None:
    one = live(envFrom=[whole("sizes")], env=[{"name": "HOME", "value": "/"}])
    (first,) = with_settings(one, lambda *_: {"data": {TP: "8", "OLD": "1"}}).containers
    second = filled(first, lambda _: ConfigMap({TP: "4"}))
    assert second.env == (("HOME", "/"), (TP, "4"))
    assert [str(one) for one in second.given] == [f"ConfigMap sizes, key {TP}"]


@pytest.mark.parametrize(
    ("container", "source"),
    [
        ({"envFrom": [whole("sizes")]}, f"container main: env {TP} (ConfigMap sizes, key {TP})"),
        ({"env": [keyed(TP, key="any")]}, f"container main: env {TP} (ConfigMap sizes, key any)"),
        (
            {"image": VLLM, "args": ["-tp", "$(WIDTH)"], "env": [keyed("WIDTH", key="any")]},
            "container main: -tp (WIDTH from ConfigMap sizes, key any)",
        ),
    ],
)
def test_the_source_of_a_size_names_the_config_map_and_its_key(
    container: dict[str, Any], source: str
) -> None:
    one = with_settings(live(**container), lambda *_: {"data": {TP: "16", "any": "16"}})
    found = of_pod(one)
    assert found.tensor == 16 and dict(found.sources)["tp"] == source
    assert not list(unknown_of(one, found))


@pytest.mark.parametrize(
    ("container", "wanted"),
    [
        ({"envFrom": [whole("a"), whole("b")]}, ["a", "b"]),
        ({"envFrom": [whole("a")], "gpus": 0}, []),
        ({"env": [keyed(TP)]}, ["sizes"]),
        ({"env": [keyed("HOME")]}, []),
        ({"env": [keyed("WIDTH")], "args": ["-tp=$(WIDTH)"], "image": VLLM}, ["sizes"]),
        ({"env": [{"name": "P", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}, []),
    ],
)
def test_only_those_are_wanted_that_may_tell_a_size(container: dict[str, Any], wanted: list[str]) -> None:
    assert list(maps_of(live(**container))) == wanted


@pytest.mark.parametrize(
    ("document", "wanted"),
    [
        ({}, ConfigMap({})),
        ({"data": None}, ConfigMap({})),
        ({"data": {"a": "1", "file": "x" * 5000, "n": 3}}, ConfigMap({"a": "1"})),
        ({"data": [1]}, ConfigMap(why="its data is no mapping")),
        (
            {"data": {f"k{n}": "x" * 1000 for n in range(70)}},
            ConfigMap(why="its short values are more than 64 KiB"),
        ),
    ],
)
def test_of_a_config_map_short_text_is_kept_within_bounds(
    document: dict[str, Any], wanted: ConfigMap
) -> None:
    assert config_map_of(document) == wanted
