"""`lockstep topology import` and `lint` as a user runs them."""

from __future__ import annotations

import io
import json
import re
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.local.objects import node_object
from scheduler.cli import main
from scheduler.cli.applying import changes
from tests.test_cli import lockstep
from topology.formats.table import WRITERS
from topology.reading import Reading, label_value
from topology.synthetic import LEAF, SPINE, nvl72
from topology.synthetic_ib import FACTORY, ibnetdiscover_text, rail_fabric

CONF = """\
SwitchName=spine Switches=leaf[1-2]
SwitchName=leaf1 Nodes=n[01-02]
SwitchName=leaf2 Nodes=n[03-04]
"""


@pytest.fixture
def conf(tmp_path: Path) -> str:
    file = tmp_path / "topology.conf"
    file.write_text(CONF)
    return str(file)


@pytest.fixture
def snapshot(tmp_path: Path) -> str:
    file = tmp_path / "nodes.json"
    file.write_text(
        json.dumps({"kind": "List", "apiVersion": "v1", "items": [node_object(n) for n in nvl72(2)]})
    )
    return str(file)


def run(*words: str, stdin: str = "") -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command, in this process."""
    out, err = io.StringIO(), io.StringIO()
    given = io.TextIOWrapper(io.BytesIO(stdin.encode()))
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["lockstep", "topology", *words])
        patch.setattr(sys, "stdin", given)
        with pytest.raises(SystemExit) as left:
            main()
    code = left.value.code or 0
    assert isinstance(code, int)
    return code, out.getvalue(), err.getvalue()


def test_as_a_process(conf: str) -> None:
    done = lockstep("topology", "import", conf, "--to", "slurm")
    assert (done.returncode, done.stdout, done.stderr) == (0, CONF, "")


def test_slurm_to_labels(conf: str) -> None:
    code, out, err = run("import", conf, "--to", "labels")
    assert (code, err) == (0, "")
    patches = yaml.safe_load(out)
    assert [one["name"] for one in patches] == ["n01", "n02", "n03", "n04"]
    assert patches[2]["labels"][LEAF] == "leaf2"


def test_there_and_back_through_files_and_standard_input(conf: str, tmp_path: Path) -> None:
    file = str(tmp_path / "out.yaml")
    for target in WRITERS:
        code, out, err = run("import", conf, "--to", target, "-o", file)
        assert (code, out) == (0, "")
        assert f"4 nodes written to {file} as {target}" in err
        code, out, err = run("import", "-", "--to", "slurm", stdin=Path(file).read_text())
        assert (code, out) == (0, CONF), target


def test_several_files_add_up(conf: str, tmp_path: Path) -> None:
    links = tmp_path / "links.yaml"
    links.write_text(yaml.safe_dump([{"name": "n01", "labels": {"nvidia.com/gpu.clique": "u.1"}},
                                     {"name": "n03", "labels": {LEAF: "elsewhere"}}]))  # fmt: skip
    code, out, err = run("import", conf, str(links), "--to", "labels")
    assert code == 2
    assert "[SourcesDisagree]" in err
    assert "n03 in leaf2 by slurm, in elsewhere by labels" in err
    written = {one["name"]: one["labels"] for one in yaml.safe_load(out)}
    assert written["n01"]["accelerator.topograph.run/domain"] == "u.1"
    assert written["n03"][LEAF] == "leaf2"


def test_a_topology_in_one_file_and_nodes_in_another(snapshot: str, tmp_path: Path) -> None:
    file = tmp_path / "topology.yaml"
    levels = [{"nodeLabel": key} for key in ("fabric.topograph.run/tier-1", LEAF, "kubernetes.io/hostname")]
    file.write_text(yaml.safe_dump({"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": "Topology",
                                    "metadata": {"name": "t"}, "spec": {"levels": levels}}))  # fmt: skip
    code, out, err = run("import", str(file), snapshot, "--to", "slurm")
    assert code == 0
    assert err.count("\n") == 1
    assert "Slurm reads from 25.05 on [TopologyYaml]" in err
    tree, blocks = yaml.safe_load(out)
    assert [one["switch"] for one in tree["tree"]["switches"]] == ["spine-1", "leaf-1", "leaf-2"]
    assert blocks["block"]["block_sizes"] == [18]


@pytest.mark.parametrize(
    ("words", "text", "told"),
    [
        (("--to", "slurm"), "SwitchName=a Nodes=n[1-", "standard input:1"),
        (("--to", "slurm"), "SwitchName=a Nodes=n[1-999999999]", "at most 1,000,000"),
        (("--to", "slurm"), "{'a': 1}", "one of the formats"),
        (("--to", "slurm"), "a: [", "standard input:"),
        (("--to", "slurm"), "", "one of the formats"),
        (("--to", "visio"), CONF, "--to is 'visio'"),
        (("--to", "slurm", "--from", "visio"), CONF, "--from is 'visio'"),
        (("--to", "slurm", "--from", "graphml"), CONF, "GraphML"),
        (("--to", "slurm", "-o", "/nowhere/at/all"), CONF, "-o is '/nowhere/at/all'"),
    ],
)
def test_bad_input_is_told_in_one_line(words: tuple[str, ...], text: str, told: str) -> None:
    code, _, err = run("import", "-", *words, stdin=text)
    assert code == 2
    assert told in err


def test_help_lists_the_formats_that_there_are() -> None:
    _, out, _ = run("import", "--help")
    assert all(re.search(rf"\b{name}\b", out) for name in WRITERS)


def test_what_could_be_read_as_a_number_stands_in_quotes(tmp_path: Path) -> None:
    file = tmp_path / "t.conf"
    file.write_text("SwitchName=1e3 Nodes=007,0x1F,no,12")
    _, out, _ = run("import", str(file), "--to", "labels")
    assert {one["name"] for one in yaml.safe_load(out)} == {"007", "0x1F", "no", "12"}
    assert all(f"name: '{name}'" in out for name in ("007", "0x1F", "no", "12"))
    assert "'1e3'" in out


def lint(*words: str) -> tuple[int, Any]:
    code, out, err = run("lint", *words, "-o", "json")
    return code, json.loads(out) if out else err


def test_lint_of_a_snapshot_and_of_a_file_agree(snapshot: str) -> None:
    code, document = lint("--snapshot", snapshot)
    assert code == 0
    assert document["schema"] == "lockstep.topology-lint/v1"
    assert document["summary"] == {"nodes": 36, "errors": 0, "warnings": 0, "notes": 0}
    assert {level["name"]: level["domains"] for level in document["levels"]} == {
        "spine": 1, "leaf": 2, "rack": 2, "nvlink": 2,
    }  # fmt: skip
    assert lint(snapshot) == (0, document)
    code, told = lint(snapshot, "--snapshot", snapshot)
    assert code == 2
    assert "files or a snapshot, not both" in told


def test_lint_says_by_exit_code_whether_there_are_errors(tmp_path: Path, snapshot: str) -> None:
    objects = json.loads(Path(snapshot).read_text())
    first = objects["items"][0]
    del first["metadata"]["labels"][LEAF]
    file = tmp_path / "odd.json"
    file.write_text(json.dumps(objects))
    code, document = lint("--snapshot", str(file))
    assert code == 0
    assert [(one["code"], one["names"]) for one in document["findings"]] == [
        ("MissingLevel", [first["metadata"]["name"]])
    ]
    assert lint("--snapshot", str(file), "--strict")[0] == 2
    first["metadata"]["labels"]["nvidia.com/gpu.product"] = "NVIDIA-H200"
    file.write_text(json.dumps(objects))
    code, document = lint(str(file))
    assert code == 2
    assert document["findings"][0]["code"] == "MixedProducts"
    code, out, _ = run("lint", str(file))
    assert code == 2
    assert re.search(r"^error: .*NVIDIA-H200.*\[MixedProducts\]$", out, re.MULTILINE)


def test_lint_of_a_slurm_file_with_a_loop(tmp_path: Path) -> None:
    file = tmp_path / "topology.conf"
    file.write_text("SwitchName=a Switches=b\nSwitchName=b Switches=a\n" + CONF)
    code, document = lint(str(file))
    assert code == 2
    (finding,) = document["findings"][:1]
    assert (finding["code"], finding["names"]) == ("Cycle", ["a", "b"])
    assert finding["where"].endswith("topology.conf:1")
    assert lint("/does/not/exist")[0] == 2
    assert "--from is 'visio'" in lint(str(file), "--from", "visio")[1]


def test_only_some_hosts(conf: str, tmp_path: Path, snapshot: str) -> None:
    code, out, err = run("import", conf, "--to", "labels", "--hosts", "n[01,03],n99")
    assert code == 0
    assert [one["name"] for one in yaml.safe_load(out)] == ["n01", "n03"]
    assert "2 of 4 machines are no nodes of the cluster; left aside (n02, n04) [NotInCluster]" in err
    names = tmp_path / "names"
    names.write_text("# mine\nn01\nn[03-04] # racks\n")
    _, out, _ = run("import", conf, "--to", "labels", "--hosts", str(names))
    assert [one["name"] for one in yaml.safe_load(out)] == ["n01", "n03", "n04"]
    code, out, err = run("import", conf, "--to", "labels", "--hosts", snapshot)
    assert (code, yaml.safe_load(out)) == (0, [])
    assert "n01, n02, n03, n04" in err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--hosts", "n[1-"), "command line --hosts"),
        (("--hosts", "n[1-999999999]"), "at most 1,000,000"),
        (("--apply", "--to", "slurm"), "--apply is '--to slurm'; expected: --to labels, and no -o"),
        (("--apply", "--to", "labels", "-o", "x"), "--apply is '-o x'"),
        (("--apply", "--to", "labels", "--kubeconfig", "/nowhere/at/all"), "a cluster that answers"),
        (("--name-map", "/nowhere/at/all", "--to", "labels"), "a file that can be read"),
    ],
)
def test_import_refuses_what_it_cannot_do(conf: str, words: tuple[str, ...], told: str) -> None:
    code, out, err = run("import", conf, "--to", "labels", *words)
    assert (code, out) == (2, "")
    assert told in err


def test_hosts_and_a_name_map_for_what_ibdiagnet_wrote(tmp_path: Path) -> None:
    """Its ibnetdiscover file, with adapters that say nothing of their hosts."""
    fabric = rail_fabric(2, hosts=3, rails=2, managers=1, sharp=True)
    nameless = replace(fabric, adapters=dict.fromkeys(fabric.adapters, FACTORY))
    file = tmp_path / "ibdiagnet2.ibnetdiscover"
    file.write_text(ibnetdiscover_text(nameless))
    code, _, err = run("import", str(file), "--to", "labels")
    assert code == 2
    assert "UnmappedAdapter" in err
    names = tmp_path / "ibdiagnet2.node_name_map"
    names.write_text("".join(f'0x{guid} "{title}"\n' for guid, title in fabric.adapters.items()))
    words = ("import", str(file), "--to", "labels", "--name-map", str(names))
    code, out, err = run(*words, "--hosts", "gpu-[001-002]-[01-03]")
    assert code == 0, err
    leaves = {one["name"]: one["labels"][LEAF] for one in yaml.safe_load(out)}
    assert len(leaves) == 6
    assert len({leaves[host] for host in leaves if "-001-" in host}) == 1
    assert len(set(leaves.values())) == 2
    assert "[NotInCluster]" in err


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "latin-1"])
@pytest.mark.parametrize("word", ["import", "lint"])
def test_other_encodings_are_told_with_their_line(tmp_path: Path, encoding: str, word: str) -> None:
    file = tmp_path / "topology.conf"
    file.write_bytes((CONF + "# Zürich\n").encode(encoding))
    more = ("--to", "slurm") if word == "import" else ()
    code, out, err = run(word, str(file), *more)
    assert (code, out) == (2, "")
    assert f"topology.conf:{4 if encoding == 'latin-1' else 1}: file is" in err
    assert "expected: UTF-8 text; " in err


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    file = tmp_path / "topology.conf"
    file.write_bytes(CONF.encode("utf-8-sig"))
    assert run("import", str(file), "--to", "slurm") == (0, CONF, "")


def test_changes_of_labels() -> None:
    reading = Reading("x", ("spine", "leaf"), (), {"n1": {"leaf": "l1"}, "n2": {"leaf": "l 2"}, "n3": {}})
    present = {"n1": {LEAF: "l0", SPINE: "s"}, "n2": {"own": "kept"}, "n4": {LEAF: "l1"}}
    assert [(one.node, one.line()) for one in changes(reading, present)] == [
        ("n1", f"  - {SPINE}=s"),
        ("n1", f"  ~ {LEAF}=l0 -> l1"),
        ("n2", f"  + {LEAF}={label_value('l 2')}"),
    ]


def test_old_topograph_models_and_machines_without_a_fabric(tmp_path: Path) -> None:
    file = tmp_path / "model.yaml"
    blocks = [{"name": "b1", "type": "H100", "nodes": ["i1", "i2"]}, {"name": "b2", "nodes": ["i3"]}]
    switches = [{"name": "s1", "switches": ["s2"]}, {"name": "s2", "capacity_blocks": ["b1"]}]
    file.write_text(yaml.safe_dump({"topology": "tree", "switches": switches, "capacity_blocks": blocks}))
    code, document = lint(str(file))
    assert code == 0
    assert [(one["name"], one["nodes"]) for one in document["levels"]] == [("spine", 2), ("leaf", 2)]
    assert [(one["code"], one["names"]) for one in document["findings"]] == [("NoPlace", ["i3"])]
