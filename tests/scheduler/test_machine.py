"""The service as one state machine against a slow model: a few histories here, many as a drill."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.drills.machine import World

DRILL = bool(os.environ.get("LOCKSTEP_DRILLS"))
HISTORIES, STEPS = (10_000, 25) if DRILL else (25, 25)
_SETTINGS = settings(
    max_examples=HISTORIES,
    stateful_step_count=STEPS,
    deadline=None,
    derandomize=not DRILL,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)


def test_whatever_happens_the_promises_are_kept() -> None:
    run_state_machine_as_test(World, settings=_SETTINGS)
    print(f"figure: {HISTORIES} histories of up to {STEPS} steps, 0 broken promises")


def test_who_slept_past_its_lease_and_hears_of_a_later_term_writes_no_more() -> None:
    """Where the clock stood still with the process, its lease looks fresh when it wakes up."""
    world = World()
    world.time_passes(seconds=0.05)
    world.a_replica_starts()
    world.time_passes(seconds=0.05)
    world.the_leader_sleeps(seconds=30.0)
    world.the_api_server_changes(slow_s=0.02, lose=0.0, busy=0.0)
    world.gang_comes(size=3, gpus=2, one_rack=True)
    world.time_passes(seconds=25.0)
    world.promises_are_kept()
    world.teardown()


def test_the_model_orders_terms_by_their_lease_and_not_by_who_was_ready_first() -> None:
    """A leader may fall asleep before it is ready, and wake up, ready for a moment, after its successor."""
    world = World()
    try:
        assert world.watcher.newer("10-ab", "9-cd")
        assert not world.watcher.newer("9-cd", "10-ab")
        assert not world.watcher.newer("1-ab", "1-cd")
        assert not world.watcher.newer("", "0-ab")
        assert not world.watcher.newer("0-ab", "")
    finally:
        world.teardown()
