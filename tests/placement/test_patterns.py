"""Combinations of pod shapes on a node, against trying them all."""

from __future__ import annotations

from itertools import product

import numpy as np

from scheduler.placement.patterns import maximal_patterns


def test_exactly_the_maximal_combinations() -> None:
    for seed in range(300):
        draw = np.random.default_rng(seed)
        shapes, rows = int(draw.integers(1, 4)), int(draw.integers(1, 3))
        free = draw.integers(0, 9, rows).tolist()
        requests = draw.integers(0, 4, (shapes, rows)).tolist()
        most = draw.integers(0, 5, shapes).tolist()
        columns = list(zip(*requests, strict=True))

        def fits(taken: tuple[int, ...]) -> bool:
            return all(
                sum(n * ask for n, ask in zip(taken, column, strict=True)) <= have
                for column, have in zip(columns, free, strict=True)  # noqa: B023  (asked at once)
            )

        every = [taken for taken in product(*(range(n + 1) for n in most)) if fits(taken)]
        maximal = {one for one in every if not any(_below(one, other) for other in every)}
        found = maximal_patterns(free, requests, most)
        assert found is not None
        assert set(found) == maximal, seed
        assert len(found) == len(maximal), seed


def test_too_many_are_not_listed() -> None:
    assert maximal_patterns([1000], [[1], [2], [3]], [1000, 1000, 1000]) is None


def _below(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))
