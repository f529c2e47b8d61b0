"""The commands as a user runs them: output, errors and exit codes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deploy.local.objects import gang_pods, node_object
from topology.synthetic import nvl72

ROOT = Path(__file__).parents[1]


def lockstep(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "scheduler.cli", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, input=stdin, check=False)


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two NVL72 racks; one node cordoned; a pending gang and one that runs."""
    nodes = [node_object(one) for one in nvl72(2)]
    nodes[0]["spec"] = {"unschedulable": True}
    running = gang_pods("runs", 2, gpus=4)
    for at, pod in enumerate(running):
        pod["metadata"]["uid"] = f"u{at}"
        pod["spec"]["nodeName"] = f"nvl-2-0{at + 1}"
    waiting = gang_pods("waits", 20, gpus=4, annotations={"required": "gang=nvlink"})
    for at, pod in enumerate(waiting):
        pod["metadata"]["uid"] = f"w{at}"
    file = tmp_path_factory.mktemp("snapshot") / "cluster.json"
    file.write_text(json.dumps({"kind": "List", "items": [*nodes, *running, *waiting]}))
    return str(file)


def plan(snapshot: str, pods: list[Any], *words: str) -> tuple[int, Any]:
    done = lockstep("plan", "-f", "-", "--snapshot", snapshot, "-o", "json", *words, stdin=json.dumps(pods))
    return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr


def test_a_gang_that_fits(snapshot: str) -> None:
    code, answer = plan(snapshot, gang_pods("g", 16, gpus=4, annotations={"tensor-parallel": "64"}))
    assert code == 0
    assert answer["schema"] == "lockstep.plan/v1"
    assert answer["snapshot"] == {"nodes": 36, "ready": 36, "gpus": 144, "free_gpus": 132}
    (gang,) = answer["gangs"]
    assert (gang["gang"], gang["verdict"], gang["proof"], gang["source"]) == (
        "default/g", "placed", "optimal", "annotations",
    )  # fmt: skip
    assert gang["shape"]["tp"] == 64
    assert [pod["rank"] for pod in gang["pods"]] == list(range(16))
    assert len({pod["domains"]["nvlink"] for pod in gang["pods"]}) == 1
    assert gang["levels"]["nvlink"] == {"used": 1, "least": 1}
    assert all(term["value"] == term["bound"] for term in gang["objective"])


def test_not_now_never_and_invalid_have_their_own_exit_codes(snapshot: str) -> None:
    now = gang_pods("now", 18, gpus=4, annotations={"required": "gang=nvlink"})
    code, answer = plan(snapshot, now)
    assert (code, answer["gangs"][0]["verdict"]) == (3, "blocked")
    assert answer["gangs"][0]["reason"]["needed"] == 18
    never = gang_pods("never", 19, gpus=4, annotations={"required": "gang=nvlink"})
    code, answer = plan(snapshot, never)
    assert (code, answer["gangs"][0]["verdict"]) == (4, "impossible")
    invalid = gang_pods("bad", 2, gpus=4, annotations={"tensor-parallel": "3"})
    code, answer = plan(snapshot, [*now, *invalid])
    assert code == 2
    assert [gang["verdict"] for gang in answer["gangs"]] == ["blocked", "invalid"]


def test_gangs_are_placed_in_document_order_on_what_is_left(snapshot: str) -> None:
    pods = [
        pod
        for at in range(3)
        for pod in gang_pods(f"g{at}", 15, gpus=4, annotations={"required": "gang=nvlink"})
    ]
    code, answer = plan(snapshot, pods)
    assert [gang["verdict"] for gang in answer["gangs"]] == ["placed", "placed", "blocked"]
    assert code == 3


def test_an_unknown_level_names_the_nearest(snapshot: str) -> None:
    pods = gang_pods("g", 2, gpus=4, annotations={"required": "gang=rak"})
    done = lockstep("plan", "-f", "-", "--snapshot", snapshot, stdin=json.dumps(pods))
    assert done.returncode == 2
    assert "did you mean 'rack'?" in done.stdout


@pytest.mark.parametrize("form", ["table", "wide", "json", "yaml", "name"])
@pytest.mark.parametrize("command", [["gangs"], ["explain", "default/waits"], ["topology", "show"]])
def test_every_form_of_every_answer(snapshot: str, command: list[str], form: str) -> None:
    done = lockstep(*command, "--snapshot", snapshot, "-o", form)
    assert done.returncode == (4 if command[0] == "explain" else 0), done.stderr
    assert done.stdout
    assert done.stderr == ""


