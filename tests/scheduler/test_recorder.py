"""Recorded decisions: redacted, and decided again to the same answer, bit for bit."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.decide import decided
from scheduler.decisions import Decisions
from scheduler.metrics import Metrics
from scheduler.model import InvalidInput
from scheduler.placement.problem import Limits, PlacementProblem
from scheduler.recorder import Decision, Recorder, document_of, outcome_of, read, redacted
from tests.builders import engine_with, members, node, see, two_leaves
from tests.placement.instances import random_general_problem, random_problem

LIMITS = Limits()


def decision(*gangs: Any) -> Decision:
    engine = engine_with(*two_leaves(), node("spare", leaf="secret-leaf"))
    for pods in gangs:
        see(engine, *pods)
    found = tuple(request.problem for request in engine.next_requests(0.0, most=8))
    return Decision(found, LIMITS, decided(found, LIMITS))


def recorded(one: Decision) -> str:
    return json.dumps(document_of(one))


def again(text: str) -> tuple[Any, Any]:
    problems, limits, outcome = read("record", text)
    return json.loads(json.dumps(outcome_of(decided(problems, limits)))), outcome


WIDE = members("wide", 6, required="gang=leaf")
PLACED = members("tp", 4, tensor_parallel="8", pipeline_parallel="4")


@pytest.mark.parametrize("gangs", [[PLACED], [WIDE], [PLACED, WIDE, members("three", 2)]])
def test_a_record_decides_to_the_same_answer(gangs: list[Any]) -> None:
    new, old = again(recorded(decision(*gangs)))
    assert new == old


def test_a_record_names_nothing_of_the_cluster() -> None:
    text = recorded(decision(PLACED, members("payroll", 9, required="gang=leaf", namespace="rival")))
    for name in ("payroll", "rival", "secret-leaf", "spare", '"n1"', '"l1"', "default/"):
        assert name not in text


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 100_000))
def test_other_names_in_the_same_order_change_no_answer(seed: int) -> None:
    rng = np.random.default_rng(seed)
    problem = random_problem(rng) if seed % 2 else random_general_problem(rng)
    (renamed,) = redacted([problem])
    assert outcome_of(decided([renamed], LIMITS)) == outcome_of(decided([problem], LIMITS))
    assert renamed.cluster.names != problem.cluster.names


def test_a_record_that_was_changed_answers_otherwise(tmp_path: Path) -> None:
    document = document_of(decision(PLACED))
    document["answers"][0]["nodes"][0] += 1
    file = tmp_path / "record.json"
    file.write_text(json.dumps(document))
    done = run("replay", str(file))
    assert done.returncode == 1 and "nodes was" in done.stdout
    file.write_text(recorded(decision(PLACED)))
    done = run("replay", str(file))
    assert (done.returncode, done.stdout) == (0, "1 gangs decided again: the same answer\n")


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "scheduler.cli", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _array(data: str, size: int) -> dict[str, Any]:
    return {"dtype": "int64", "shape": [size], "data": data}


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(schema="lockstep.decision/v9"),
        lambda d: d.update(problems=[]),
        lambda d: d.pop("limits"),
        lambda d: d["problems"][0].update(kind="Popen"),
        lambda d: d["problems"][0].update(shape_of={"dtype": "object", "shape": [1], "data": ""}),
        lambda d: d["problems"][0].update(shape_of=_array("eJwDAAAAAAE=", 1 << 40)),
        lambda d: d["problems"][0].update(shape_of=_array("not base64!", 4)),
        lambda d: d["problems"][0].update(unknown=1),
    ],
)
def test_a_file_that_is_no_record_is_refused(change: Any) -> None:
    document = document_of(decision(PLACED))
    change(document)
    with pytest.raises(InvalidInput, match=r"record: (schema|file)"):
        read("record", json.dumps(document))


@pytest.mark.parametrize("text", ["", "[]", "null", "[" * 100_000, '{"schema": 1}'])
def test_text_that_is_no_record_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        read("record", text)


def test_the_recorder_keeps_the_newest_within_its_bytes() -> None:
    first, second = decision(PLACED), decision(WIDE)
    recorder = Recorder(most_bytes=1)
    recorder.add(first)
    assert recorder.last_of("default/tp") is first
    recorder.add(second)
    assert recorder.last_of("default/tp") is None
    assert recorder.last_of("default/wide") is second


def test_decisions_are_written_to_a_folder_and_a_full_disk_stops_nothing(tmp_path: Path) -> None:
    engine = engine_with(*two_leaves())
    see(engine, *PLACED)
    requests = engine.next_requests(0.0, most=8)
    answer = decided([one.problem for one in requests], LIMITS)
    folder = tmp_path / "records"
    Decisions(Metrics(), folder=str(folder)).batch(requests, answer, limits=LIMITS, elapsed_s=0.1)
    (file,) = folder.iterdir()
    new, old = again(file.read_text())
    assert new == old
    blocked = tmp_path / "file"
    blocked.write_text("")
    Decisions(Metrics(), folder=str(blocked)).batch(requests, answer, limits=LIMITS, elapsed_s=0.1)


def test_every_array_of_a_problem_is_read_back_as_it_was() -> None:
    one = decision(PLACED)
    (problem,), _, _ = read("record", recorded(one))
    original: PlacementProblem = one.problems[0]
    for field in ("shape_of", "stage_of", "replica_of", "fixed"):
        assert np.array_equal(getattr(problem, field), getattr(original, field))
    assert np.array_equal(problem.cluster.free, original.cluster.free)
    assert not problem.cluster.free.flags.writeable
