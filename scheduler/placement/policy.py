"""Objective policies: which terms count, and which come first."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from scheduler.model import InvalidField, InvalidInput

DEFAULT = "pack"
PRESETS = ("pack", "keep-holes", "latency")
_TERM = re.compile(
    r"tp_crossings|nodes|nodes_broken|left_node|"
    r"(pipeline_hops|preferred|domains|broken|left|imbalance)(_[^_*]+)*(_?\*)?|\*"
)


@dataclass(frozen=True, slots=True)
class Policy:
    """A named objective: a preset, then `first` (patterns of terms to put in front, in this order)
    and `drop` (patterns of terms that do not count)."""

    name: str
    preset: str = DEFAULT
    first: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()


BUILT_IN: Mapping[str, Policy] = {name: Policy(name, name) for name in PRESETS}


def policy_named(name: str, policies: Mapping[str, Policy], *, owner: str) -> Policy:
    """The policy of a name, "" for the default one; raises InvalidInput for an unknown name."""
    found = policies.get(name or DEFAULT)
    if found is not None:
        return found
    nearest = difflib.get_close_matches(name, policies, n=1)
    hint = f"did you mean {nearest[0]!r}? " if nearest else ""
    wanted = f"{hint}the policies are {', '.join(sorted(policies))}"
    raise InvalidInput(InvalidField(owner, "lockstep.scheduling/policy", name, wanted))


def ordered(policy: Policy, terms: Sequence[str], levels: Sequence[str]) -> tuple[str, ...]:
    """The terms of the default policy as a policy wants them; `levels` coarse to fine, without node."""
    kept = [term for term in terms if not any(fnmatchcase(term, one) for one in policy.drop)]
    front = [*policy.first, *_PRESET_FIRST[policy.preset](levels)]
    placed = [term for pattern in front for term in kept if fnmatchcase(term, pattern)]
    return tuple(dict.fromkeys([*placed, *kept]))


def is_pattern(text: str) -> bool:
    """Whether a text is a term or a pattern of terms."""
    return _TERM.fullmatch(text) is not None


_WISHES = ("tp_crossings", "pipeline_hops_*", "preferred_*")

_PRESET_FIRST: Mapping[str, Callable[[Sequence[str]], tuple[str, ...]]] = {
    "pack": lambda levels: (),
    # Wholly free domains stay whole, even at the price of more domains in use.
    "keep-holes": lambda levels: (*_WISHES, "broken_*", "nodes_broken"),
    # Few nodes and small domains first: the shortest way between most pairs of ranks.
    "latency": lambda levels: (*_WISHES, "nodes", *(f"domains_{level}" for level in reversed(levels))),
}
