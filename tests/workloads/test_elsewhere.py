"""Sizes that stand in files, profiles and ConfigMaps are told as unknown, never passed over."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from scheduler.containers import Container
from scheduler.kube.objects import from_dict
from scheduler.model import InvalidInput, Parallelism, Pod
from scheduler.settings import with_settings
from scheduler.workloads.elsewhere import unknown_of
from scheduler.workloads.launchers import doubts_of
from scheduler.workloads.parallelism import of_pod
from tests.builders import pod

VLLM, SGLANG = "vllm/vllm-openai:v0.11", "lmsysorg/sglang:latest"


def told(one: Pod) -> list[str]:
    return list(unknown_of(one, of_pod(one)))


def with_words(*words: str, image: str = VLLM, env: tuple[tuple[str, str], ...] = ()) -> Pod:
    return replace(pod("p"), containers=(Container("main", image, (), words, env),))


@pytest.mark.parametrize(
    ("one", "wanted"),
    [
        (with_words("--config", "/etc/vllm.yaml"), "--config /etc/vllm.yaml is a file"),
        (with_words("--config=/etc/x.yaml", image=SGLANG), "--config /etc/x.yaml is a file"),
        (with_words("--config", "/etc/vllm.yaml", "-tp", "8"), None),
        (with_words("--config", "a.ini", image="nginx"), None),
        (
            with_words(env=(("NIM_MODEL_PROFILE", "vllm-bf16-tp8"),)),
            "NIM_MODEL_PROFILE=vllm-bf16-tp8 chooses",
        ),
        (with_words("--tensor-parallel-size 8 -pp 2"), "is one item of its command line"),
        (with_words("--model", "m"), None),
    ],
)
def test_where_sizes_may_stand_unread(one: Pod, wanted: str | None) -> None:
    found = told(one)
    assert bool(found) == (wanted is not None), found
    if wanted is not None:
        assert found[0].startswith("pod default/p container main: ") and wanted in found[0]


def live(**container: Any) -> dict[str, Any]:
    limits = {"limits": {"nvidia.com/gpu": "8"}}
    spec = {"containers": [{"name": "main", "image": VLLM, "resources": limits, **container}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "d"}, "spec": spec}


KEYED = [
    {"name": "NIM_TENSOR_PARALLEL_SIZE", "valueFrom": {"configMapKeyRef": {"name": "sizes", "key": "tp"}}}
]


@pytest.mark.parametrize(
    ("container", "wanted"),
    [
        ({"envFrom": [{"configMapRef": {"name": "sizes"}}]}, "envFrom ConfigMap sizes is not read"),
        ({"env": KEYED}, "env NIM_TENSOR_PARALLEL_SIZE comes from ConfigMap sizes"),
        ({"env": [{**KEYED[0], "name": "HOME"}]}, None),
        ({"envFrom": [{"secretRef": {"name": "token"}}]}, None),
    ],
)
def test_a_config_map_that_is_not_at_hand_is_told(container: dict[str, Any], wanted: str | None) -> None:
    one = from_dict("Pod", live(**container))
    assert isinstance(one, Pod)
    found = told(one)
    assert bool(found) == (wanted is not None), found
    if wanted is not None:
        assert wanted in found[0]


@pytest.mark.parametrize("container", [{"envFrom": [{"configMapRef": {"name": "sizes"}}]}, {"env": KEYED}])
def test_a_config_map_at_hand_is_read_and_nothing_is_told(container: dict[str, Any]) -> None:
    data = {"data": {"NIM_TENSOR_PARALLEL_SIZE": "8", "tp": "8"}}
    one = from_dict("Pod", live(**container))
    assert isinstance(one, Pod)
    one = with_settings(one, lambda *_: data)
    assert of_pod(one).tensor == 8 and told(one) == []


@pytest.mark.parametrize("words", [("-tp",), ("--model", "m", "--tensor-parallel-size"), ("--tp-size=",)])
def test_a_flag_without_its_value_is_a_fault(words: tuple[str, ...]) -> None:
    with pytest.raises(InvalidInput, match="''"):
        of_pod(with_words(*words))


def test_reductions_inside_switches_that_are_off_are_told_where_tp_spans_pods() -> None:
    env = (("NCCL_NVLS_ENABLE", "0"),)
    across, inside = Parallelism(tensor=16), Parallelism(tensor=8)
    (found,) = doubts_of(with_words(env=env), across)
    assert "NCCL_NVLS_ENABLE=0 turns reductions inside NVLink switches off, but tp 16 spans" in found
    assert not list(doubts_of(with_words(env=env), inside))
