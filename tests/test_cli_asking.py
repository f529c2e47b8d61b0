"""`gangs` and `explain` against a service: what is asked, what is printed, and the word that data are old."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from deploy.local.objects import gang_pods, node_object
from scheduler.cli import listing, selecting
from scheduler.cli.output import Format
from scheduler.model import InvalidInput
from topology.synthetic import nvl72

Capture = pytest.CaptureFixture[str]


def row(gang: str, state: str, since_s: float = 5.0) -> dict[str, Any]:
    return {
        "gang": gang,
        "state": state,
        "pods": {"present": 2, "wanted": 2, "bound": 0},
        "gpus": 8,
        "where": "",
        "since_s": since_s,
        "reason": "",
        "plan": "",
    }


class Service:
    """Answers with documents one after the other, the last one for ever; notes what it is asked."""

    def __init__(self) -> None:
        self.documents: list[dict[str, Any]] = []
        self.asked: list[str] = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                service.asked.append(self.path)
                documents = service.documents
                body = json.dumps(documents.pop(0) if len(documents) > 1 else documents[0]).encode()
                self.send_response(200)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self._server.serve_forever, daemon=True).start()

    def source(self, **kwargs: Any) -> listing.Gangs:
        return listing.Gangs(
            listing.Server(f"http://127.0.0.1:{self._server.server_port}"), [], None, **kwargs
        )

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def service() -> Iterator[Service]:
    found = Service()
    yield found
    found.close()


def listed(*rows: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"schema": "lockstep.gangs/v1", "gangs": list(rows), **more}


def test_the_service_is_asked_for_the_namespace(service: Service, capsys: Capture) -> None:
    service.documents = [listed(row("a/g", "bound"))]
    assert listing.gangs(service.source(namespace="a"), output=Format.NAME) == 0
    assert listing.gangs(service.source(), output=Format.NAME) == 0
    assert service.asked == ["/v1/gangs?namespace=a", "/v1/gangs"]
    assert capsys.readouterr().out == "a/g\na/g\n"


def test_old_data_are_told_and_end_with_5(service: Service, capsys: Capture) -> None:
    service.documents = [
        listed(row("a/g", "bound"), stale="the API server has not answered for 40 s: \x1b[2J")
    ]
    assert listing.gangs(service.source(), output=Format.JSON) == 5
    printed = capsys.readouterr()
    assert json.loads(printed.out)["stale"].startswith("the API server has not answered")
    assert printed.err == "stale: the API server has not answered for 40 s: ?[2J\n"


@pytest.mark.parametrize(
    ("state", "verdict", "code"),
    [
        ("bound", "placed", 5),
        ("blocked", "blocked", 5),
        ("blocked", "impossible", 5),
        ("invalid", "invalid", 2),
    ],
)
def test_explain_says_that_it_is_old(
    service: Service, capsys: Capture, state: str, verdict: str, code: int
) -> None:
    decision = {"verdict": verdict, "proof": "proven"}
    service.documents = [{**row("a/g", state), "members": [], "decision": decision, "stale": "too old"}]
    assert listing.explain(service.source(), "a/g", output=Format.JSON) == code
    assert capsys.readouterr().err == "stale: too old\n"


def test_a_table_without_its_first_line(service: Service, capsys: Capture) -> None:
    service.documents = [listed(row("a/g", "bound"))]
    listing.gangs(service.source(namespace="a"), output=Format.TABLE, heads=False)
    assert capsys.readouterr().out.split() == ["g", "bound", "0/2", "8", "-", "5s", "-"]


def test_watching_prints_what_changes_alone(
    service: Service, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "_POLL_S", 0.0)
    service.documents = [
        listed(row("a/g", "pending"), row("a/h", "bound")),
        listed(row("a/g", "pending", 9.0), row("a/h", "bound", 9.0)),
        listed(row("a/g", "bound"), row("a/h", "bound")),
        listed(row("a/h", "bound")),
    ]
    listing.watch(service.source(), output=Format.TABLE, heads=True, rounds=4)
    lines = [line.split()[:2] for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        ["GANG", "STATE"],
        ["a/g", "pending"],
        ["a/h", "bound"],
        ["a/g", "bound"],
        ["a/g", "gone"],
    ]


# Label selectors.


@pytest.mark.parametrize(
    ("selector", "labels", "fits"),
    [
        ("a=b", {"a": "b"}, True),
        ("a==b", {"a": "c"}, False),
        ("a!=b", {}, True),
        ("a!=b", {"a": "b"}, False),
        ("a", {"a": ""}, True),
        ("!a", {"a": ""}, False),
        ("a in (b, c)", {"a": "c"}, True),
        ("a notin (b,c)", {"a": "c"}, False),
        ("a notin (b,c)", {}, True),
        ("a in (b,c),d=e,!f", {"a": "b", "d": "e"}, True),
        ("example.com/a.b=x_1", {"example.com/a.b": "x_1"}, True),
        ("a=", {"a": ""}, True),
    ],
)
def test_selectors_mean_what_they_mean_to_kubectl(selector: str, labels: dict[str, str], fits: bool) -> None:
    assert all(one.fits(labels) for one in selecting.parsed(selector)) is fits


@pytest.mark.parametrize("selector", ["", "a=b=c", "a in b", "a in (b", ",", "a b", "=b", "a>1"])
def test_what_is_no_selector_is_refused(selector: str) -> None:
    with pytest.raises(InvalidInput, match="label selector"):
        selecting.parsed(selector)


def test_gangs_of_a_snapshot_by_the_labels_of_their_pods(tmp_path: Path, capsys: Capture) -> None:
    pods = [*gang_pods("one", 2, gpus=4), *gang_pods("two", 2, gpus=4)]
    for at, pod in enumerate(pods):
        pod["metadata"] |= {"uid": f"u{at}", "labels": {"team": "a" if at < 2 else "b"}}
    file = tmp_path / "cluster.json"
    file.write_text(json.dumps({"kind": "List", "items": [*map(node_object, nvl72(1)), *pods]}))
    source = listing.Gangs(listing.Server(""), [str(file)], None, selector="team in (b,c)")
    assert listing.gangs(source, output=Format.NAME) == 0
    assert capsys.readouterr().out == "default/two\n"
