"""Objective policies: which terms count, and which come first."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from scheduler.model import SCOPES, InvalidField, InvalidInput
from scheduler.placement.spent import TERM as SPENT

DEFAULT = "pack"
PRESETS = ("pack", "keep-holes", "latency", "spread", "balanced")
_NAMES = (
    r"tp_crossings|nodes|nodes_broken|left_node|spent_node|"
    r"(pipeline_hops|preferred|domains|broken|left|imbalance|replica_domains|replicas_sharing)"
)
_TERM = re.compile(rf"({_NAMES})(_[^_*]+)*(_?\*)?|\*")
_LEVELLED = re.compile(
    r"(?P<what>pipeline_hops|preferred|domains|broken|left|imbalance|replica_domains|replicas_sharing)"
    r"_(?P<rest>(?!node$).+)"
)
_PART = re.compile(rf"(\d{{1,6}})\s*\*\s*(({_NAMES})(_[^_*\s]+)*)")


@dataclass(frozen=True, slots=True)
class Policy:
    """A named objective: a preset, then `first` (patterns of terms, or weighted sums of terms, to put
    in front, in this order) and `drop` (patterns of terms that do not count)."""

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


def strays(patterns: Sequence[str], levels: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(pattern, what would be right) for all that mean no term on any gang, because they name a level that
    is none of these (coarse to fine, without node), or no scope: they would be passed over in silence."""
    for pattern in patterns:
        for name in [name for _, name in weighted(pattern) or [(1, pattern)]]:
            match = _LEVELLED.fullmatch(name)
            if match is None:
                continue
            scopes = SCOPES if match["what"] == "preferred" else ()
            possible = [f"{scope}_{level}" for scope in scopes for level in levels] if scopes else levels
            if not any(fnmatchcase(one, match["rest"]) for one in possible):
                nearest = difflib.get_close_matches(match["rest"], possible, n=1)
                hint = f"did you mean {match['what']}_{nearest[0]}? " if nearest else ""
                known = ", ".join(levels) or "none beside node"
                yield pattern, f"{hint}the levels are {known}"


def without_strays(policy: Policy, levels: Sequence[str]) -> Policy:
    """The policy itself; raises InvalidInput for the terms of it that mean nothing here."""
    faults = [
        InvalidField(f"policy {policy.name}", field, pattern, wanted)
        for field, patterns in (("first", policy.first), ("drop", policy.drop))
        for pattern, wanted in strays(patterns, levels)
    ]
    if faults:
        raise InvalidInput(*faults)
    return policy


def ordered(policy: Policy, terms: Sequence[str], levels: Sequence[str], *, pods: int = 2) -> tuple[str, ...]:
    """The terms of the default policy as a policy wants them, for a gang of so many pods; `levels` coarse
    to fine, without node."""
    kept = [term for term in terms if not any(fnmatchcase(term, one) for one in policy.drop)]
    front = [*policy.first, *_PRESET_FIRST[policy.preset](levels)]
    more = [f"{name}_{level}" for name in _OF_REPLICAS for level in levels]
    more += [SPENT] if pods == 1 else []
    placed = [term for pattern in front for term in _meant(pattern, kept, more)]
    return tuple(dict.fromkeys([*placed, *kept]))


_OF_REPLICAS = ("replica_domains", "replicas_sharing")
_ON_REQUEST = (*_OF_REPLICAS, SPENT)
"""Terms that count only where a policy names them; the last only for gangs of one pod."""


def _meant(pattern: str, kept: Sequence[str], more: Sequence[str]) -> list[str]:
    """The terms that a pattern means; a weighted sum is one term, over what this problem has of it."""
    parts = weighted(pattern)
    if parts is None:
        asked = [*kept, *more] if pattern.startswith(_ON_REQUEST) else kept
        return [term for term in asked if fnmatchcase(term, pattern)]
    there = [(weight, name) for weight, name in parts if name in kept or name in more]
    return [" + ".join(f"{weight}*{name}" for weight, name in there)] if there else []


def weighted(text: str) -> list[tuple[int, str]] | None:
    """(weight, term) of a sum such as "3*domains_leaf + 1*left_rack"; None when the text is none."""
    matches = [_PART.fullmatch(part.strip()) for part in text.split(" + ")]
    return [(int(one[1]), one[2]) for one in matches if one] if all(matches) else None


def is_pattern(text: str) -> bool:
    """Whether a text is a term, a pattern of terms, or a weighted sum of terms."""
    return _TERM.fullmatch(text) is not None or weighted(text) is not None


_WISHES = ("tp_crossings", "pipeline_hops_*", "preferred_*")


def _apart(levels: Sequence[str]) -> tuple[str, ...]:
    """Replicas packed each on its own, and then over as many racks as there are."""
    level = next((one for one in ("rack", "leaf", "block", "spine") if one in levels), None)
    packed = tuple(f"replica_domains_{one}" for one in levels)
    return (*_WISHES, *packed, *([f"replicas_sharing_{level}"] if level else []))


_PRESET_FIRST: Mapping[str, Callable[[Sequence[str]], tuple[str, ...]]] = {
    "pack": lambda levels: (),
    # Wholly free domains stay whole, even at the price of more domains in use.
    "keep-holes": lambda levels: (*_WISHES, "broken_*", "nodes_broken"),
    "spread": _apart,
    # GPUs are not left behind on nodes whose CPU or memory is used up.
    "balanced": lambda levels: (*_WISHES, SPENT),
    # Few nodes and small domains first: the shortest way between most pairs of ranks.
    "latency": lambda levels: (*_WISHES, "nodes", *(f"domains_{level}" for level in reversed(levels))),
}