def test_gangs_and_explain_from_a_snapshot(snapshot: str) -> None:
    rows = json.loads(lockstep("gangs", "--snapshot", snapshot, "-o", "json").stdout)["gangs"]
    assert [(row["gang"], row["state"]) for row in rows] == [
        ("default/runs", "bound"),
        ("default/waits", "blocked"),
    ]
    told = lockstep("explain", "waits", "--snapshot", snapshot).stdout
    assert "the gang needs 20 pods in one nvlink; the best nvlink has room for 18 even when empty" in told


def test_drawing(snapshot: str, tmp_path: Path) -> None:
    told = lockstep("topology", "draw", "--snapshot", snapshot).stdout
    assert "nvl-1-01 xxxx" in told
    assert "A default/runs (8 GPUs)" in told
    file = tmp_path / "f.svg"
    assert lockstep("topology", "draw", "--snapshot", snapshot, "--svg", str(file)).returncode == 0
    assert file.read_text().startswith("<svg")


def test_a_drawing_names_the_gangs_that_only_their_owner_knows(tmp_path: Path) -> None:
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "train", "namespace": "default", "uid": "j"},
        "spec": {"completionMode": "Indexed", "completions": 2, "parallelism": 2, "template": {"spec": {}}},
    }
    pods = gang_pods("train", 2, gpus=4)
    for at, pod in enumerate(pods):
        pod["metadata"] |= {
            "uid": f"u{at}",
            "annotations": {},
            "labels": {
                "batch.kubernetes.io/job-name": "train",
                "batch.kubernetes.io/job-completion-index": str(at),
            },
            "ownerReferences": [
                {"apiVersion": "batch/v1", "kind": "Job", "name": "train", "uid": "j", "controller": True}
            ],
        }
        pod["spec"]["nodeName"] = f"nvl-1-0{at + 1}"
    file = tmp_path / "cluster.json"
    file.write_text(json.dumps({"kind": "List", "items": [*map(node_object, nvl72(1)), job, *pods]}))
    assert "A default/train (8 GPUs)" in lockstep("topology", "draw", "--snapshot", str(file)).stdout


def test_a_gang_that_does_not_exist_is_told_with_those_that_may_be_meant(snapshot: str) -> None:
    for named in ("default/wai", "default/wiats"):
        done = lockstep("explain", named, "--snapshot", snapshot)
        assert done.returncode == 2
        assert "a gang that exists, such as default/waits" in done.stderr


def test_config_check(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("apiVersion: lockstep.scheduling/v1alpha1\nkind: LockstepConfiguration\n")
    right = lockstep("config", "check", str(file))
    assert right.returncode == 0
    assert "jobset: JobSet" in right.stdout and re.search(r"^list watch +pods +essential", right.stdout, re.M)
    told = json.loads(lockstep("config", "check", str(file), "-o", "json").stdout)
    assert {"right": "`create` pods/binding", "essential": True, "without": "no pod can be bound"} in told[
        "rights"
    ]
    assert {one["kind"] for one in told["kinds"]} >= {"LeaderWorkerSet", "PodGang", "SparkApplication"}
    file.write_text(file.read_text() + "workloads: {families: [jobset]}\n")
    few = json.loads(lockstep("config", "check", str(file), "-o", "json").stdout)
    assert not any("rayclusters" in one["right"] for one in few["rights"])
    file.write_text("apiVersion: lockstep.scheduling/v1alpha1\nkind: LockstepConfiguration\ntopolgy: {}\n")
    done = lockstep("config", "check", str(file))
    assert done.returncode == 2
    assert f"{file}:3: topolgy" in done.stdout


@pytest.mark.parametrize(
    "words",
    [
        ["plan"],
        ["plan", "-f", "nowhere.yaml", "--snapshot", "nowhere.json"],
        ["explain", "default/nobody", "--server", "http://127.0.0.1:9"],
        ["gangs", "--server", "http://127.0.0.1:9"],
        ["topology", "show", "--kubeconfig", "nowhere"],
        ["nonsense"],
    ],
)
def test_wrong_use_is_told_in_a_line_and_not_as_a_traceback(words: list[str]) -> None:
    done = lockstep(*words)
    assert done.returncode == 2
    assert done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "words", [[], ["plan"], ["gangs"], ["explain"], ["serve"], ["topology", "show"], ["config", "check"]]
)
def test_every_command_has_help(words: list[str]) -> None:
    done = lockstep(*words, "--help")
    assert done.returncode == 0
    assert "Usage: lockstep" in done.stdout


