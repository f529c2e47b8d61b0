"""The chart's own configurations and rights at work: mutual TLS, tokens, doctor, rights taken away."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
import yaml

from deploy.local import tools
from deploy.local.component import free_ports
from deploy.local.lab import PODS, Lab, _unverified
from deploy.local.objects import gang_pods, named
from deploy.render import CHART, NAMESPACE
from scheduler.cli import doctoring, listing
from scheduler.cli.access import Asked
from scheduler.cli.output import Format
from scheduler.cli.replaying import replay
from scheduler.cli.selecting import gangs_of
from scheduler.cli.sources import Source
from scheduler.config import load_config
from scheduler.model import InvalidInput
from scheduler.rights import needed
from tests.certificates import Authority, Pair
from topology.synthetic import nvl72

VALUES = {"tls": {"secretName": "lockstep-tls"}}
ROLE = "/apis/rbac.authorization.k8s.io/v1/clusterroles/lockstep"
MERGE = "application/merge-patch+json"


class Shipped:
    """A lab with what the chart renders; only paths and ports are those of this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority(folder / "ca")
        self.server = self.authority.pair("lockstep", server=True)
        self.client = self.authority.pair("system:kube-scheduler")
        for name, pair in (("tls", self.server), ("client", self.client)):
            target = folder / name
            target.mkdir()
            self.place(pair, target)
            shutil.copy(self.authority.file, target / "ca.crt")
        text = tools.template(CHART, VALUES, namespace=NAMESPACE).replace("/etc/lockstep", str(folder))
        data = next(d for d in yaml.safe_load_all(text) if d and d["kind"] == "ConfigMap")["data"]
        service = yaml.safe_load(data["lockstep.yaml"])["service"]
        metrics, api, grpc = free_ports(3)
        service |= {"metrics": f"127.0.0.1:{metrics}", "api": f"127.0.0.1:{api}", "grpc": f"127.0.0.1:{grpc}"}
        del service["port"]
        (entry,) = yaml.safe_load(data["scheduler-config.yaml"])["extenders"]
        extender = {key: value for key, value in entry.items() if key != "urlPrefix"}
        self.metrics, self.api = f"https://127.0.0.1:{metrics}", f"https://127.0.0.1:{api}"
        service["records"] = str(folder / "records")
        service["paranoid"] = True
        self.lab = Lab(config={"service": service}, extender=extender)

    def place(self, pair: Pair, target: Path) -> None:
        shutil.copy(pair.cert, target / "tls.crt")
        shutil.copy(pair.key, target / "tls.key")

    def get(self, url: str, identity: str = "") -> tuple[int, str]:
        headers = {"Authorization": f"Bearer {self.lab.plane.token(identity)}"} if identity else {}
        try:
            with urlopen(Request(url, headers=headers), timeout=30, context=_unverified()) as reply:
                return reply.status, reply.read().decode()
        except HTTPError as error:
            return error.code, error.read().decode()

    def gang(self, name: str, size: int = 4) -> set[str]:
        pods = gang_pods(name, size, gpus=4)
        self.lab.client.create(pods)
        return named(pods)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shipped]:
    found = Shipped(tmp_path_factory.mktemp("shipped"))
    with found.lab as lab:
        lab.add_nodes(nvl72(1))
        lab.start()
        yield found


def test_a_gang_is_bound_over_mutual_tls(shipped: Shipped) -> None:
    shipped.lab.wait_bound(shipped.gang("first"))


def test_the_command_line_shows_a_token(shipped: Shipped, capsys: pytest.CaptureFixture[str]) -> None:
    def listed(token: str | None, authority: str | None) -> str:
        server = listing.Server(shipped.api, token, authority)
        listing.gangs(listing.Gangs(server, [], None), output=Format.NAME)
        return capsys.readouterr().out

    authority = str(shipped.authority.file)
    assert "default/first" in listed(shipped.lab.plane.token("viewer"), authority)
    with pytest.raises(InvalidInput, match="a token that the API server knows"):
        listed(None, authority)
    with pytest.raises(InvalidInput, match="server"):
        listed(shipped.lab.plane.token("viewer"), None)


def test_a_command_asks_as_somebody_else(shipped: Shipped) -> None:
    """The admin may impersonate; `viewer` reads, `nobody` may not; pods are chosen by their labels."""
    kubeconfig = str(shipped.lab.plane.kubeconfig("admin"))
    own = "example.com/chosen"
    patch = {"metadata": {"labels": {own: "yes"}}}
    shipped.lab.client.request("PATCH", f"{PODS}/first-0", patch, content_type=MERGE)
    viewer = Source([], kubeconfig=kubeconfig, user="viewer", pods=f"{own}=yes").read()
    assert [pod.key.name for pod in viewer.pods] == ["first-0"]
    assert gangs_of(f"{own}=yes", [], None, Asked(kubeconfig, None, "viewer")) == {"default/first"}
    with pytest.raises(InvalidInput, match="403"):
        Source([], kubeconfig=kubeconfig, user="nobody").read()


def test_the_api_and_the_metrics_ask_who_that_is(shipped: Shipped) -> None:
    url = f"{shipped.api}/v1/gangs"
    assert shipped.get(url)[0] == 401
    assert shipped.get(url, "scheduler")[0] == 200  # kube-scheduler lists pods and nodes everywhere
    assert shipped.get(url, "viewer")[0] == 200
    assert shipped.get(f"{shipped.metrics}/metrics")[0] == 401
    assert shipped.get(f"{shipped.metrics}/metrics", "viewer")[0] == 403
    status, text = shipped.get(f"{shipped.metrics}/metrics", "admin")
    assert status == 200 and "lockstep_decisions_total" in text
    assert shipped.get(f"{shipped.metrics}/readyz") == (200, "ok\n")


