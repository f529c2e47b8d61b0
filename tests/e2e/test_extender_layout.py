"""The chart's layout for a scheduler of one's own: two replicas over mutual TLS behind one Service."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest
import yaml

from deploy.local import tools
from deploy.local.component import free_ports
from deploy.local.lab import Lab
from deploy.local.objects import gang_pods, named
from deploy.render import CHART, NAMESPACE
from tests.certificates import Authority
from topology.synthetic import nvl72

VALUES = {"layout": "extender", "replicas": 2, "tls": {"secretName": "lockstep-tls"}}
RIGHTS = ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")


class Replica:
    """One pod of the Deployment: the chart's configuration with ports of its own."""

    def __init__(self, lab: Lab, name: str, config: dict[str, Any]) -> None:
        self.port, self.metrics, api, grpc = free_ports(4)
        service = {
            **config["service"],
            "address": "127.0.0.1",
            "port": self.port,
            "metrics": f"127.0.0.1:{self.metrics}",
            "api": f"127.0.0.1:{api}",
            "grpc": f"127.0.0.1:{grpc}",
            "paranoid": True,
            "leadership": {**config["service"]["leadership"], "identity": name},
        }
        file = lab.plane.folder / f"{name}.yaml"
        file.write_text(json.dumps({**config, "service": service}), encoding="utf-8")
        kubeconfig = lab.plane.kubeconfig("lockstep")
        command = [sys.executable, "-m", "deploy.local.tied", "serve", f"--config={file}"]
        self.log = lab.plane.logs / f"{name}.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, f"--kubeconfig={kubeconfig}"], stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )

    def ready(self) -> bool:
        """What the kubelet's probe says, and with it whether the Service leads here."""
        unverified = ssl._create_unverified_context()
        try:
            url = f"https://127.0.0.1:{self.metrics}/readyz"
            with urlopen(url, timeout=2, context=unverified) as reply:
                return bool(reply.status == 200)
        except (URLError, OSError):
            return False


class Service:
    """A port that leads to a replica that is ready, connection by connection, as kube-proxy's rules do."""

    def __init__(self) -> None:
        self.backends: list[Replica] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._lead, args=(client,), daemon=True).start()

    def _lead(self, client: socket.socket) -> None:
        with client:
            ready = next((one for one in self.backends if one.ready()), None)
            if ready is None:
                return
            with socket.create_connection(("127.0.0.1", ready.port)) as server:
                back = threading.Thread(target=_copy, args=(server, client), daemon=True)
                back.start()
                _copy(client, server)
                back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    for one in (source, target):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


def _chart(folder: Path) -> list[dict[str, Any]]:
    """What the chart renders, with the certificates of a test in place of the secret's."""
    authority = Authority(folder / "ca")
    pairs = {
        "tls": authority.pair("lockstep", server=True),
        "client": authority.pair("system:kube-scheduler"),
    }
    for name, pair in pairs.items():
        target = folder / name
        target.mkdir()
        for source, file in ((pair.cert, "tls.crt"), (pair.key, "tls.key"), (authority.file, "ca.crt")):
            shutil.copy(source, target / file)
    text = tools.template(CHART, VALUES, namespace=NAMESPACE).replace("/etc/lockstep", str(folder))
    return [document for document in yaml.safe_load_all(text) if document]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[Lab, Service, dict[str, Any]]]:
    found = _chart(tmp_path)
    data = next(document for document in found if document["kind"] == "ConfigMap")["data"]
    (entry,) = yaml.safe_load(data["scheduler-config.yaml"])["extenders"]
    service = Service()
    url = f"https://127.0.0.1:{service.port}/extender"
    with Lab(extender={**entry, "urlPrefix": url}) as lab:
        lab.client.apply([document for document in found if document["kind"] in RIGHTS])
        lab.add_nodes(nvl72(1))
        lab.plane.start_scheduler(extender_url=url, extender={**entry, "urlPrefix": url})
        try:
            yield lab, service, yaml.safe_load(data["lockstep.yaml"])
        finally:
            for one in service.backends:
                one.process.kill()
                one.process.wait()
            service.close()


def test_two_replicas_of_the_chart_behind_a_service(
    cluster: tuple[Lab, Service, dict[str, Any]],
) -> None:
    lab, service, config = cluster

    def gang(name: str) -> set[str]:
        pods = gang_pods(name, 4, gpus=4)
        lab.client.create(pods)
        return named(pods)

    service.backends += [Replica(lab, name, config) for name in ("lockstep-a", "lockstep-b")]
    lab.eventually(lambda: any(one.ready() for one in service.backends), timeout_s=60, what="one to lead")
    assert sum(one.ready() for one in service.backends) == 1
    lab.wait_bound(gang("first"))
    leader = next(one for one in service.backends if one.ready())
    leader.process.kill()
    lab.eventually(
        lambda: any(one.ready() for one in service.backends), timeout_s=20, what="the other to lead"
    )
    lab.wait_bound(gang("second"))
    assert not leader.ready()
    for one in service.backends:
        assert "broken promise" not in one.log.read_text()
