"""Exit codes, the contract of every command."""

from __future__ import annotations

from collections.abc import Iterable

YES, OUR_ERROR, BAD_INPUT, NOT_NOW, NEVER, STALE = range(6)

_PRECEDENCE = (BAD_INPUT, STALE, NEVER, NOT_NOW, YES)
_OF_VERDICT = {"placed": YES, "blocked": NOT_NOW, "impossible": NEVER, "invalid": BAD_INPUT}


def of_verdicts(verdicts: Iterable[str]) -> int:
    """One exit code for several gangs: bad input before stale data, never before not now, then yes."""
    codes = {_OF_VERDICT[verdict] for verdict in verdicts}
    return next((code for code in _PRECEDENCE if code in codes), YES)
