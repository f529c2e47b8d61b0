"""Drill 1b: kill -9 of Lockstep at random moments of gang placements on the real control plane."""

from __future__ import annotations

import random
import time

from tests.drills.real import Stage

GANGS_AT_ONCE, PODS, GPUS = 4, 8, 2
"""What is being placed at every kill: together a quarter of the stage's GPUs."""


def random_kills(placements: int, *, seed: int = 1, within_s: float = 20.0) -> tuple[bool, str]:
    """Place some gangs at once, kill at a random moment, start again, see each whole; so many gangs."""
    dice = random.Random(seed)
    kills = -(-placements // GANGS_AT_ONCE)
    slowest_s, half, amid, overfull = 0.0, 0, 0, 0
    with Stage() as stage:
        stage.start_scheduler()
        process = stage.start()
        for number in range(kills):
            gangs = [stage.create(f"kill{number}-{at}", PODS, gpus=GPUS) for at in range(GANGS_AT_ONCE)]
            time.sleep(dice.uniform(0, 0.5))
            process.kill()
            process.ended()
            bound = [stage.bound(names) for names in gangs]
            half += sum(0 < count < PODS for count in bound)
            amid += any(0 < count < PODS for count in bound)
            stage.processes.remove(process)
            process = stage.start()
            began = time.monotonic()
            for names in gangs:
                stage.lab.wait_bound(names, timeout_s=within_s)
            slowest_s = max(slowest_s, time.monotonic() - began)
            overfull += bool(stage.overfull())
            if number % 2:
                stage.clean()
        broken = len(stage.broken_promises())
    told = (
        f"{kills * GANGS_AT_ONCE} gang placements, {kills} kills, {amid} of them amid Bindings with {half} "
    )
    told += f"gangs half bound: 0 gangs left half, {overfull} overfull nodes, {broken} broken promises, "
    told += f"slowest whole {slowest_s:.1f} s after the restart"
    return overfull == 0 and broken == 0, told
