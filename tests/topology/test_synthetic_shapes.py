"""Synthetic fabrics by shape: their levels are found again, and what is damaged is what lint names."""

from __future__ import annotations

import pytest

from tests.topology.test_synthetic import domains
from topology.formats.labels import of_labels
from topology.lint import NodeFacts, lint
from topology.naming import natural_key
from topology.synthetic import LEAF, SyntheticNode
from topology.synthetic_shapes import damaged, dragonfly, fat_tree, gb200_rows, rail_optimised, superpod


@pytest.mark.parametrize(
    ("nodes", "wanted"),
    [
        (superpod(4), {"spine": 1, "leaf": 4, "rack": 32, "nvlink": 128}),
        (gb200_rows(2), {"block": 2, "rack": 16, "nvlink": 16}),
        (rail_optimised(16), {"spine": 2, "leaf": 16, "rack": 33, "nvlink": 256}),
        (fat_tree(4), {"core": 1, "spine": 4, "leaf": 8, "nvlink": 16}),
        (dragonfly(3), {"spine": 3, "leaf": 12, "nvlink": 48}),
    ],
    ids=["superpod", "gb200", "rails", "fat tree", "dragonfly"],
)
def test_shapes_are_found_again(nodes: tuple[SyntheticNode, ...], wanted: dict[str, int]) -> None:
    assert domains(nodes) == wanted
    names = [node.name for node in nodes]
    assert names == sorted(set(names), key=natural_key)
    found = lint(of_labels({node.name: node.labels for node in nodes}), facts(nodes)).findings
    assert not [one for one in found if one.severity == "error"]


def facts(nodes: tuple[SyntheticNode, ...]) -> dict[str, NodeFacts]:
    return {node.name: NodeFacts(node.labels, node.gpus) for node in nodes}


@pytest.mark.parametrize("seed", range(10))
def test_lint_names_every_damaged_node_of_a_superpod(seed: int) -> None:
    whole = superpod(6)
    nodes, odd = damaged(whole, seed)
    assert damaged(whole, seed) == (nodes, odd)
    report = lint(of_labels({node.name: node.labels for node in nodes}), facts(nodes))
    named = {name for one in report.findings if one.severity != "note" for name in one.names}
    assert odd <= named


def test_damage_of_none_and_of_all() -> None:
    nodes = fat_tree(4)
    assert damaged(nodes, 1, lost=0, swapped=0) == (nodes, frozenset())
    bare, odd = damaged(nodes, 1, lost=1, swapped=0)
    assert len(odd) == len(nodes)
    assert any(LEAF not in node.labels for node in bare)
