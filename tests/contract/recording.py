"""Records what a real kube-scheduler asks its extender: `python -m tests.contract.recording`.

A proxy stands between the scheduler and Lockstep. The embedded kube-scheduler is recorded, or with
`--scheduler BINARY --version v1.35.1` a stock one of another version, on the same API server. Kept is the
first call of every kind: its verb, whether names or whole nodes were sent, and how it was answered.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.request import Request, urlopen

from deploy.local.api import ApiError
from deploy.local.component import free_ports
from deploy.local.lab import Lab
from deploy.local.objects import Object, gang_pods, named
from deploy.local.scheduler_config import render, scheduler_configuration
from topology.synthetic import hgx

RECORDED = Path(__file__).with_name("recorded")
_CLASS = {
    "apiVersion": "scheduling.k8s.io/v1",
    "kind": "PriorityClass",
    "metadata": {"name": "recorded-high"},
    "value": 1000,
}


class Call(NamedTuple):
    """One call: the body as it was sent, byte for byte, and the answer."""

    verb: str
    names_only: bool
    body: str
    reply: Any


class Recorder:
    """A proxy on loopback before an extender."""

    def __init__(self, target: str) -> None:
        self.calls: list[Call] = []
        self.names_only = True
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {"Content-Type": "application/json"}
                with urlopen(Request(target + self.path, data=body, headers=headers), timeout=30) as reply:
                    answer = reply.read()
                verb = self.path.rpartition("/")[2]
                recorder.calls.append(Call(verb, recorder.names_only, body.decode(), json.loads(answer)))
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                """Nothing: what was asked is in the recording."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()


@contextmanager
def scheduler(lab: Lab, url: str, *, binary: str, names_only: bool) -> Iterator[None]:
    """A kube-scheduler that asks at `url`: the embedded one, or a stock binary."""
    entry = {"nodeCacheCapable": names_only}
    if not binary:
        lab.plane.start_scheduler(extender_url=f"{url}/extender", extender=entry)
        yield
        lab.plane.stop_scheduler()
        return
    file, (port,) = lab.plane.folder / "stock.yaml", free_ports(1)
    document = scheduler_configuration(
        extender_url=f"{url}/extender", kubeconfig=lab.plane.kubeconfig("scheduler"), extender=entry
    )
    file.write_text(render(document), encoding="utf-8")
    with (lab.plane.logs / "stock.log").open("ab") as log:
        command = [binary, f"--config={file}", f"--secure-port={port}", "--bind-address=127.0.0.1"]
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            process.wait()


def story(lab: Lab, recorder: Recorder) -> None:
    """A gang, a pod alone, one that fits nowhere, and one that could preempt."""
    for pods in (gang_pods("recorded", 2, gpus=8), [alone("single", gpus=4)], [alone("filler", gpus=4)]):
        lab.client.create(pods)
        lab.wait_bound(named(pods), timeout_s=60)
    lab.client.create([alone("wide", gpus=6)])
    urgent = alone("urgent", gpus=8)
    urgent["spec"]["priorityClassName"] = "recorded-high"
    lab.client.create([urgent])
    lab.eventually(
        lambda: ("preempt", recorder.names_only) in {call[:2] for call in recorder.calls},
        timeout_s=60,
        what="a preemption",
    )
    for pod in lab.client.get("/api/v1/namespaces/default/pods")["items"]:
        with suppress(ApiError):  # preempted, and gone
            lab.client.delete(f"/api/v1/namespaces/default/pods/{pod['metadata']['name']}")


def alone(name: str, *, gpus: int) -> Object:
    """A pod of its own, without any word of Lockstep's."""
    (pod,) = gang_pods(name, 1, gpus=gpus)
    del pod["metadata"]["annotations"]
    return pod


def kept(calls: Sequence[Call]) -> list[Call]:
    """The first call of every kind."""
    found: dict[tuple[object, ...], Call] = {}
    for call in calls:
        gang = "lockstep.scheduling/gang" in call.body
        answer = call.reply if isinstance(call.reply, dict) else {}
        refused = bool(answer.get("FailedNodes") or answer.get("Error"))
        found.setdefault((call.verb, call.names_only, gang, refused), call)
    return list(found.values())


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.contract.recording", description=__doc__)
    parser.add_argument(
        "--scheduler", default="", metavar="BINARY", help="a stock kube-scheduler (default: the embedded one)"
    )
    parser.add_argument("--version", default="", help="of the binary, such as v1.35.1")
    options = parser.parse_args()
    with Lab() as lab:
        lab.client.create([_CLASS])
        lab.add_nodes(hgx(1, 1, 3))
        lab.start_lockstep()
        recorder = Recorder(lab.url)
        for names_only in (True, False):
            recorder.names_only = names_only
            with scheduler(lab, recorder.url, binary=options.scheduler, names_only=names_only):
                story(lab, recorder)
        recorder.close()
        version = options.version or lab.client.get("/version")["gitVersion"]
    RECORDED.mkdir(exist_ok=True)
    document = {"kube-scheduler": version, "calls": [call._asdict() for call in kept(recorder.calls)]}
    file = RECORDED / f"{version}.json"
    file.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(f"{file}: {len(document['calls'])} of {len(recorder.calls)} calls")
    return 0


if __name__ == "__main__":
    sys.exit(main())
