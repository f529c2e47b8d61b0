"""Work that nobody waits for ends before the next solve."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest

from scheduler.model import GangKey
from scheduler.placement.changes import Surroundings
from scheduler.placement.explain import explain
from scheduler.placement.place import place
from scheduler.placement.problem import Abandoned, Limits, PlacementProblem, Rejection
from tests.builders import engine_with, members, pod, see, two_leaves


def after(questions: int) -> Callable[[], bool]:
    asked = count()
    return lambda: next(asked) >= questions


@pytest.fixture
def problem() -> PlacementProblem:
    """Four pods in one leaf, where both leaves are half full."""
    engine = engine_with(*two_leaves())
    see(engine, *(pod(f"p{at}", on=f"n{at}", phase="Running") for at in (1, 2, 5, 6)))
    see(engine, *members("g", 4, required="gang=leaf"))
    request = engine.next_request(0.0)
    assert request is not None
    assert request.gang.key == GangKey("default", "g")
    return request.problem


def test_place_is_not_begun(problem: PlacementProblem) -> None:
    with pytest.raises(Abandoned):
        place(problem, limits=Limits(abandoned=after(0)))


@pytest.mark.parametrize("questions", [0, 1, 3])
def test_an_explanation_ends_between_two_questions(problem: PlacementProblem, questions: int) -> None:
    refusal = place(problem)
    assert isinstance(refusal, Rejection)
    whole = explain(problem, refusal, Surroundings(), limits=Limits(abandoned=after(10_000)))
    assert whole.fixes
    with pytest.raises(Abandoned):
        explain(problem, refusal, Surroundings(), limits=Limits(abandoned=after(questions)))
