"""A kill at any write: afterwards every gang is whole or released, and nothing is promised twice."""

from __future__ import annotations

from tests.drills.crashes import story

STORIES = 100


def test_no_kill_leaves_half_a_gang_or_promises_twice() -> None:
    stories = [story(seed) for seed in range(STORIES)]
    assert [one for one in stories if one.wrong] == []
    assert sum(one.killed for one in stories) > STORIES // 4, "too few were killed to prove anything"
    assert sum(one.partial_at_death for one in stories) > STORIES // 20, "too few died amid their Bindings"
    assert any(one.evicted for one in stories), "none had to be released"


def test_the_same_seed_tells_the_same_story() -> None:
    assert story(11) == story(11)