def test_a_batch_is_placed_where_one_after_another_fails(tmp_path: Path) -> None:
    """Leaves of three and four nodes, gangs of two, three and two: only together do they all fit."""
    labels = {"l1": 3, "l2": 4}
    nodes = [
        {
            "kind": "Node",
            "metadata": {"name": f"{leaf}-{at}", "labels": {"fabric.topograph.run/tier-0": leaf}},
            "status": {"allocatable": {"cpu": "96", "memory": "1Ti", "pods": "110", "nvidia.com/gpu": "8"}},
        }
        for leaf, count in labels.items()
        for at in range(count)
    ]
    file = tmp_path / "nodes.json"
    file.write_text(json.dumps({"kind": "List", "items": nodes}))
    wish = {"required": "gang=leaf"}
    pods = [
        pod
        for name, n in (("a", 2), ("b", 3), ("c", 2))
        for pod in gang_pods(name, n, gpus=8, annotations=wish)
    ]
    code, answer = plan(str(file), pods)
    assert (code, [gang["verdict"] for gang in answer["gangs"]]) == (3, ["placed", "placed", "blocked"])
    for order in (pods, pods[::-1]):
        code, answer = plan(str(file), order, "--jointly")
        assert (code, {gang["verdict"] for gang in answer["gangs"]}) == (0, {"placed"})
        assert answer["batch"]["proof"] == "optimal"
        leaves = {gang["gang"]: {pod["domains"]["leaf"] for pod in gang["pods"]} for gang in answer["gangs"]}
        assert all(len(used) == 1 for used in leaves.values())
        assert leaves["default/b"] == {"l1"}


def test_the_fewest_victims(tmp_path: Path) -> None:
    """A gang fills one rack and two single pods stand in the other: the gang is one victim, they are two."""
    nodes = [node_object(one) for one in nvl72(2)]
    running = [("big", f"nvl-1-{at + 1:02}") for at in range(18)] + [("", "nvl-2-01"), ("", "nvl-2-02")]
    pods = []
    for at, (name, node) in enumerate(running):
        pod = gang_pods("big", 18, gpus=4)[at % 18]
        pod["metadata"] |= {"name": f"p{at}", "uid": f"u{at}"}
        if not name:
            del pod["metadata"]["annotations"]
        pod["spec"]["nodeName"] = node
        pods.append(pod)
    file = tmp_path / "cluster.json"
    file.write_text(json.dumps({"kind": "List", "items": [*nodes, *pods]}))
    wanted = gang_pods("new", 18, gpus=4, annotations={"required": "gang=nvlink"})
    code, answer = plan(str(file), wanted, "--evict")
    assert code == 3
    (evict,) = [fix for fix in answer["gangs"][0]["reason"]["fixes"] if fix["kind"] == "evict"]
    assert evict["detail"] == {"victims": ["default/big"], "pods": 18, "least": 1, "proof": "optimal"}
    assert evict["verified"]


def _running(name: str, places: list[str], gpus: int) -> list[dict[str, Any]]:
    pods = gang_pods(name, len(places), gpus=gpus)
    for pod, node in zip(pods, places, strict=True):
        pod["metadata"]["uid"] = f"uid-{pod['metadata']['name']}"
        pod["spec"]["nodeName"] = node
        pod["spec"].pop("schedulingGates", None)
    return pods


def test_who_would_have_to_move(tmp_path: Path) -> None:
    """Every rack is a few nodes short; the cheapest to clear is the one with a gang of half nodes."""
    nodes = [node_object(one) for one in nvl72(3)]
    pods = [
        *_running("a", ["nvl-1-01", "nvl-1-02"], 4),
        *_running("b", ["nvl-2-01", "nvl-2-02", "nvl-2-03"], 4),
        *_running("c", ["nvl-3-01", "nvl-3-02"], 2),
    ]
    file = tmp_path / "cluster.json"
    file.write_text(json.dumps({"kind": "List", "items": [*nodes, *pods]}))
    wanted = gang_pods("new", 18, gpus=4, annotations={"required": "gang=rack"})
    code, answer = plan(str(file), wanted, "--defragment")
    assert code == 3
    move = answer["gangs"][0]["reason"]["fixes"][0]
    assert (move["kind"], move["verified"]) == ("move", True)
    assert (move["detail"]["amount"], move["detail"]["least"], move["detail"]["proof"]) == (4, 4, "optimal")
    assert [(step["move"], step["from"]) for step in move["detail"]["steps"]] == [
        ("default/c", ["nvl-3-01", "nvl-3-02"])
    ]
    assert len(move["detail"]["then"]) == 18
    assert not set(move["detail"]["steps"][0]["to"]) & set(move["detail"]["then"])


