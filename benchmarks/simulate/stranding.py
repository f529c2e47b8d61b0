"""Why free GPUs are of no use to a task mix: FGD's measure, taken apart by what is lacking."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from benchmarks.simulate.fractional import Fleet, Typical

REASONS = ("no GPU asked", "model", "CPU", "memory", "GPUs")
"""What is said of a task on a machine, the first that holds: it asks for no GPU, the model is not allowed,
CPU or memory do not suffice, too few GPUs have enough left (all that is too small included)."""


def stranded(state: Fleet, mix: Typical) -> dict[str, float]:
    """Per reason the share of all GPUs; together FGD's fragmented share."""
    gpu = state.gpu
    left = gpu.sum(axis=1)[:, None]
    enough = gpu[:, None, :] >= mix.milli[None, :, None]
    short = np.where(enough, 0, gpu[:, None, :]).sum(axis=2)
    lacking: list[tuple[str, Any]] = [
        ("no GPU asked", np.broadcast_to(mix.gpus == 0, short.shape)),
        ("model", ~mix.allowed[:, state.model].T),
        ("CPU", state.cpu[:, None] < mix.cpu),
        ("memory", state.memory[:, None] < mix.memory),
        ("GPUs", (enough & (gpu[:, None, :] > 0)).sum(axis=2) < mix.gpus),
    ]
    open_pairs = np.ones(short.shape, dtype=np.bool_)
    found = {}
    for reason, lacks in lacking:
        here = open_pairs & lacks
        found[reason] = float((np.where(here, left, 0) @ mix.weight).sum())
        open_pairs &= ~lacks
    found["GPUs"] += float((np.where(open_pairs, short, 0) @ mix.weight).sum())
    return {reason: round(milli / state.capacity, 6) for reason, milli in found.items()}
