"""Small sums that the figures are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np


def percentiles(values: Any) -> dict[str, float]:
    """Mean, p50, p95, p99 and the most of a row or an array, interpolated; zeros for nothing."""
    names = ("mean", "p50", "p95", "p99", "max")
    if not len(values):
        return dict.fromkeys(names, 0.0)
    array = np.asarray(values, dtype=np.float64)
    marks = np.percentile(array, [50, 95, 99])
    found = (array.mean(), *marks, array.max())
    return {name: rounded(float(value)) for name, value in zip(names, found, strict=True)}


def rounded(value: float) -> float:
    """To six decimals, as the document shows it."""
    return round(float(value), 6)


def average(values: Iterable[float]) -> float:
    """The mean, 0 of nothing."""
    found = list(values)
    return rounded(sum(found) / len(found)) if found else 0.0


def share(part: float, whole: float) -> float:
    """A part of a whole, 0 of nothing."""
    return rounded(part / whole) if whole else 0.0


# Two-sided 95 % quantiles of Student's t for 1 to 30 degrees of freedom.
_T95 = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
    *(2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
)


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Mean and half the width of its 95 % interval (Student's t); a half width of 0 for one value."""
    array = np.asarray(values, dtype=np.float64)
    count = len(array)
    if count < 2:
        return rounded(float(array.mean())) if count else 0.0, 0.0
    quantile = _T95[min(count - 1, len(_T95)) - 1] if count <= len(_T95) + 1 else 1.96
    half = quantile * float(array.std(ddof=1)) / count**0.5
    return rounded(float(array.mean())), rounded(half)
