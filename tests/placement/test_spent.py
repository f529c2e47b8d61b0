"""The price of a pod in capacity that is of use: by hand, against every node there is, and its limits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scheduler.model import Gang, GangKey, Member, Node, NodeName, PodKey, PodShape
from scheduler.placement.costs import tree_terms
from scheduler.placement.formulate import formulate
from scheduler.placement.model import solve_model
from scheduler.placement.objective import evaluate
from scheduler.placement.place import _on_tree, place
from scheduler.placement.problem import Assignment, Limits, PlacementProblem
from scheduler.placement.spent import TERM, spent
from scheduler.placement.tree import tree_form
from scheduler.world import World

GPU = "nvidia.com/gpu"


def given(
    nodes: list[tuple[int, int, int]],
    left: list[tuple[int, int, int]],
    asked: tuple[int, int, int],
    *,
    pods: int = 1,
) -> PlacementProblem:
    """A gang under `balanced`; CPU in cores, memory in GiB, GPUs: of every node, left there, and asked."""
    names = ("cpu", "memory", GPU)
    world = World()
    world.upsert_nodes(
        Node(NodeName(f"n{at}"), {}, allocatable={**dict(zip(names, one, strict=True)), "pods": 99})
        for at, one in enumerate(nodes)
    )
    requests = sorted((name, amount) for name, amount in zip(names, asked, strict=True) if amount)
    shape = PodShape((*requests, ("pods", 1)))
    members = tuple(Member(PodKey("", f"p{at}"), f"p{at}", at, "", shape) for at in range(pods))
    gang = Gang(GangKey("", "g"), pods, members, "test", policy="balanced")
    problem = formulate(gang, world.view())
    rows = {name: [one[at] for one in left] for at, name in enumerate(names)} | {"pods": [99] * len(nodes)}
    free = np.array([rows[name] for name in problem.cluster.resources], dtype=np.int64)
    return replace(problem, cluster=replace(problem.cluster, free=free))


def test_by_hand() -> None:
    """20 cores go with 4 GPUs that run: 5 a GPU. Node 0 can use 2 of its 4 GPUs, node 1 all 4."""
    problem = given([(20, 99, 6), (40, 99, 6)], [(10, 99, 4), (30, 99, 4)], (5, 0, 1))
    assert spent(problem).tolist() == [1, 1]
    hungry = given([(20, 99, 6), (40, 99, 6)], [(10, 99, 4), (30, 99, 4)], (10, 0, 1))
    assert spent(hungry).tolist() == [2, 1], "on node 0 two GPUs are left without cores"
    answer = place(hungry)
    assert isinstance(answer, Assignment)
    assert answer.nodes.tolist() == [1]
    assert answer.terms[0].term == TERM


def test_a_pod_without_gpus_leaves_none_behind() -> None:
    """All else equal it goes where no GPU needs its cores: node 1 has none, and more room to break."""
    problem = given([(16, 99, 8), (64, 99, 0)], [(16, 99, 8), (64, 99, 0)], (8, 0, 0))
    assert spent(problem).tolist() == [4, 0]
    answer = place(problem)
    assert isinstance(answer, Assignment)
    assert answer.nodes.tolist() == [1]


def test_memory_counts_as_cpu_does() -> None:
    problem = given([(80, 80, 8)] * 2, [(40, 30, 4), (40, 60, 4)], (0, 30, 1))
    assert spent(problem).tolist() == [3, 1], "8.75 GiB go with a GPU that runs"


def random_pod(seed: int) -> PlacementProblem:
    draw = np.random.default_rng(seed)
    size = int(draw.integers(1, 6))
    nodes = [(int(draw.choice([16, 32])), 64, int(draw.choice([0, 4, 8]))) for _ in range(size)]
    left = [tuple(int(draw.integers(0, most + 1)) for most in one) for one in nodes]
    asked = (int(draw.integers(0, 9)), int(draw.integers(0, 9)), int(draw.integers(0, 3)))
    return given(nodes, left, asked)  # type: ignore[arg-type]  # three of each


@pytest.mark.parametrize("seed", range(150))
def test_every_way_gives_the_best_of_all_nodes(seed: int) -> None:
    problem = random_pod(seed)
    assert (spent(problem) >= 0).all()
    answer = place(problem)
    room = [
        at
        for at in range(problem.cluster.size)
        if (problem.shapes[0].requests <= problem.cluster.free[:, at]).all()
    ]
    if not room:
        assert not isinstance(answer, Assignment)
        return
    assert isinstance(answer, Assignment)
    best = min(evaluate(problem, np.array([at], dtype=np.int32)) for at in room)
    form = tree_form(problem)
    assert form is not None
    others = [_on_tree(problem, form, tree_terms(problem, form)), solve_model(problem, Limits())]
    for one in (answer, *others):
        assert isinstance(one, Assignment)
        assert evaluate(problem, one.nodes) == best
        assert tuple(term.value for term in one.terms) == best


def test_gangs_of_several_are_packed_as_ever() -> None:
    problem = given([(20, 99, 6)] * 2, [(20, 99, 6)] * 2, (5, 0, 1), pods=2)
    assert TERM not in problem.terms
