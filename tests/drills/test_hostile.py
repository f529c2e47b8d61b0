"""Drill 13: hostile bodies to every decoder; anything but a good answer or a named refusal is a crash.

`LOCKSTEP_DRILLS` set: 120,000 inputs; else a few thousand, for every run of the tests.
"""

from __future__ import annotations

import copy
import json
import os
import random
from collections.abc import Callable
from typing import Any

import pytest

from scheduler.engine.facts import PodSeen
from scheduler.extender import answers, wire
from scheduler.kube.objects import decode_event, decode_list, pod_from_bytes
from scheduler.model import InvalidInput
from tests.builders import engine_with, members, plan_all, see, two_leaves

COUNT = 120_000 if os.environ.get("LOCKSTEP_DRILLS") else 3_000

ANNOTATIONS = {"lockstep.scheduling/gang": "g"}
POD: dict[str, Any] = {
    "metadata": {"name": "g-0", "namespace": "default", "uid": "u", "annotations": ANNOTATIONS},
    "spec": {
        "containers": [{"name": "c", "resources": {"limits": {"nvidia.com/gpu": "8"}}, "args": ["--tp"]}],
        "schedulingGates": [{"name": "lockstep.scheduling/gang"}],
        "tolerations": [{"key": "a", "operator": "Exists"}],
    },
    "status": {"phase": "Pending"},
}
NODE = {"metadata": {"name": "n", "labels": {"a": "b"}}, "status": {"allocatable": {"cpu": "8", "pods": 110}}}
VICTIMS = {"n1": {"Pods": [{"UID": "u"}], "NumPDBViolations": 0}, "n2": {"Pods": []}}
GOOD: tuple[Any, ...] = (
    {"Pod": POD, "Nodes": None, "NodeNames": ["n1", "n2"]},
    {"Pod": POD, "Nodes": {"items": [NODE]}, "NodeNames": None},
    {"PodName": "p", "PodNamespace": "d", "PodUID": "u", "Node": "n1"},
    {
        "Pod": POD,
        "NodeNameToMetaVictims": {"n1": {"Pods": [{"UID": "u"}], "NumPDBViolations": 0}, "n2": {"Pods": []}},
    },
    POD,
    {"metadata": {"resourceVersion": "1"}, "items": [POD, NODE]},
    {"type": "ADDED", "object": POD},
    {"type": "ERROR", "object": {"code": 410}},
)
NASTY: tuple[Any, ...] = (
    *(None, "", "x" * 5000, -1, 0, 2**63, -(2**70), 1e308, float("nan"), float("inf"), True),
    *([], {}, [[]], {"": {}}, "\x00", "\ud800", "\uff11\uff12", "-0", "1e9999", "9" * 400, "\u0663"),
    *("../../etc/passwd", "{{7*7}}", "%s%n", "\x1b[31m", "\u202e"),
)


def mutated(dice: random.Random) -> bytes:
    """One good body with something wrong in it: a value, a key, its bytes, its end, or its depth."""
    body = json.loads(json.dumps(dice.choice(GOOD)))
    kind = dice.randrange(6)
    if kind < 3:
        for _ in range(dice.randint(1, 4)):
            _spoil(body, dice)
    text = json.dumps(body).encode("utf-8", "surrogatepass")
    if kind == 3:
        at = dice.randrange(len(text))
        text = text[:at] + bytes(dice.randrange(256) for _ in range(dice.randint(1, 4))) + text[at + 1 :]
    elif kind == 4:
        text = text[: dice.randrange(len(text))]
    elif kind == 5:
        depth = dice.choice((10, 1000, 20_000))
        text = dice.choice((b"[", b'{"a":', b'{"Pod":')) * depth
    return text


def _spoil(body: Any, dice: random.Random) -> None:
    while isinstance(body, dict | list) and body:
        key = dice.choice(list(body)) if isinstance(body, dict) else dice.randrange(len(body))
        if dice.random() < 0.3 or not isinstance(body[key], dict | list) or not body[key]:
            if isinstance(body, dict) and dice.random() < 0.2:
                body[dice.choice(("", "__class__", "Pod", "items", "x" * 300))] = body.pop(key)
            else:
                body[key] = copy.deepcopy(dice.choice(NASTY))
            return
        body = body[key]


def decoders() -> dict[str, Callable[[bytes], object]]:
    """Everything that reads bytes of others, on an engine with a gang that is planned."""
    engine = engine_with(*two_leaves())
    see(engine, *members("planned", 4))
    plan_all(engine)

    def pod_seen(body: bytes) -> None:
        engine.observe(PodSeen(pod_from_bytes(body)))
        engine.refresh(1.0)

    return {
        "filter": lambda body: answers.filter_nodes(engine, body, 1.0),
        "prioritize": lambda body: answers.prioritize_nodes(engine, body),
        "preempt": lambda body: answers.preempt(engine, body),
        "bind": wire.read_bind,
        "pod": pod_seen,
        "pods": lambda body: decode_list(body, "Pod"),
        "nodes": lambda body: decode_list(body, "Node"),
        "groups": lambda body: decode_list(body, "PodGroup"),
        "event": lambda body: decode_event(body, "Pod"),
    }


@pytest.mark.parametrize("name", sorted(decoders()))
def test_hostile_bodies_are_answered_or_refused_by_name(name: str) -> None:
    decoder, dice = decoders()[name], random.Random(name)
    refused = 0
    for _ in range(COUNT // len(decoders()) + 1):
        body = mutated(dice)
        try:
            decoder(body)
        except InvalidInput as fault:
            assert str(fault)
            refused += 1
        except Exception as error:
            raise AssertionError(f"{name} broke on {body[:400]!r}") from error
    print(f"figure: {name}: {COUNT // len(decoders()) + 1} inputs, {refused} refused by name, 0 crashes")
