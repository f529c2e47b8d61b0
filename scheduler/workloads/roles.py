"""What the roles of a gang say each for itself: a named group has constraints, and often sizes, of its own.

Prefill, decode and router of one deployment start together and want different places. What a
pod says that names its `group` counts for that group; what the others say, and every
`gang` constraint, counts for the whole gang.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from scheduler.model import PREFIX, Constraint, Membership, Pod
from scheduler.workloads.parallelism import FIELDS

Members = Sequence[tuple[Pod, Membership]]
_GROUP = PREFIX + "group"
_RANKED = ("ep", "pp", "tp")


def roles(members: Members) -> dict[str, list[tuple[Pod, Membership]]]:
    """The members of every group that speaks for itself, in the order in which they appear."""
    found: dict[str, list[tuple[Pod, Membership]]] = {}
    for pod, membership in members:
        if _GROUP in pod.annotations or (membership.role and membership.group):
            found.setdefault(membership.group, []).append((pod, membership))
    return found


def apart(members: Members) -> bool:
    """Whether roles differ in their parallel sizes, or in what they ask for their tensor-parallel
    groups and pipelines: then each role's ranks are counted on their own."""
    said = [_sizes_and_wishes(own) for own in roles(members).values()]
    stated = [one for one in said if one[0]]
    return len({one[0] for one in stated}) > 1 or len({one[1] for one in stated if one[1]}) > 1


def _sizes_and_wishes(members: Members) -> tuple[tuple[object, ...], tuple[object, ...]]:
    sizes = tuple(
        (name, value)
        for name in FIELDS.values()
        if (value := next((v for _, m in members if (v := getattr(m.parallelism, name))), None))
    )
    return sizes, tuple(sorted((c.scope, c.level, c.required) for c in _said(members) if c.scope in _RANKED))


def constraints_of(members: Members) -> tuple[Constraint, ...]:
    """Every wish once: the gang's, each role's own with the name of its group, and those of the parts."""
    parts = dict.fromkeys(wish for _, m in members for wish in m.constraints if wish.scope == "part")
    return (*_whole_and_roles(members), *parts)


def _whole_and_roles(members: Members) -> tuple[Constraint, ...]:
    named = roles(members)
    if not named:
        return _said(members)
    own_ranks = apart(members)
    everyone = [wish for wish in _said(members) if wish.scope == "gang"]
    unnamed = [(pod, m) for pod, m in members if m.group not in named]
    everyone += [wish for wish in _said(unnamed) if wish.scope != "gang"]
    if not own_ranks:
        everyone += [wish for wish in _said(members) if wish.scope in _RANKED and wish not in everyone]
    own_words = {
        group: tuple(w for w in _said(own) if w.scope == "group" or (own_ranks and w.scope in _RANKED))
        for group, own in named.items()
    }
    said = list(own_words.values())
    if not unnamed and len(named) > 1 and all(words == said[0] for words in said):
        return (*everyone, *said[0])
    return (*everyone, *(replace(w, group=group) for group, words in own_words.items() for w in words))


def _said(members: Members) -> tuple[Constraint, ...]:
    """What these members ask: of every scope, the words of the first one that speaks of it."""
    found: list[Constraint] = []
    for _, membership in members:
        spoken = {wish.scope for wish in found}
        found += [w for w in membership.constraints if w.scope not in spoken and w.scope != "part"]
    return tuple(found)
