"""Synthetic clusters carry labels from which their own shape is found again."""

import pytest

from topology.detect import detect
from topology.model import Fabric, InvalidTopology
from topology.naming import natural_key
from topology.synthetic import SyntheticNode, from_rows, hgx, mixed, nvl72, uneven


def fabric(nodes: tuple[SyntheticNode, ...]) -> Fabric:
    return Fabric(detect(node.labels for node in nodes), [node.fabric_node() for node in nodes])


def domains(nodes: tuple[SyntheticNode, ...]) -> dict[str, int]:
    return {part.name: len(part.names) for part in fabric(nodes).arrays().partitions}


def test_nvl72() -> None:
    nodes = nvl72(4, racks_per_spine=2)
    assert (len(nodes), sum(node.gpus for node in nodes)) == (72, 288)
    assert domains(nodes) == {"spine": 2, "leaf": 4, "rack": 4, "nvlink": 4}


def test_hgx() -> None:
    nodes = hgx(2, 3, 8)
    assert (len(nodes), {node.gpus for node in nodes}) == (48, {8})
    assert domains(nodes) == {"spine": 2, "leaf": 6, "rack": 12, "nvlink": 48}


def test_mixed() -> None:
    nodes = mixed()
    assert (len(nodes), sum(node.gpus for node in nodes)) == (52, 272)
    assert domains(nodes) == {"spine": 2, "leaf": 6, "rack": 6, "nvlink": 18}
    assert not fabric(nodes).warnings()


@pytest.mark.parametrize("nodes", [nvl72(2), hgx(2, 2, 12), mixed(), uneven(1)])
def test_names_are_unique_and_in_natural_order(nodes: tuple[SyntheticNode, ...]) -> None:
    names = [node.name for node in nodes]
    assert names == sorted(set(names), key=natural_key)


def test_uneven_repeats_by_seed_and_has_holes() -> None:
    assert uneven(3) == uneven(3)
    assert uneven(3) != uneven(4)
    assert fabric(uneven(3, missing_share=0.5)).warnings()


def test_table() -> None:
    nodes = from_rows(
        [
            {"host": "h1", "leaf_asw": "P8-S1", "pod_psw": "P8", "core_dsw": "G6"},
            {"host": "h2", "leaf": "P8-S2", "pod": "P8", "core": "G6"},
        ]
    )
    assert fabric(nodes).path("h2") == {
        "core": "G6",
        "spine": "G6/P8",
        "leaf": "G6/P8/P8-S2",
        "nvlink": "h2",
    }
    with pytest.raises(InvalidTopology, match="no column 'pod'"):
        from_rows([{"host": "h", "leaf": "l"}])
