"""What a node can hold of several pod shapes at once: its maximal combinations."""

from __future__ import annotations

from collections.abc import Sequence

Pattern = tuple[int, ...]
"""Pods per shape on one node."""

MOST_PATTERNS = 80
"""Nodes with more combinations than this are counted one by one."""


def maximal_patterns(
    free: Sequence[int], requests: Sequence[Sequence[int]], most: Sequence[int]
) -> tuple[Pattern, ...] | None:
    """The combinations of shapes that fit into `free` and to which no pod can be added; None when
    there are too many. `requests[s]`: what a pod of shape s takes; `most[s]`: at most so many of it."""
    found: list[Pattern] = []

    def extend(at: int, left: list[int], taken: Pattern) -> bool:
        """Go on with shape `at`; False when there are too many."""
        fits = _fits(left, requests[at], most[at])
        if at == len(most) - 1:
            found.append((*taken, fits))
            return len(found) <= 4 * MOST_PATTERNS
        for count in range(fits, -1, -1):
            rest = [have - count * ask for have, ask in zip(left, requests[at], strict=True)]
            if not extend(at + 1, rest, (*taken, count)):
                return False
        return True

    if not extend(0, list(free), ()):
        return None
    kept = [one for one in found if not any(_below(one, other) for other in found)]
    return tuple(kept) if len(kept) <= MOST_PATTERNS else None


def _fits(left: Sequence[int], request: Sequence[int], most: int) -> int:
    return max(
        min([most, *(have // ask for have, ask in zip(left, request, strict=True) if ask)], default=most), 0
    )


def _below(one: Pattern, other: Pattern) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))
