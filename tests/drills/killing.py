"""Drill 1b: kill -9 of Lockstep at random moments of gang placements on the real control plane."""

from __future__ import annotations

import random
import time

from tests.drills.real import Stage


def random_kills(count: int, *, seed: int = 1, within_s: float = 20.0) -> tuple[bool, str]:
    """Place a gang, kill at a random moment, start again, see it whole; `count` times."""
    dice = random.Random(seed)
    slowest_s, half, overfull = 0.0, 0, 0
    with Stage() as stage:
        stage.start_scheduler()
        process = stage.start()
        for number in range(count):
            names = stage.create(f"kill{number}", 8, gpus=2)
            time.sleep(dice.uniform(0, 0.3))
            process.kill()
            process.ended()
            half += 0 < stage.bound(names) < len(names)
            stage.processes.remove(process)
            process = stage.start()
            began = time.monotonic()
            stage.lab.wait_bound(names, timeout_s=within_s)
            slowest_s = max(slowest_s, time.monotonic() - began)
            overfull += bool(stage.overfull())
            if number % 8 == 7:
                stage.clean()
        broken = len(stage.broken_promises())
    told = f"{count} kills, {half} amid the Bindings: 0 gangs left half, {overfull} overfull nodes, "
    told += f"{broken} broken promises, slowest whole {slowest_s:.1f} s after the restart"
    return overfull == 0 and broken == 0, told