def test_certificates_change_and_the_scheduler_goes_on(shipped: Shipped) -> None:
    """Both sides read their files again; nothing is restarted."""
    log = shipped.lab.log
    for name, pair in (
        ("tls", shipped.authority.pair("renewed", server=True)),
        ("client", shipped.authority.pair("system:kube-scheduler")),
    ):
        shipped.place(pair, shipped.folder / name)
    shipped.lab.eventually(lambda: "are read again" in log.read_text() or "is read again" in log.read_text())
    shipped.lab.wait_bound(shipped.gang("after-renewal"))


def test_every_decision_of_this_run_replays(shipped: Shipped, capsys: pytest.CaptureFixture[str]) -> None:
    files = sorted((shipped.folder / "records").glob("*.json"))
    assert files
    assert [replay(str(file), output=Format.JSON) for file in files] == [0] * len(files)
    capsys.readouterr()


def examine(shipped: Shipped, capsys: pytest.CaptureFixture[str], **where: Any) -> dict[str, Any]:
    config = str(shipped.lab.plane.folder / "lockstep.yaml")
    kubeconfig = str(shipped.lab.plane.kubeconfig("admin"))
    code = doctoring.diagnose(
        doctoring.Installation(**where),
        config=config,
        access=Asked(kubeconfig),
        output=Format.JSON,
        strict=False,
    )
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert code == (2 if not found["healthy"] else 5 if found["not_checked"] else 0)
    return found


def test_doctor_finds_nothing_wrong_with_what_is_shipped(
    shipped: Shipped, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(shipped.lab.plane.folder / "scheduler.yaml")
    found = examine(shipped, capsys, scheduler_config=file)
    assert [one for one in found["findings"] if one["severity"] == "error"] == []
    assert found["not_checked"] == []


def test_every_right_that_is_taken_away_is_named(
    shipped: Shipped, capsys: pytest.CaptureFixture[str]
) -> None:
    """By doctor, one right at a time; what is shipped is exactly what is needed, with leadership."""
    client = shipped.lab.client
    rules = client.get(ROLE)["rules"]
    needs = needed(load_config(str(shipped.lab.plane.folder / "lockstep.yaml")))
    spelled = {
        (verb, group, resource)
        for rule in rules
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    wanted = {
        (n.act.verb, n.act.group, n.act.resource + ("/" + n.act.subresource if n.act.subresource else ""))
        for n in needs
    }
    assert spelled == wanted
    file = str(shipped.lab.plane.folder / "scheduler.yaml")
    try:
        for verb, group, resource in sorted(spelled):
            client.request(
                "PATCH", ROLE, {"rules": _without(rules, verb, group, resource)}, content_type=MERGE
            )
            shipped.lab.eventually(
                lambda v=verb, r=resource: _told(examine(shipped, capsys, scheduler_config=file), v, r),  # type: ignore[misc]
                what=f"doctor to miss {verb} {resource}",
            )
    finally:
        client.request("PATCH", ROLE, {"rules": rules}, content_type=MERGE)


def _told(found: dict[str, Any], verb: str, resource: str) -> bool:
    told = [one["message"] for one in found["findings"] if one["code"] == "RightMissing"]
    return len(told) == 1 and f"`{verb}` {resource}" in told[0]


def _without(rules: list[Any], verb: str, group: str, resource: str) -> list[Any]:
    """The rules spelled out, but for one right."""
    return [
        {"apiGroups": [g], "resources": [r], "verbs": [v]}
        for rule in rules
        for g in rule["apiGroups"]
        for r in rule["resources"]
        for v in rule["verbs"]
        if (v, g, r) != (verb, group, resource)
    ]


def test_a_right_that_is_missing_stands_in_the_readiness_and_nothing_crashes(shipped: Shipped) -> None:
    client, lab = shipped.lab.client, shipped.lab
    rules, pid = client.get(ROLE)["rules"], lab.pid
    try:
        client.request("PATCH", ROLE, {"rules": _without(rules, "patch", "", "pods")}, content_type=MERGE)
        lab.eventually(
            lambda: "`patch` pods is missing" in shipped.get(f"{shipped.metrics}/readyz")[1],
            timeout_s=60,
            what="readiness to name the right",
        )
        assert shipped.get(f"{shipped.metrics}/readyz")[0] == 503
    finally:
        client.request("PATCH", ROLE, {"rules": rules}, content_type=MERGE)
    lab.eventually(lambda: shipped.get(f"{shipped.metrics}/readyz") == (200, "ok\n"), timeout_s=60)
    assert lab.pid == pid
    lab.wait_bound(shipped.gang("after-rights"))


def test_a_client_of_another_name_binds_nothing(shipped: Shipped) -> None:
    """Last, because kube-scheduler goes on with what it has until it makes a new connection."""
    shipped.place(shipped.authority.pair("somebody"), shipped.folder / "client")
    shipped.lab.plane.stop_scheduler()
    shipped.lab.start_scheduler()
    names = shipped.gang("stranger")
    shipped.lab.eventually(lambda: "is not let in" in shipped.lab.log.read_text(), timeout_s=60)
    assert shipped.lab.nodes_of(names) == {}
