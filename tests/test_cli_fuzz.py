"""Every reader through the command line, on files that are cut, mixed up and broken: told, never a crash."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.test_cli_topology import run
from tests.topology.formats.test_netq import graph as netq_graph
from tests.topology.formats.test_nvidia_smi import WHOLE
from tests.topology.formats.test_nvidia_topo import flat, matrix
from tests.topology.formats.test_objects import GROVE, KOORD
from tests.topology.formats.test_objects import NODES as LABELLED
from tests.topology.formats.test_slurm import SCONTROL, SCONTROL_BLOCKS
from tests.topology.formats.test_ufm import FABRIC, ports
from topology.formats.labels import of_labels
from topology.formats.table import WRITERS
from topology.synthetic import nvl72
from topology.synthetic_ib import ibnetdiscover_text, rail_fabric

NODES = {node.name: node.labels for node in nvl72(2, nodes_per_rack=3)}
QUERY = "3f6c1a52-8d1e-4b6f-9a70-5e21c4d9b803, 7, Completed, Success\n"


def samples() -> dict[str, str]:
    """A file of each format: what the writers write, and what tools print."""
    from scheduler.cli.importing import dump  # the command's own YAML

    reading = of_labels(NODES)
    written = {name: write(reading).document for name, write in WRITERS.items()}
    found = {name: one if isinstance(one, str) else dump(one) for name, one in written.items()}
    tree = "SwitchName=s Switches=l[1-2]\nSwitchName=l1 Nodes=n[1-4]\nSwitchName=l2 Nodes=n[5-8]\n"
    graph = '{"instances":[{"id":"a","network_layers":["l","s"]},{"id":"b","network_layers":["l","s"]}]}'
    return found | {
        "tree": tree,
        "blocks": "BlockName=b1 Nodes=n[1-2]\nBlockName=b2 Nodes=n[3-4]\nBlockSizes=2,4\n",
        "graph": graph,
        "ibnetdiscover": ibnetdiscover_text(rail_fabric(2, hosts=2, rails=2, spines=1)),
        "query": QUERY * 4,
        "report": WHOLE,
        "matrix": matrix(flat),
        "netq": json.dumps(netq_graph()),
        "ufm": json.dumps(ports(FABRIC)),
        "koordinator": dump([KOORD, *LABELLED]),
        "grove": dump([GROVE, *LABELLED]),
        "scontrol": SCONTROL,
        "scontrol-blocks": SCONTROL_BLOCKS,
        "yaml-block": "- topology: nvl\n  block:\n    block_sizes: [2, 4]\n    blocks:\n"
        "    - {block: b1, nodes: 'n[1-2]'}\n    - {block: b2, nodes: 'n[3-4]'}\n",
    }


SAMPLES = samples()
NASTY = st.sampled_from(
    (
        b"\x00",
        b"\xff\xfe",
        b"[",
        b"{",
        b"*a",
        b"&a [*a]",
        b"n[1-999999999]",
        b"\xe9",
        b"- ",
        b"'",
        b"=",
        b"9" * 70,
    )
)


@st.composite
def broken(draw: st.DrawFn) -> tuple[str, bytes]:
    """The name of a format, and a file of it after some accidents."""
    name = draw(st.sampled_from(sorted(SAMPLES)))
    data = SAMPLES[name].encode()
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        match draw(st.sampled_from(("cut", "insert", "drop", "swap", "twice"))):
            case "cut":
                data = data[:at]
            case "insert":
                data = data[:at] + draw(NASTY) + data[at:]
            case "drop":
                data = data[:at] + data[at + draw(st.integers(1, 30)) :]
            case "swap":
                lines = data.split(b"\n")
                one, other = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
                lines[one], lines[other] = lines[other], lines[one]
                data = b"\n".join(lines)
            case _:
                data += data[at:]
    return name, data


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(broken(), st.sampled_from(("lint", "import")))
def test_broken_files_are_told_and_nothing_crashes(
    tmp_path: Path, file: tuple[str, bytes], word: str
) -> None:
    path = tmp_path / "broken"
    path.write_bytes(file[1])
    code, out, err = run(word, str(path), *(("--to", "labels") if word == "import" else ()))
    assert code in (0, 2)
    assert "Traceback" not in err
    if code == 2 and not out:
        assert re.search(r"^error: ", err, re.MULTILINE)
        assert "; expected: " in err or "is" in err
    if code == 2 and word == "lint" and out:
        assert re.search(r"^error: .*\[\w+\]$", out, re.MULTILINE)


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_whole_files_are_read(tmp_path: Path, name: str) -> None:
    """So that the test above breaks what can be read."""
    path = tmp_path / "whole"
    path.write_text(SAMPLES[name])
    code, _, err = run("lint", str(path))
    assert code == 0, err


ACCIDENTS = (
    b"\x00",
    b"\xff\xfe\x00",
    b"\xe9\x80",
    b"n[1-999999999]",
    b"n[1-9][1-9][1-9][1-9][1-9][1-9][1-9][1-9]",
    b"&a [*a, *a]\n",
    b"a: &a [x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c]\n",
    b"[" * 3000,
    b'{"a":' * 3000,
    b"9" * 70,
    b"x" * 64,
    b"SwitchName=a Switches=a\n",
    b"\n" * 50,
    b"\r",
    "\u202e\u2028".encode(),
)
"""Wrong encodings, host-list and alias bombs, depth, long values, loops: what is tried in every format."""


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_every_accident_in_every_format_is_told(tmp_path: Path, name: str) -> None:
    """In the middle of the file, and wherever its longest word stands."""
    data, path = SAMPLES[name].encode(), tmp_path / "accident"
    words = sorted(re.findall(rb"[\w.-]{3,}", data), key=len)
    for accident in ACCIDENTS:
        middle = len(data) // 2
        for text in (data[:middle] + accident + data[middle:], data.replace(words[-1], accident)):
            path.write_bytes(text)
            code, _, err = run("lint", str(path))
            assert code in (0, 2), (accident, err)
            assert "Traceback" not in err