def test_what_is_asked_for_beside_a_refusal_and_not_found_is_said(tmp_path: Path) -> None:
    """A node of every rack is cordoned and nothing runs: nobody can move or be evicted."""
    nodes = [node_object(one) for one in nvl72(2)]
    for one in (nodes[0], nodes[18]):
        one["spec"] = {"unschedulable": True}
    file = tmp_path / "cluster.json"
    file.write_text(json.dumps({"kind": "List", "items": nodes}))
    inside = {"required": "gang=nvlink"}
    _, answer = plan(str(file), gang_pods("g", 18, gpus=4, annotations=inside), "--evict", "--defragment")
    assert answer["gangs"][0]["notes"] == [
        "no moves of running pods were found that make room",
        "no victims were found whose eviction makes room",
    ]
    _, answer = plan(str(file), gang_pods("g", 36, gpus=4), "--defragment")
    assert answer["gangs"][0]["notes"] == [
        "moving pods does not help: 144 nvidia.com/gpu are asked for, 136 are free where they may run"
    ]
    _, answer = plan(str(file), gang_pods("g", 18, gpus=4, annotations=inside))
    assert answer["gangs"][0]["notes"] == []


def test_roles_with_levels_and_sizes_of_their_own(tmp_path: Path) -> None:
    """Prefill wants a rack, decode one NVLink domain per replica of 32 GPUs, the router nothing."""
    file = tmp_path / "nodes.json"
    file.write_text(json.dumps({"kind": "List", "items": [node_object(one) for one in nvl72(2)]}))
    roles = {
        "prefill": (4, 4, {"tensor-parallel": "8", "required": "gang=spine,group=rack"}),
        "decode": (8, 4, {"tensor-parallel": "32", "required": "gang=spine,tp=nvlink"}),
        "router": (1, 0, {}),
    }
    pods = []
    for role, (count, gpus, more) in roles.items():
        for pod in gang_pods("ds", count, gpus=gpus, annotations={"group": role, **more}):
            pod["metadata"]["name"] = f"{role}-{pod['metadata']['name']}"
            pod["metadata"]["annotations"]["lockstep.scheduling/gang-size"] = "13"
            pods.append(pod)
    code, answer = plan(str(file), pods)
    (gang,) = answer["gangs"]
    assert (code, gang["verdict"], gang["proof"]) == (0, "placed", "optimal")
    sizes = {group["name"]: (group["pods"], group.get("tp")) for group in gang["shape"]["groups"]}
    assert sizes == {"prefill": (4, 8), "decode": (8, 32), "router": (1, None)}
    inside = {
        role: {pod["domains"][level] for pod in gang["pods"] if pod["group"] == role}
        for role, level in (("prefill", "rack"), ("decode", "nvlink"))
    }
    assert all(len(domains) == 1 for domains in inside.values())


def test_no_node_is_added_to_the_nvlink_domain_of_one_machine(tmp_path: Path) -> None:
    """A node without a clique label is an NVLink domain of its own: one beside it is another."""
    nodes = [node_object(one) for one in nvl72(1)]
    for node in nodes:
        node["metadata"]["labels"] = {
            key: value for key, value in node["metadata"]["labels"].items() if "clique" not in key
        }
    file = tmp_path / "cluster.json"
    file.write_text(json.dumps({"kind": "List", "items": nodes}))
    code, answer = plan(str(file), gang_pods("g", 2, gpus=4, annotations={"tensor-parallel": "8"}))
    (gang,) = answer["gangs"]
    assert (code, gang["verdict"]) == (4, "impossible")
    fixes = gang["reason"]["fixes"]
    assert fixes and "add-nodes" not in [fix["kind"] for fix in fixes]
