"""The samples of a simulation as columns, for documents and plots."""

from __future__ import annotations

from typing import Any

from benchmarks.simulate.deep import SIZES
from benchmarks.simulate.samples import DEEP_EVERY, Samples
from benchmarks.simulate.stats import rounded


def timeline(samples: Samples) -> dict[str, Any]:
    """One value per `every_s`, the first at 0; those under `deep` at every `deep_every_s`."""
    taken, deep, levels = samples.taken, samples.deep, samples.site.levels
    return {
        "every_s": samples.every_s,
        "busy_gpus": [one.busy_gpus for one in taken],
        "open_gpus": [one.open_gpus for one in taken],
        "queued": [one.queued for one in taken],
        "gfr": [round(one.gfr, 4) for one in taken],
        "fragmented": {level: [round(one.fragmented[level], 4) for one in taken] for level in levels},
        "largest": {level: [one.largest[level] for one in taken] for level in levels},
        "deep_every_s": samples.every_s * DEEP_EVERY,
        "fgd": [rounded(one.fgd) for one in deep],
        "gang": [rounded(one.gang) for one in deep],
        "slot_gpus": list(SIZES),
        "slots": {level: [list(one.slots[level]) for one in deep] for level in ("cluster", *levels)},
    }
