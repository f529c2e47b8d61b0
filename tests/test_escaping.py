"""Text of the cluster on every way out: nothing in it steers a terminal, makes a line, or becomes markup."""

from __future__ import annotations

import json
import logging
import re
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from deploy.local.objects import gang_pods, node_object
from scheduler.cli.main import app
from scheduler.texts import OneLine, capped, clean, escaped, unsteering
from topology.synthetic import nvl72

EVIL = "\x1b[31m\x1b]0;owned\x07\x9b2J\u202egnp\n2026-11-25 forged line\r[red]<script>alert(1)</script>=1+1"
"""Colours, a window's title, the 8-bit CSI, a turn of direction, lines, rich markup, HTML, a formula."""

STEERING = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")

COMMANDS = [
    ("gangs", "-A"),
    ("gangs", "-A", "-o", "wide"),
    ("gangs", "-A", "-o", "json"),
    ("gangs", "-A", "-o", "yaml"),
    ("gangs", "-A", "-o", "name"),
    ("explain", f"default/{EVIL}"),
    ("explain", f"default/{EVIL}", "-o", "wide"),
    ("explain", f"default/{EVIL[:5]}"),
    ("topology", "show"),
    ("topology", "show", "-o", "wide"),
    ("topology", "show", "-o", "json"),
    ("topology", "show", "-o", "yaml"),
    ("topology", "draw"),
    ("topology", "lint"),
    ("topology", "lint", "-o", "wide"),
    ("topology", "lint", "-o", "json"),
]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cluster in which every text that somebody chooses is hostile."""
    nodes = [node_object(one) for one in nvl72(2, nodes_per_rack=4)]
    for at, node in enumerate(nodes):
        node["metadata"]["name"] = f"{EVIL}{at}"
        labels = node["metadata"]["labels"]
        node["metadata"]["labels"] = {key: f"{value}{EVIL}" for key, value in labels.items()}
    waiting = gang_pods(EVIL, 9, gpus=4, annotations={"required": "gang=nvlink"})
    running = gang_pods(f"runs{EVIL}", 2, gpus=4)
    for at, pod in enumerate([*waiting, *running]):
        pod["metadata"] |= {"uid": f"u{at}", "name": f"{EVIL}-{at}"}
        pod["spec"]["nodeSelector"] = {f"team{EVIL}": EVIL} if at == 0 else {}
    for at, pod in enumerate(running):
        pod["spec"]["nodeName"] = nodes[at]["metadata"]["name"]
    broken = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": EVIL}, "spec": {"priority": EVIL}}
    file = tmp_path_factory.mktemp("hostile") / "cluster.json"
    file.write_text(json.dumps({"kind": "List", "items": [*nodes, *waiting, *running, broken]}))
    return file


def run(words: tuple[str, ...], hostile: Path) -> tuple[str, str]:
    result = CliRunner().invoke(app, [*words, "--snapshot", str(hostile)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        return result.stdout, result.stderr + "".join(f"error: {clean(str(result.exception))}\n")
    return result.stdout, result.stderr


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words[:2] + words[2:][-1:]))
def test_nothing_that_is_printed_steers_a_terminal(words: tuple[str, ...], hostile: Path) -> None:
    out, err = run(words, hostile)
    assert "alert(1)" in out + err, "nothing hostile came out: the test proves nothing"
    for text in (out, err):
        assert STEERING.search(text) is None
        assert not any(line.startswith("2026-11-25") for line in text.splitlines())


def test_what_programs_read_is_unchanged_by_escaping(hostile: Path) -> None:
    as_json = json.loads(run(("gangs", "-A", "-o", "json"), hostile)[0])
    as_yaml = yaml.safe_load(run(("gangs", "-A", "-o", "yaml"), hostile)[0])
    assert as_json == as_yaml
    assert f"default/{EVIL}" in {row["gang"] for row in as_json["gangs"]}


def test_a_plan_and_its_refusal_are_harmless(hostile: Path, tmp_path: Path) -> None:
    manifest = tmp_path / "pods.json"
    pods = [*gang_pods(f"new{EVIL}", 2, gpus=4), *gang_pods(f"large{EVIL}", 99, gpus=4)]
    manifest.write_text(json.dumps({"kind": "List", "items": pods}))
    for form in ("table", "wide", "json", "yaml", "name"):
        out, err = run(("plan", "-f", str(manifest), "-o", form), hostile)
        assert "alert(1)" in out
        assert STEERING.search(out + err) is None


def test_a_picture_is_well_formed_and_holds_no_element_of_a_name(hostile: Path, tmp_path: Path) -> None:
    svg = tmp_path / "fabric.svg"
    run(("topology", "draw", "--svg", str(svg)), hostile)
    root = ElementTree.parse(svg).getroot()
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert "script" not in tags
    assert "alert(1)" in svg.read_text(encoding="utf-8")
    assert STEERING.search(svg.read_text(encoding="utf-8")) is None


def record(message: str, *arguments: Any, error: BaseException | None = None) -> str:
    info = (type(error), error, None) if error else None
    made = logging.LogRecord("lockstep", logging.WARNING, "f", 1, message, arguments, info)
    return OneLine("%(levelname)s %(message)s").format(made)


def test_a_line_of_the_log_stays_one_line() -> None:
    line = record("pod %s: %s", f"default/{EVIL}", EVIL)
    assert line.startswith("WARNING pod default/\\x1b[31m")
    assert line.isprintable()


def test_a_traceback_makes_no_line_that_looks_like_a_record() -> None:
    lines = record("left out", error=ValueError(EVIL)).split("\n")
    assert lines[0] == "WARNING left out"
    assert len(lines) > 1
    assert all(line.startswith("  | ") and line.isprintable() for line in lines[1:])


@given(st.text())
def test_every_text_is_harmless_whatever_is_in_it(text: str) -> None:
    assert clean(text).isprintable()
    assert escaped(text).isprintable()
    assert len(capped(text, 20).encode()) <= 20
    document = json.dumps({"a": text}, ensure_ascii=False)
    assert unsteering(document).replace("\n", "").isprintable()
    assert json.loads(unsteering(document)) == {"a": text}


def test_the_service_logs_through_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from scheduler.cli import serving

    handlers: list[logging.Handler] = []
    monkeypatch.setattr(logging, "basicConfig", lambda **given: handlers.extend(given["handlers"]))
    missing = str(tmp_path / "no-such-kubeconfig")
    assert serving.serve(config=None, kubeconfig=missing, context=None, verbose=0) == 2
    assert isinstance(handlers[0].formatter, OneLine)
    assert isinstance(handlers[0], logging.StreamHandler) and handlers[0].stream is sys.stderr
