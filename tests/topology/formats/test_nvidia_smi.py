"""Cliques of nodes from nvidia-smi: the query, the report, many nodes at once."""

from __future__ import annotations

import pytest

from tests.topology.formats.breaking import consistent, survive
from topology.formats.nvidia_smi import (
    clique_of_query,
    clique_of_report,
    looks_like_nvidia_smi,
    read_nvidia_smi,
    read_nvidia_smi_files,
)
from topology.reading import InvalidSource, Reading, labels_of

UUID = "3f6c1a52-8d1e-4b6f-9a70-5e21c4d9b803"
OTHER = "9c6f5af3-53bf-49b5-a436-b66766c413c3"
ZERO = "00000000-0000-0000-0000-000000000000"
GOOD = f"{UUID}, 4026, Completed, Success\n" * 4


def report(*gpus: tuple[str, ...], attached: int | None = None) -> str:
    """What -q prints, cut down to some of its sections."""
    lines = ["", "==============NVSMI LOG==============", "", "Driver Version    : 580.95.05"]
    lines += [f"Attached GPUs                             : {len(gpus) if attached is None else attached}"]
    for number, (uuid, clique, state, status, *health) in enumerate(gpus):
        lines += [
            f"GPU 0000000{number}:01:00.0",
            "    Product Name                          : NVIDIA GB200",
            "    GSP Firmware Version                  : 580.95.05",
            "    PCI",
            "        Bus                               : 0x01",
            "    Fabric",
            f"        State                             : {state}",
            f"        Status                            : {status}",
            f"        CliqueId                          : {clique}",
            f"        ClusterUUID                       : {uuid}",
            "        Health",
            f"            Summary                       : {health[0] if health else 'Healthy'}",
            "            Bandwidth                     : Full",
            "    Processes                             : None",
            "        State                             : Not Started",
        ]
    return "\n".join(lines) + "\n"


ROW = (UUID, "4026", "Completed", "Success")
WHOLE = report(*[ROW] * 4)


def codes(found: Reading) -> list[str]:
    consistent(found)
    return [finding.code for finding in found.findings]


@pytest.mark.parametrize(
    "text", [GOOD, WHOLE, GOOD.replace("\n", "\r\n"), WHOLE.replace("\n", "\r\n"), "\ufeff" + GOOD]
)
def test_a_clique_is_the_text_of_the_label(text: str) -> None:
    found = read_nvidia_smi(text, name="out/node-01.csv")
    assert found.nodes == {"node-01": {"nvlink": f"{UUID}.4026"}}
    assert (found.levels, found.partitions) == ((), ("nvlink",))
    assert codes(found) == []
    assert dict(labels_of(found))["node-01"] == {"accelerator.topograph.run/domain": f"{UUID}.4026"}


def test_each_output_has_its_function() -> None:
    assert clique_of_query(GOOD, name="n1.csv") == (f"{UUID}.4026", ())
    assert clique_of_report(WHOLE, name="n1.txt") == (f"{UUID}.4026", ())


def test_a_header_gives_the_order_of_columns() -> None:
    header = "index, fabric.state, fabric.status, fabric.cliqueId, fabric.clusterUuid"
    text = f"{header}\n0, Completed, Success, 7, {UUID}\n"
    assert read_nvidia_smi(text, name="n1").nodes == {"n1": {"nvlink": f"{UUID}.7"}}


@pytest.mark.parametrize(
    "row",
    [
        ("N/A", "N/A", "N/A", "N/A"),
        ("[N/A]", "[N/A]", "[N/A]", "[N/A]"),
        (ZERO, "0", "Completed", "Success"),
        ("N/A", "N/A", "Not Supported", "N/A"),
    ],
)
def test_gpus_outside_a_multi_node_fabric_have_no_clique(row: tuple[str, ...]) -> None:
    for text in (", ".join(row) + "\n" + ", ".join(row), report(row, row)):
        found = read_nvidia_smi(text, name="n1")
        assert found.nodes == {"n1": {}}
        assert found.partitions == ()
        assert codes(found) == []


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        ([ROW, ("N/A", "N/A", "N/A", "N/A")], "PartOfClique"),
        ([ROW, (UUID, "4027", "Completed", "Success")], "CliquesDiffer"),
        ([ROW, (OTHER, "4026", "Completed", "Success")], "CliquesDiffer"),
        ([ROW, (UUID, "4026", "In Progress", "N/A")], "FabricNotReady"),
        ([ROW, ("N/A", "N/A", "In Progress", "N/A")], "FabricNotReady"),
        ([ROW, (UUID, "4026", "Completed", "Insufficient Resources")], "FabricNotReady"),
        ([(ZERO, "0", "Completed", "Insufficient Resources")] * 2, "FabricNotReady"),
        ([(UUID, "4026", "N/A", "N/A")] * 2, "FabricNotReady"),
    ],
)
def test_gpus_that_disagree_or_are_not_ready_give_no_clique(rows: list[tuple[str, ...]], code: str) -> None:
    for text in ("\n".join(", ".join(row) for row in rows), report(*rows)):
        found = read_nvidia_smi(text, name="n1.txt")
        assert found.nodes == {"n1": {}}
        assert codes(found) == [code]
        assert "n1" in found.findings[0].names
        assert found.findings[0].where.startswith("n1.txt:")


