"""The compiled loops and the array operations give the same answers, pruned or not."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from scheduler.placement import exact, kernels, shelves
from scheduler.placement.costs import INFEASIBLE
from scheduler.placement.place import place
from scheduler.placement.problem import Assignment, Int64
from scheduler.placement.tables import min_plus
from tests.placement import oracle
from tests.placement.instances import random_problem, random_racks, random_whole_nodes

INSTANCES = 150


@pytest.fixture
def machine_code() -> Iterator[None]:
    pytest.importorskip("numba")
    if not kernels.warm_up():
        pytest.skip("no folder to cache compiled loops in")
    yield
    kernels.cool_down()


@pytest.mark.parametrize("make", [random_problem, random_whole_nodes, random_racks])
def test_both_ways_give_the_same_nodes(make, machine_code: None) -> None:  # type: ignore[no-untyped-def]
    feasible = 0
    for seed in range(INSTANCES):
        problem = make(np.random.default_rng(seed))
        kernels.warm_up()
        one = place(problem)
        kernels.cool_down()
        other = place(problem)
        assert isinstance(one, Assignment) == isinstance(other, Assignment), seed
        if isinstance(one, Assignment) and isinstance(other, Assignment):
            feasible += 1
            assert one.nodes.tolist() == other.nodes.tolist(), seed
            assert one.terms == other.terms, seed
            assert tuple(term.value for term in one.terms) == oracle.best(problem), seed
    assert INSTANCES // 4 < feasible < INSTANCES


@pytest.mark.parametrize("digit", [1, 1 << 8, 1 << 50])
def test_no_bound_cuts_an_optimum_off(digit: int, machine_code: None) -> None:
    """Random tables whose leading digit weighs little, or all, folded with bounds and without."""
    there = 0
    for seed in range(INSTANCES):
        draw = np.random.default_rng(seed)
        tables = [_table(draw, digit) for _ in range(draw.integers(1, 7))]
        target = int(draw.integers(1, 14))
        wanted = _without_bounds(tables, target)
        ceiling = None if draw.random() < 0.5 else int(draw.integers(0, 8)) * digit
        if ceiling is not None and wanted is not None and wanted[0] > ceiling:
            wanted = None
        answers = []
        for compile_them in (True, False):
            kernels.warm_up() if compile_them else kernels.cool_down()
            answers.append(exact.fold_exactly(tables, target=target, digit=digit, ceiling=ceiling))
        for found in answers:
            assert (found is None) == (wanted is None), seed
            if found is not None:
                there += 1
                cost, taken = found
                assert cost.tolist() == wanted, seed
                assert int(taken.sum()) == target
                rows = np.array([one[units] for one, units in zip(tables, taken.tolist(), strict=True)])
                assert rows.sum(axis=0).tolist() == wanted
        if answers[0] is not None and answers[1] is not None:
            assert answers[0][1].tolist() == answers[1][1].tolist(), seed
    assert INSTANCES // 4 < there < 2 * INSTANCES


def _table(draw: np.random.Generator, digit: int) -> Int64:
    rows = int(draw.integers(1, 6))
    first = draw.integers(0, 4, rows + 1) * digit + draw.integers(0, max(digit, 2), rows + 1)
    table = np.column_stack([first, draw.integers(0, 5, rows + 1)]).astype(np.int64)
    table[0] = 0
    table[1:][draw.random(rows) < 0.2, 0] = INFEASIBLE
    return table


def _without_bounds(tables: list[Int64], target: int) -> list[int] | None:
    cost = np.zeros((1, 2), dtype=np.int64)
    for table in tables:
        cost, _ = min_plus(cost, table, 1000)
    if len(cost) <= target or cost[target, 0] >= INFEASIBLE:
        return None
    return [int(word) for word in cost[target]]


def test_covers_are_the_same(machine_code: None) -> None:
    loop = kernels.compiled("cover")
    assert loop is not None
    for seed in range(INSTANCES):
        draw = np.random.default_rng(seed)
        counts = draw.integers(1, 6, draw.integers(1, 5))
        slots = np.concatenate(([0], np.cumsum(counts)))
        sizes = draw.integers(0, 5, int(slots[-1]))
        price = draw.integers(0, 9, (len(sizes), 2))
        totals = np.minimum(np.add.reduceat(sizes, slots[:-1]), 9)
        rows = np.concatenate(([0], np.cumsum(totals + 1)))
        given = (sizes, price, slots, rows, int(totals.max()))
        (one, used), (other, chosen) = loop(*given), shelves._cover(*given)
        assert one.tolist() == other.tolist(), seed
        for domain, total in enumerate(totals.tolist()):
            own = slice(slots[domain], slots[domain + 1])
            assert used[own, : total + 1].tolist() == chosen[own, : total + 1].tolist(), seed


def test_without_a_folder_for_the_cache_nothing_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    numba = pytest.importorskip("numba")

    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr(numba, "njit", refuse)
    kernels.cool_down()
    kernels._made.cache_clear()
    assert not kernels.warm_up()
    assert kernels.compiled("fold") is None
    kernels._made.cache_clear()
