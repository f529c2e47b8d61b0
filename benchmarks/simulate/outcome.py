"""What became of one job, and the words for sizes and nodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from benchmarks.simulate.seats import Seat
from benchmarks.simulate.stats import rounded

CLASSES = (("0", 0), ("1", 1), ("2-8", 8), ("9-64", 64), ("65-256", 256), (">256", 1 << 62))
"""Size classes by GPUs: name and the most GPUs in it."""


@dataclass(slots=True)
class Outcome:
    """What became of one job, the `number`-th to come; times in seconds of the simulation, None while they
    are not known. `least`: per level the fewest domains that could hold it. `seat`: where it sat
    after its last start, which was at `placed_s`.
    """

    number: int
    id: str
    submit_s: float
    run_s: float
    pods: int
    gpus: int
    tenant: str
    start_s: float | None = None
    end_s: float | None = None
    restarts: int = 0
    lost_s: float = 0.0
    proof: str = ""
    least: tuple[int, ...] = ()
    priority: int = 0
    placed_s: float | None = None
    seat: Seat | None = None


JOB_COLUMNS = (
    "id",
    "submit_s",
    "start_s",
    "end_s",
    "pods",
    "gpus",
    "tenant",
    "restarts",
    "spans",
    "least",
    "proof",
    "nodes",
    "placed_s",
    "step_ms",
    "step_ms_least",
    "step_ms_most",
    "step_ratio",
)


def job_row(one: Outcome) -> list[Any]:
    """One job as a row of `JOB_COLUMNS`."""
    seat = one.seat
    return [
        one.id,
        _time(one.submit_s),
        _time(one.start_s),
        _time(one.end_s),
        one.pods,
        one.gpus,
        one.tenant,
        one.restarts,
        () if seat is None else seat.spans,
        one.least,
        one.proof,
        "" if seat is None else seat.nodes,
        _time(one.placed_s),
        *_price(seat),
    ]


def _time(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)


def _price(seat: Seat | None) -> list[float | None]:
    """Step time of a gang of several pods in milliseconds, its range, and its ratio to that alone."""
    if seat is None or seat.talk is None:
        return [None] * 4
    return [*(rounded(us / 1e3) for us in seat.talk.price.time.numbers), rounded(seat.talk.ratio)]


def class_of(gpus: int) -> str:
    """The size class of a job by its GPUs."""
    return next(name for name, most in CLASSES if gpus <= most)
