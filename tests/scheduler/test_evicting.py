"""Whom an eviction may name: lower priority only, whole gangs, and nobody who belongs to a node."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scheduler.evicting import evictable, rank_of
from scheduler.manifests import Document
from scheduler.model import Owner
from scheduler.placement.changes import Occupant
from scheduler.priorities import classes_of, ranked
from tests.builders import pod

ONE = np.array([1], dtype=np.int64)


def occupant(kind: str, name: str) -> Occupant:
    return Occupant(kind, name, ((0, ONE),))


OWNERS = {"u1": ("gang", "default/a"), "u2": ("gang", "default/a"), "u3": ("pod", "default/b")}
EVERYONE = [occupant("gang", "default/a"), occupant("pod", "default/b"), occupant("gang", "default/held")]


@pytest.mark.parametrize(
    ("ranks", "priority", "named"),
    [
        ({}, 0, ["default/a", "default/b"]),  # nobody has a priority: all are equal
        ({}, 5, ["default/a", "default/b"]),
        ({"u1": 7}, 5, ["default/b"]),  # a gang is as important as its most important member
        ({"u1": 5, "u2": 5}, 5, ["default/b"]),
        ({"u3": 9}, 0, []),
        ({"u1": -1, "u2": -1}, 0, ["default/a"]),
        ({"u3": None}, 5, ["default/a"]),  # belongs to its node
    ],
)
def test_only_lower_priorities_are_named(
    ranks: dict[str, int | None], priority: int, named: list[str]
) -> None:
    found = evictable(EVERYONE, OWNERS, ranks, running=OWNERS, priority=priority)
    assert [one.name for one in found] == named


def test_the_rank_of_a_pod() -> None:
    one = replace(pod("p"), priority=3)
    assert rank_of(one) == 3
    assert rank_of(replace(one, owner=Owner("apps/v1", "DaemonSet", "d", "u"))) is None


def test_a_manifest_has_the_priority_of_its_class() -> None:
    documents = [
        Document("f", {"kind": "PriorityClass", "metadata": {"name": "high"}, "value": 1000}),
        Document("f", {"kind": "PriorityClass", "metadata": {"name": "wrong"}, "value": "x"}),
    ]
    classes = classes_of(documents)
    given = [
        replace(pod("a"), priority_class="high"),
        replace(pod("b"), priority=4),
        replace(pod("c"), priority_class="system-node-critical"),
        replace(pod("d"), priority_class="wrong"),
    ]
    found, faults = ranked(given, classes)
    assert [one.priority for one in found] == [1000, 4, 2_000_001_000, 0]
    assert [(fault.field, fault.value) for fault in faults] == [("spec.priorityClassName", "wrong")]
