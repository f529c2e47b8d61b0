"""What becomes of a write, and how long one goes on trying."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

LONGEST_ASKED_PAUSE_S = 30.0
"""A pause that the server asks for is kept up to this."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a write: `done`, or why not; `final` when trying again cannot help.

    `pause_s`: how long the server asks to wait before the next try; `unclear`: it may yet take effect;
    `conflict`: the object is not as the write supposed.
    """

    done: bool
    final: bool = False
    message: str = ""
    pause_s: float = 0.0
    unclear: bool = False
    conflict: bool = False


Holds = Callable[[], bool]
"""Whether we may still write: false once the lease is not ours any more."""

NOT_LEADING = Outcome(False, True, "this replica does not lead any more")
FENCED = Outcome(False, True, "another term of leadership has the pod", conflict=True)


async def repeat(
    attempt: Callable[[], Awaitable[Outcome]],
    *,
    tries: int = 5,
    first_pause_s: float = 0.1,
    may: Holds = lambda: True,
) -> Outcome:
    """Call `attempt` until it is done, final, out of tries, or not allowed any more.

    A pause that the server asks for is kept."""
    pause = first_pause_s
    outcome = Outcome(False)
    for left in range(tries - 1, -1, -1):
        if not may():
            return NOT_LEADING
        outcome = await attempt()
        if outcome.done or outcome.final or not left:
            break
        await asyncio.sleep(min(max(pause, outcome.pause_s), LONGEST_ASKED_PAUSE_S))
        pause *= 2
    return outcome


def later_term(one: str, other: str) -> bool:
    """Whether a term of leadership began after another; False where either is none, or counts nothing.

    A term is how often the lease changed hands, a dash, and a word of its own.
    """
    counts = [text.partition("-")[0] for text in (one, other)]
    return all(count.isdecimal() for count in counts) and int(counts[0]) > int(counts[1])
