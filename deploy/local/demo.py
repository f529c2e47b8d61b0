"""`make demo`: a real control plane, a fabric, four gangs, a broken node; what happens and why."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from deploy.local.build import BuildError
from deploy.local.component import StartError
from deploy.local.lab import Lab
from deploy.local.objects import Object, gang_pods, named, pods_of
from topology.synthetic import mixed

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "deploy" / "examples" / "deepseek-r1-vllm.yaml"
PICTURE = ROOT / "out" / "demo.svg"
H100 = {"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; the exit code is 0 when everything went as told."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave everything running until Ctrl-C")
    keep = parser.parse_args(arguments).keep
    try:
        with Lab(keep=False) as lab:
            _play(lab)
            if keep:
                _stay(lab)
    except (BuildError, StartError, TimeoutError) as error:
        print(f"the demo failed: {error}", file=sys.stderr)
        return 1
    return 0


def _play(lab: Lab) -> None:
    _say("a control plane runs: etcd, kube-apiserver and kube-scheduler, nothing faked")
    lab.add_nodes(mixed())
    lab.start()
    summary = lab.ask("/v1/topology")["summary"]
    _say(
        f"two NVL72 racks and four HGX racks: {summary['nodes']} nodes, {summary['gpus']} GPUs; "
        "Lockstep is the scheduler's extender"
    )
    model = pods_of([MODEL])
    _submit(lab, model, "a 671B model from an unmodified vLLM LeaderWorkerSet, TP 16 x PP 2")
    training = gang_pods(
        "training",
        64,
        gpus=1,
        cpu="8",
        selector=H100,
        annotations={"tensor-parallel": "8", "preferred": "gang=rack"},
    )
    _submit(lab, training, "a training gang of 64 pods on HGX machines, tensor-parallel groups of 8")
    _refuse(lab)
    _survive_a_broken_node(lab)
    _show(lab)


def _submit(lab: Lab, pods: list[Object], what: str) -> None:
    _say(f"\nsubmitted: {what}")
    started = time.monotonic()
    lab.client.create(pods)
    lab.wait_bound(named(pods))
    print(f"  {len(pods)} pods created and bound in {time.monotonic() - started:.1f} s")


def _refuse(lab: Lab) -> None:
    _say("\nsubmitted: a gang that asks for more than one NVLink domain has")
    pods = gang_pods("too-wide", 24, gpus=4, annotations={"required": "gang=nvlink"})
    lab.client.create(pods)
    lab.eventually(lambda: lab.state("too-wide") == "blocked", what="the refusal of too-wide")
    _run(lab, "explain", "default/too-wide")
    assert not lab.nodes_of(named(pods))


def _survive_a_broken_node(lab: Lab) -> None:
    _say("\nsubmitted: a gang of 8 pods, while kube-scheduler is stopped; then one of its nodes breaks")
    lab.plane.stop_scheduler()
    pods = gang_pods("survivor", 8, gpus=4, annotations={"required": "gang=nvlink"})
    lab.client.create(pods)
    lab.eventually(lambda: lab.state("survivor") == "reserved", what="a plan for survivor")
    before = _planned(lab, "survivor")
    broken = before[0]
    status = {"status": {"conditions": [{"type": "Ready", "status": "False", "reason": "Demo"}]}}
    lab.client.request(
        "PATCH",
        f"/api/v1/nodes/{broken}/status",
        status,
        content_type="application/strategic-merge-patch+json",
    )
    lab.eventually(lambda: broken not in _planned(lab, "survivor") != [], what="a new plan")
    lab.start_scheduler()
    lab.wait_bound(named(pods))
    print(
        f"  {broken} broke before anything was bound: the whole gang was planned again without it, and bound"
    )


def _planned(lab: Lab, gang: str) -> list[str]:
    return sorted(set(lab.planned(gang).values()))


def _show(lab: Lab) -> None:
    _say("\nwhat runs where")
    _run(lab, "gangs")
    print()
    PICTURE.parent.mkdir(exist_ok=True)
    kubeconfig = f"--kubeconfig={lab.plane.kubeconfig('viewer')}"
    _run(lab, "topology", "draw", kubeconfig)
    _run(lab, "topology", "draw", kubeconfig, f"--svg={PICTURE}", quiet=True)
    print(f"the same as a picture: {PICTURE.relative_to(ROOT)}")


def _run(lab: Lab, *words: str, quiet: bool = False) -> None:
    """Run one of our own commands and show it as a user would type it."""
    shown = [word for word in words if not word.startswith("--kubeconfig")]
    if not quiet:
        print(f"$ lockstep {' '.join(shown)}", flush=True)
    command = [sys.executable, "-m", "scheduler.cli", *words]
    if words[0] in ("gangs", "explain"):
        command.append(f"--server={lab.url}")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if not quiet:
        print(_indented(done.stdout + done.stderr))


def _stay(lab: Lab) -> None:
    print("\nit keeps running; talk to it with")
    print(f"  export KUBECONFIG={lab.plane.kubeconfig('admin')} LOCKSTEP_SERVER={lab.url}")
    print("  .venv/bin/lockstep gangs -A")
    print("Ctrl-C ends it")
    try:
        while True:
            time.sleep(1)
    except KeyboardInterrupt:
        print()


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" if line else "" for line in text.splitlines())


def _say(*lines: Iterable[str] | str) -> None:
    for line in lines:
        print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
