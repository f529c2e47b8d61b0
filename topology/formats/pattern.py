"""Regular expressions from a cluster's objects: only those that cannot run away are tried."""

from __future__ import annotations

import re
import warnings

from topology.reading import invalid

_LONGEST = 256
_MOST_REPEATS = 3
_MOST_CHOICES = 6
_BETWEEN = re.compile(r"\\.|\[(?:\\.|[^\]\\])(?:\\.|[^\]\\])*\]")


def compiled(pattern: str, *, where: str, field: str) -> re.Pattern[str]:
    """The pattern; raises InvalidSource where it is none, or where it may take for ever on a short name.

    Python backtracks where Kubernetes' own engine does not. So at most three
    parts may repeat (two without ^ in front), no group may, and `?` and `|`
    stand at most six times.
    """
    plain = _BETWEEN.sub("x", pattern)
    repeats = len(re.findall(r"[*+{]", plain)) + (not pattern.startswith("^"))
    choices = plain.count("?") + plain.count("|")
    grouped = re.search(r"\)[*+{?]|\(\?", plain)
    if len(pattern) > _LONGEST or repeats > _MOST_REPEATS or choices > _MOST_CHOICES or grouped:
        wanted = (
            f"a pattern of at most {_LONGEST} characters and {_MOST_REPEATS} repeats, none of a group; "
            f"or exactMatch and labelMatch"
        )
        raise invalid(where, field, pattern, wanted)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return re.compile(pattern, re.ASCII)
    except (re.error, OverflowError, RecursionError, Warning) as error:
        raise invalid(where, field, pattern, f"a regular expression ({error})") from error
