"""Shares of random instances: enough of each sort, or a comparison means nothing."""

from __future__ import annotations

from math import sqrt

DEVIATIONS = 3
"""Standard deviations that a small sample may be off by chance."""


def assert_share(count: int, *, of: int, least: float = 0.0, most: float = 1.0) -> None:
    """That `count` instances of `of` are a share between `least` and `most`, as far as so few can tell."""
    assert of > 0, "no instance at all"
    low = least * of - DEVIATIONS * sqrt(of * least * (1 - least))
    high = most * of + DEVIATIONS * sqrt(of * most * (1 - most))
    assert low <= count <= high, f"{count} of {of} instances, wanted {least:.0%} to {most:.0%}"