def test_an_unhealthy_fabric_keeps_its_clique_and_is_told() -> None:
    found = read_nvidia_smi(report(ROW, (*ROW, "Unhealthy")), name="n1")
    assert found.nodes["n1"] == {"nvlink": f"{UUID}.4026"}
    assert codes(found) == ["FabricUnhealthy"]


def test_a_report_that_is_cut_short_is_told() -> None:
    assert codes(read_nvidia_smi(report(ROW, attached=4), name="n1")) == ["MissingGpu"]
    no_section = WHOLE[: WHOLE.rindex("    Fabric")]
    assert codes(read_nvidia_smi(no_section, name="n1")) == ["PartOfClique"]


def test_sections_alone_are_read_too() -> None:
    kept = "\n".join(line for line in WHOLE.split("\n") if line.startswith(("    Fabric", "        ")))
    assert read_nvidia_smi(kept, name="n1").nodes == {"n1": {"nvlink": f"{UUID}.4026"}}


def test_one_file_per_node_makes_a_partition() -> None:
    single = report(("N/A",) * 4)
    found = read_nvidia_smi_files(
        {"d/n1.csv": GOOD, "d/n2.csv": GOOD, "d/n10.csv": GOOD.replace(UUID, OTHER), "d/h1.txt": single}
    )
    assert found.nodes == {
        "n1": {"nvlink": f"{UUID}.4026"},
        "n2": {"nvlink": f"{UUID}.4026"},
        "n10": {"nvlink": f"{OTHER}.4026"},
        "h1": {},
    }
    assert codes(found) == []


def test_pdsh_prefixes_name_the_nodes() -> None:
    rows = [f"n{node}: {line}" for line in GOOD.split("\n") if line for node in (2, 1)]
    blocks = [f"g{node}: {line}" for node in (1, 2) for line in WHOLE.split("\n")]
    for lines in (rows, blocks):
        text = "\n".join(lines)
        assert looks_like_nvidia_smi(text)
        found = read_nvidia_smi(text, name="all.txt")
        assert len(found.nodes) == 2
        assert set(found.nodes) <= {"n1", "n2", "g1", "g2"}
        assert {path["nvlink"] for path in found.nodes.values()} == {f"{UUID}.4026"}


def test_a_node_that_pdsh_could_not_reach_is_a_finding() -> None:
    failed = "n2: ssh: connect to host n2: refused\npdsh@m: n2: ssh exited with exit code 255"
    found = read_nvidia_smi(f"n1: {GOOD.splitlines()[0]}\n{failed}", name="all.txt")
    assert found.nodes == {"n1": {"nvlink": f"{UUID}.4026"}, "n2": {}}
    assert codes(found) == ["UnreadableOutput"]


def test_a_bad_file_among_good_ones_is_a_finding() -> None:
    found = read_nvidia_smi_files(
        {"n1.csv": GOOD, "n2.csv": "NVIDIA-SMI has failed because it couldn't communicate\n"}
    )
    assert found.nodes == {"n1": {"nvlink": f"{UUID}.4026"}, "n2": {}}
    assert codes(found) == ["UnreadableOutput"]
    assert found.findings[0].names == ("n2",)


def test_a_node_told_twice_is_a_finding() -> None:
    found = read_nvidia_smi_files({"a/n1.csv": GOOD, "b/n1.csv": GOOD.replace(UUID, OTHER)})
    assert found.nodes == {"n1": {"nvlink": f"{UUID}.4026"}}
    assert codes(found) == ["NodeTwice"]
    assert codes(read_nvidia_smi_files({"a/n1.csv": GOOD, "b/n1.txt": WHOLE})) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "clusterUuid"),
        ("No devices were found\n", "No devices were found"),
        ("\0\x01\x02", "n1.csv"),
        (f"{UUID}, 1, Completed\n", "n1.csv:1"),
        (f"{UUID}, x, Completed, Success\n", "cliqueId is 'x'"),
        (f"{UUID}, 4294967296, Completed, Success\n", "4294967295"),
        (f"{GOOD}nonsense, 1, Completed, Success\n", "n1.csv:5"),
        ("fabric.clusterUuid, fabric.cliqueId\n", "fabric.state"),
        ("==============NVSMI LOG==============\n", "at least one GPU"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(text: str, said: str) -> None:
    with pytest.raises(InvalidSource) as caught:
        read_nvidia_smi(text, name="n1.csv")
    assert "n1.csv" in str(caught.value)
    assert said in str(caught.value)


def test_a_file_that_names_no_node_is_refused() -> None:
    with pytest.raises(InvalidSource, match="file name"):
        read_nvidia_smi(GOOD, name="what is this.csv")


def test_the_format_is_recognised() -> None:
    assert looks_like_nvidia_smi(GOOD)
    assert looks_like_nvidia_smi(WHOLE)
    assert looks_like_nvidia_smi("[N/A], [N/A], [N/A], [N/A]\n")
    for other in ("", "a,b,c,d\n", "SwitchName=a Nodes=b", "\tGPU0\tCPU Affinity\nGPU0\t X \t0-1\n", "{}"):
        assert not looks_like_nvidia_smi(other)


def test_damaged_files_are_read_or_refused() -> None:
    pdsh = "\n".join(f"n{node}: {line}" for line in GOOD.split("\n") if line for node in (2, 1))
    taken, refused = survive([GOOD, WHOLE, pdsh], lambda text: read_nvidia_smi(text, name="n1"), rounds=600)
    assert taken > 100
    assert refused > 50
