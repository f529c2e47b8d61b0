"""The tally that explanations count with says what the whole computation says, after every change."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from scheduler.placement import dp
from scheduler.placement.changes import usable, without
from scheduler.placement.tally import tally
from scheduler.placement.tree import tree_form
from tests.placement.instances import random_problem, random_whole_nodes
from tests.placement.test_explain import surrounded


def test_every_change_gives_what_a_new_computation_gives() -> None:
    asked = fitting = 0
    for seed in range(150):
        rng = np.random.default_rng(40_000 + seed)
        case, around = surrounded((random_problem if seed % 2 else random_whole_nodes)(rng), rng)
        nodes = [node for node, _ in around.unusable]
        counts = tally(case, around.occupants, nodes)
        assert counts is not None
        away: set[int] = set()
        opened: set[int] = set()
        for _ in range(12):
            if around.occupants and (not nodes or rng.random() < 0.7):
                at = int(rng.integers(0, len(around.occupants)))
                (counts.come_back if at in away else counts.leave)(around.occupants[at])
                away ^= {at}
            elif nodes:
                node = nodes[int(rng.integers(0, len(nodes)))]
                (counts.close if node in opened else counts.open)(node)
                opened ^= {node}
            changed = usable(sorted(opened))(without([around.occupants[at] for at in sorted(away)])(case))
            form = tree_form(changed)
            assert form is not None
            assert counts.fits == dp.fits(form, changed.pods), seed
            asked, fitting = asked + 1, fitting + counts.fits
    assert 100 < fitting < asked - 100


def test_a_gang_of_two_shapes_has_no_tally() -> None:
    case = random_problem(np.random.default_rng(3))
    assert case.pods > 1
    mixed = replace(case, shapes=case.shapes * 2, shape_of=np.arange(case.pods, dtype=np.int32) % 2)
    assert tally(mixed, ()) is None
