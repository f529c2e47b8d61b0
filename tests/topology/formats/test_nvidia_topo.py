"""The matrix of nvidia-smi topo -m: islands inside a node, nearest NICs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.topology.formats.breaking import damaged
from topology.formats.nvidia_topo import GpuMatrix, looks_like_nvidia_topo, read_nvidia_topo
from topology.reading import InvalidSource

LEGEND = """
Legend:

  X    = Self
  SYS  = Connection traversing PCIe as well as the SMP interconnect between NUMA nodes (e.g., QPI/UPI)
  NV#  = Connection traversing a bonded set of # NVLinks

NIC Legend:

  NIC0: mlx5_0
  NIC1: mlx5_3
"""


def matrix(cell: Callable[[int, int], str], *, gpus: int = 8, nics: int = 2) -> str:
    """A matrix whose cells are a function of two positions: GPUs first, then NICs."""
    names = [f"GPU{at}" for at in range(gpus)] + [f"NIC{at}" for at in range(nics)]
    lines = ["\t" + "\t".join(names) + "\tCPU Affinity\tNUMA Affinity\tGPU NUMA ID"]
    for at, name in enumerate(names):
        cells = [" X " if at == other else cell(at, other) for other in range(len(names))]
        rest = [f"{at // 4 * 56}-{at // 4 * 56 + 55}", str(at // 4), "", "N/A"] if at < gpus else []
        lines.append("\t".join([name, *cells, *rest]))
    return "\n".join(lines) + "\n" + LEGEND


def flat(one: int, other: int) -> str:
    return "NV18" if max(one, other) < 8 else ("PIX" if one // 4 == other % 2 else "SYS")


def halves(one: int, other: int) -> str:
    if max(one, other) < 8:
        return "NV4" if one // 4 == other // 4 else "SYS"
    low, high = sorted((one, other))
    if low >= 8:
        return "NODE"
    return ("PXB" if low % 4 < 2 else "NODE") if low // 4 == high - 8 else "SYS"


def pcie(one: int, other: int) -> str:
    return "PHB" if one // 2 == other // 2 else "SYS"


def test_a_switched_node_is_one_island() -> None:
    found = read_nvidia_topo(matrix(flat), name="n1.txt")
    assert found.islands() == (tuple(f"GPU{at}" for at in range(8)),)
    assert found.affinity["GPU5"] == ("56-111", "1")


def test_two_halves_are_two_islands_with_their_own_nics() -> None:
    found = read_nvidia_topo(matrix(halves), name="n1.txt")
    assert found.islands() == (("GPU0", "GPU1", "GPU2", "GPU3"), ("GPU4", "GPU5", "GPU6", "GPU7"))
    assert found.nics == {"NIC0": "mlx5_0", "NIC1": "mlx5_3"}
    assert found.nearest_nics()["GPU1"] == ("mlx5_0",)
    assert found.nearest_nics()["GPU6"] == ("mlx5_3",)
    assert found.links["GPU0", "NIC1"] == "SYS"
    assert not found.findings


def test_islands_follow_chains_of_links() -> None:
    found = read_nvidia_topo(
        matrix(lambda one, other: "NV2" if abs(one - other) == 1 else "SYS", nics=0), name="n"
    )
    assert found.islands() == (tuple(f"GPU{at}" for at in range(8)),)
    assert found.nearest_nics()["GPU0"] == ()


def test_a_pcie_box_has_no_islands() -> None:
    found = read_nvidia_topo(matrix(pcie, gpus=4, nics=0), name="n1.txt")
    assert found.islands() == (("GPU0",), ("GPU1",), ("GPU2",), ("GPU3",))


@pytest.mark.parametrize(
    "text",
    [
        matrix(halves).replace("\t", "   "),
        matrix(halves).replace("\n", "\r\n"),
        "$ nvidia-smi topo -m\n" + matrix(halves),
        matrix(halves)
        .replace("\tGPU0\t", "\t\x1b[4mGPU0\t", 1)
        .replace("CPU Affinity", "CPU Affinity\x1b[0m", 1),
    ],
)
def test_white_space_colours_and_prompts_do_not_matter(text: str) -> None:
    assert looks_like_nvidia_topo(text)
    assert read_nvidia_topo(text, name="n").links == read_nvidia_topo(matrix(halves), name="n").links


def test_older_columns_are_the_devices_themselves() -> None:
    text = (
        "\tGPU0\tGPU1\tmlx5_0\tCPU Affinity\n"
        "GPU0\t X \tNV3\tPIX\t0-15\n"
        "GPU1\tNV3\t X \tSYS\t0-15\n"
        "mlx5_0\tPIX\tSYS\t X \t\n"
    )
    found = read_nvidia_topo(text, name="n")
    assert found.nearest_nics() == {"GPU0": ("mlx5_0",), "GPU1": ("mlx5_0",)}
    assert found.affinity["GPU0"] == ("0-15", "N/A")


def test_two_sides_that_differ_are_told() -> None:
    found = read_nvidia_topo(
        matrix(lambda one, other: "NV4" if one < other else "NV6", gpus=3, nics=0), name="n1.txt"
    )
    (finding,) = found.findings
    assert (finding.code, finding.names) == ("AsymmetricLink", ("GPU0", "GPU1", "GPU2"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "topo -m"),
        ("\0\xff\x00", "topo -m"),
        ("NVIDIA-SMI has failed\n", "topo -m"),
        (matrix(flat)[: matrix(flat).index("GPU5\tNV")], "GPU5"),
        (matrix(flat)[: matrix(flat).index("GPU5\tNV") + 12], "cells"),
        (matrix(flat).replace("NV18", "NVXX", 1), "'NVXX'"),
        (matrix(flat).replace("\tGPU1\t", "\tGPU0\t", 1), "each device once"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(text: str, said: str) -> None:
    with pytest.raises(InvalidSource, match=r"^n1\.txt") as caught:
        read_nvidia_topo(text, name="n1.txt")
    assert said in str(caught.value)


def test_other_texts_are_not_taken_for_it() -> None:
    for other in ("", "GPU0 is fine", "{}", "GPU0\t X \tNV4\n"):
        assert not looks_like_nvidia_topo(other)


def test_damaged_files_are_read_or_refused() -> None:
    taken = 0
    for seed in range(400):
        try:
            found = read_nvidia_topo(damaged(matrix(halves if seed % 2 else flat), seed), name="n")
        except InvalidSource:
            continue
        assert isinstance(found, GpuMatrix)
        assert sorted(gpu for island in found.islands() for gpu in island) == sorted(found.gpus)
        assert set(found.nearest_nics()) == set(found.gpus)
        taken += 1
    assert 50 < taken < 400
